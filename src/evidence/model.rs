use std::collections::BTreeMap;

use dr_plugin::{CallError, Effect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Actor, Outcome, Purpose, Signed, SkipReason, SpanAchieved, StepState, Verdict};
use crate::id::{Digest, RunId, SealId, ServiceId, StepId};
use crate::plan::{EstimateSource, Place};
use crate::time::Timestamp;
use crate::words::{Class, Mode, Phase, Style};

/// Version of the evidence's format.
pub const FORMAT: u32 = 1;

/// What a run proves. Times are UTC; milliseconds count from the start of the run, over all its
/// sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// [`FORMAT`].
    pub format: u32,
    /// Which run of what.
    pub run: RunIdentity,
    /// How it ended.
    pub result: RunResult,
    /// One sentence for people.
    pub reason: String,
    /// Who took part, and how.
    pub participants: Vec<Participant>,
    /// The clocks, and how figures are defined.
    pub clocks: Clocks,
    /// Objectives and what was achieved, in the order of the runbook.
    pub services: Vec<ServiceEvidence>,
    /// Times between two steps that were measured, in the order of the runbook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpanEvidence>,
    /// Every step, planned against actual.
    pub steps: Vec<StepEvidence>,
    /// What did not go as planned, in order of time.
    pub deviations: Vec<Deviation>,
    /// Decisions of people, in order of time.
    pub decisions: Vec<Decision>,
    /// What was found before the start.
    pub preflight: Vec<PreflightEvidence>,
    /// The sessions of the run.
    pub sessions: Vec<SessionEvidence>,
    /// The journal that all this was computed from.
    pub journal: JournalEvidence,
}

/// Which run of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunIdentity {
    /// The run.
    pub id: RunId,
    /// Name of the runbook.
    pub runbook: String,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Name of the environment.
    pub environment: String,
    /// Whether the environment is protected.
    pub protected: bool,
    /// Live or drill.
    pub mode: Mode,
    /// Graceful or ungraceful.
    pub style: Style,
    /// The phases taken.
    pub phases: Vec<Phase>,
    /// Digest of the plan that was carried out, as the run recorded it.
    pub plan_digest: Digest,
    /// The seal of the plan, if it was a sealed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealEvidence>,
    /// Predicted time from start to end, milliseconds.
    pub predicted_ms: u64,
    /// Version of `dr` that started the run.
    pub dr_version: String,
    /// Plugins and their versions when planned.
    pub plugins: BTreeMap<String, String>,
}

/// Under which seal a plan was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealEvidence {
    /// The seal.
    pub id: SealId,
    /// Who sealed the plan; absent if the plan beside the journal has another seal.
    pub by: Option<String>,
    /// When it was sealed.
    #[schemars(with = "Option<String>")]
    pub created_at: Option<Timestamp>,
    /// Why it was executed although it had been executed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// Everything that was to be done was done, in time.
    Succeeded,
    /// Everything was done, but an objective was missed.
    ObjectiveMissed,
    /// A step failed.
    Failed,
    /// A step failed, and everything was taken back.
    Unwound,
    /// Somebody stopped it.
    Cancelled,
    /// Something is half done.
    Stuck,
    /// It waits for people.
    Paused,
    /// The journal has no close record: the run goes on, or was killed.
    Open,
}

impl RunResult {
    /// The word used in evidence and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::ObjectiveMissed => "objective_missed",
            Self::Failed => "failed",
            Self::Unwound => "unwound",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
            Self::Paused => "paused",
            Self::Open => "open",
        }
    }
}

impl From<Verdict> for RunResult {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Succeeded => Self::Succeeded,
            Verdict::ObjectiveMissed => Self::ObjectiveMissed,
            Verdict::Failed => Self::Failed,
            Verdict::Unwound => Self::Unwound,
            Verdict::Cancelled => Self::Cancelled,
            Verdict::Stuck => Self::Stuck,
        }
    }
}

/// A person or mechanism, and what it did in the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Participant {
    /// Login name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// `started`, `resumed`, `approved`, `rejected`, `decided`, `cancelled`, in order of the
    /// first time.
    pub roles: Vec<String>,
}

/// The clocks, and how figures are defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clocks {
    /// Start of the RTA clock.
    #[schemars(with = "String")]
    pub declared_at: Timestamp,
    /// Start of the loss.
    #[schemars(with = "String")]
    pub incident_at: Timestamp,
    /// The step at whose end both clocks started: a drill's fault, or a loss that the run itself
    /// made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<StepId>,
    /// First event of the run.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// Last event of the run so far.
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
    /// From the first to the last event, on the monotonic clock.
    pub elapsed_ms: u64,
    /// From the declaration to the start; negative if the declaration came later.
    pub declared_before_start_ms: i64,
    /// Time during which at least one step waited for a person. Counted in every RTA.
    pub decision_ms: u64,
    /// Jumps of the wall clock during the run, milliseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clock_moves_ms: Vec<i64>,
    /// What RTA means here.
    pub rta_definition: String,
    /// What RPA means here.
    pub rpa_definition: String,
}

/// A service: objectives, what was achieved, and how it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceEvidence {
    /// Its name.
    pub name: ServiceId,
    /// Its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its class.
    pub priority: Class,
    /// Recovery time.
    pub rto: Objective,
    /// Data loss.
    pub rpo: Loss,
    /// Predicted recovery, milliseconds after the start of its clock.
    pub predicted_ms: Option<u64>,
    /// Time during which at least one of its steps waited for a person.
    pub decision_ms: u64,
    /// How it is known that it works again.
    pub proof: Proof,
    /// Why a figure is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A recovery time against its objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Objective {
    /// RTO, milliseconds.
    pub objective_ms: Option<u64>,
    /// RTA, milliseconds from the declaration; absent if the service did not recover.
    pub achieved_ms: Option<u64>,
    /// Absent without an objective.
    pub met: Option<bool>,
    /// The step that was finished last.
    pub last_step: Option<StepId>,
}

/// A data loss against its objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// RPO, milliseconds.
    pub objective_ms: Option<u64>,
    /// RPA, milliseconds: the incident less the recovery point. Negative if the data is newer than
    /// the incident.
    pub achieved_ms: Option<i64>,
    /// Absent without an objective.
    pub met: Option<bool>,
    /// The moment the recovered data is from.
    #[schemars(with = "Option<String>")]
    pub recovery_point: Option<Timestamp>,
    /// The step that measured it.
    pub measured_by: Option<StepId>,
}

/// A time between two steps: objective, prediction and what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpanEvidence {
    /// What it measures, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Predicted length, milliseconds.
    pub predicted_ms: Option<u64>,
    /// What was measured, from the first attempt of the one step to the end of the other.
    #[serde(flatten)]
    pub achieved: SpanAchieved,
}

/// How strongly something is known.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Nothing ran that could tell.
    NotTested,
    /// The tool that did it, or a person, says so; nothing looked.
    Asserted,
    /// A check that reads the result says so.
    Verified,
}

impl Assurance {
    /// The word used in evidence and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotTested => "not_tested",
            Self::Asserted => "asserted",
            Self::Verified => "verified",
        }
    }
}

/// How it is known that a service works again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The strongest that can be said of the service as a whole: verified only if every
    /// validation of it passed.
    pub assurance: Assurance,
    /// Validations that passed.
    pub verified_by: Vec<StepId>,
    /// Validations that did not pass, or did not run.
    pub not_passed: Vec<StepId>,
}

/// A step: planned against actual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepEvidence {
    /// Full id.
    pub id: StepId,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it comes from in a written procedure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
    /// The service it belongs to.
    pub service: Option<ServiceId>,
    /// Its phase.
    pub phase: Option<Phase>,
    /// What it calls.
    pub uses: Option<String>,
    /// Name of the host it acts on.
    pub host: Option<String>,
    /// What repeating it would do.
    pub effect: Option<Effect>,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Where it stands.
    pub state: StepState,
    /// How strongly its result is known.
    pub assurance: Assurance,
    /// Planned start, milliseconds.
    pub planned_start_ms: Option<u64>,
    /// Planned duration, milliseconds.
    pub planned_ms: Option<u64>,
    /// Where the planned duration comes from.
    pub planned_from: Option<EstimateSource>,
    /// Actual start.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// The same in milliseconds.
    pub started_ms: Option<u64>,
    /// Actual end.
    #[schemars(with = "Option<String>")]
    pub finished_at: Option<Timestamp>,
    /// The same in milliseconds.
    pub finished_ms: Option<u64>,
    /// From actual start to actual end, waits for people included, milliseconds.
    pub took_ms: Option<u64>,
    /// Of that, time spent waiting for people.
    pub decision_ms: u64,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptEvidence>,
    /// Why it was passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkipReason>,
    /// What prevented it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<StepId>,
    /// Who said that it was done, had failed, or is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CallError>,
    /// What it captured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Value>,
    /// The moment the recovered data is from.
    #[schemars(with = "Option<String>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<Timestamp>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptEvidence {
    /// Number among the attempts of its purpose, from 1.
    pub number: u32,
    /// What it was for.
    pub purpose: Purpose,
    /// How often it was launched with the same key: more than once only after a crash.
    pub launches: u32,
    /// When it was launched first.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// What is known about it; absent if nothing came back.
    pub outcome: Option<Outcome>,
    /// Its duration, milliseconds.
    pub duration_ms: Option<u64>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CallError>,
    /// How it failed, where the step demands that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<CallError>,
}

/// What kind of departure from the plan.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeviationKind {
    /// A step failed.
    Failed,
    /// A step did not run because of others.
    Blocked,
    /// A cancel prevented or stopped a step.
    Cancelled,
    /// A person passed a step over.
    Skipped,
    /// A person said that a step was done; nothing looked.
    Assumed,
    /// A step was attempted more than once.
    Retried,
    /// A person put a step back.
    Reset,
    /// It was unknown whether an attempt had been applied.
    OutcomeUnknown,
    /// An attempt was launched again after a crash, with the same key.
    Relaunched,
    /// A gate was rejected.
    Rejected,
    /// Everybody who approved a gate had also started or resumed the run.
    SelfApproved,
    /// A step succeeded with a remark.
    Warned,
    /// A step took much longer than planned.
    Overran,
    /// A service was expected later than its RTO allows, or in time again.
    RtoAtRisk,
    /// A step was repeated or looked up on the strength of a laxer effect than its action's.
    LaxerEffect,
    /// A sealed plan was executed although it had been executed before.
    ExecutedAgain,
    /// The run went on in a further session.
    Resumed,
    /// Somebody asked the run to stop.
    CancelRequested,
    /// What was done was taken back.
    TakenBack,
    /// The wall clock moved against the monotonic one.
    ClockMoved,
    /// A damaged part of the journal was given up.
    JournalLost,
    /// The plan beside the journal is not the one that the run recorded.
    PlanDiffers,
    /// A figure of the close record differs from what the journal's events give.
    FigureDiffers,
}

impl DeviationKind {
    /// The words for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
            Self::Skipped => "passed over by a person",
            Self::Assumed => "assumed by a person",
            Self::Retried => "attempted more than once",
            Self::Reset => "put back by a person",
            Self::OutcomeUnknown => "outcome was unknown",
            Self::Relaunched => "launched again after a crash",
            Self::Rejected => "rejected",
            Self::SelfApproved => "approved by its operator alone",
            Self::Warned => "warning",
            Self::Overran => "took longer than planned",
            Self::RtoAtRisk => "objective at risk",
            Self::LaxerEffect => "laxer effect than its action",
            Self::ExecutedAgain => "executed again",
            Self::Resumed => "resumed",
            Self::CancelRequested => "asked to stop",
            Self::TakenBack => "taken back",
            Self::ClockMoved => "clock moved",
            Self::JournalLost => "part of the journal was given up",
            Self::PlanDiffers => "plan differs",
            Self::FigureDiffers => "figure differs",
        }
    }
}

/// Something that did not go as planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deviation {
    /// When, in milliseconds since the start of the run; absent where it has no moment.
    pub at_ms: Option<u64>,
    /// What kind.
    pub kind: DeviationKind,
    /// The step, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The service, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// One sentence for people.
    pub text: String,
    /// Who, if a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
}

/// A decision of a person, or of a deadline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The step.
    pub step: StepId,
    /// What was asked.
    pub asked: String,
    /// When.
    #[schemars(with = "String")]
    pub asked_at: Timestamp,
    /// What was decided: `approved`, `rejected`, or the answer; absent if nothing was.
    pub decided: Option<String>,
    /// Who; absent when a deadline passed.
    pub by: Option<Actor>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was signed, and the signature: it can be verified without `dr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
    /// What was told with an approval.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// From the question to the answer, milliseconds.
    pub waited_ms: Option<u64>,
}

/// What was found about one step before the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreflightEvidence {
    /// The step.
    pub step: StepId,
    /// What was found.
    pub status: String,
    /// Lines for people.
    pub lines: Vec<String>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEvidence {
    /// Its number, from 1.
    pub number: u32,
    /// Who started it.
    pub by: Actor,
    /// Whether somebody sat at the terminal.
    pub attended: bool,
    /// Why it was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it began.
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended; absent after a crash.
    #[schemars(with = "Option<String>")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; absent for a pause or a crash.
    pub verdict: Option<Verdict>,
}

/// The journal that the evidence was computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEvidence {
    /// How many records it has.
    pub count: u64,
    /// Sum of its last record.
    pub head: String,
    /// Whether it ends with a close record whose count fits. Without one the run is open, never
    /// complete.
    pub closed: bool,
}
