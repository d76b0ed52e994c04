use std::collections::BTreeMap;

use dr_plugin::CallError;
use serde_json::Value;

use crate::event::{
    Actor, Outcome, Purpose, Question, Request, RequestKind, Signed, SkipReason, StepState,
};
use crate::id::{RequestId, ServiceId, StepId};
use crate::time::Timestamp;

/// One step as far as it is known. Milliseconds count from the start of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct StepView {
    /// Full id.
    pub id: StepId,
    /// The service it belongs to.
    pub service: Option<ServiceId>,
    /// Name of the host it acts on.
    pub host: Option<String>,
    /// What it calls; absent for gates, guards, computed values and tallies.
    pub uses: Option<String>,
    /// Expected duration.
    pub estimate_ms: u64,
    /// Where it stands. `pending` also covers steps that could start: see
    /// [`super::View::state`].
    pub state: StepState,
    /// Every attempt, oldest first. Readings of `repeat` are journaled only when they change.
    pub attempts: Vec<AttemptView>,
    /// When its first attempt started or its gate was asked.
    pub started_ms: Option<u64>,
    /// The same on the wall clock.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_ms: Option<u64>,
    /// The same on the wall clock.
    pub finished_at: Option<Timestamp>,
    /// Its duration since it became ready, as its last event says.
    pub duration_ms: Option<u64>,
    /// Of that, time spent waiting for people.
    pub gate_ms: u64,
    /// Why it failed, or why its last attempt did.
    pub error: Option<CallError>,
    /// What it captured.
    pub outputs: BTreeMap<String, Value>,
    /// Remarks.
    pub warnings: Vec<String>,
    /// The moment the recovered data is from.
    pub recovery_point: Option<Timestamp>,
    /// Gates asked for, oldest first; the last one is open until it is settled.
    pub gates: Vec<GateView>,
    /// Questions asked, oldest first; the last one is open until it is answered.
    pub questions: Vec<QuestionView>,
    /// When its next attempt starts, while it waits for that.
    pub next_at: Option<Timestamp>,
    /// Whether it is read again and again until something holds.
    pub polling: bool,
    /// Whether it was found to run still, so that its next launch joins what runs.
    pub joins: bool,
    /// Who passed it over, and why.
    pub skipped: Option<SkipView>,
    /// Whether it had failed when a person passed it over: what needs it stays blocked.
    pub failed_before_skip: bool,
    /// What prevents it.
    pub blocked_by: Vec<StepId>,
    /// Who put it back, oldest first.
    pub resets: Vec<ResetView>,
    /// Requests of people about it that were accepted, oldest first.
    pub requests: Vec<Request>,
    /// Who said that it was done or has failed, if a person did.
    pub by: Option<Actor>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Its last line of progress or output: shown, never recorded.
    pub progress: Option<String>,
    /// Share done in `0.0..=1.0`, where its plugin says so: shown, never recorded.
    pub share: Option<f32>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptView {
    /// Number among the attempts of its purpose, from 1.
    pub number: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// How often it was launched with the same key.
    pub launches: u32,
    /// Session in which it was launched last.
    pub session: u32,
    /// When it was launched first.
    pub started_ms: u64,
    /// The same on the wall clock.
    pub started_at: Timestamp,
    /// When it is given up.
    pub deadline: Option<Timestamp>,
    /// What the step rendered, where this attempt's record holds it.
    pub input: Option<Value>,
    /// What is known about it; absent while it runs.
    pub outcome: Option<Outcome>,
    /// Its duration.
    pub duration_ms: Option<u64>,
    /// Why it did not succeed.
    pub error: Option<CallError>,
    /// How it failed, where the step demands that.
    pub expected: Option<CallError>,
    /// Whether the session that launched it ended without a word about it.
    pub lost: bool,
}

/// A request for approval.
#[derive(Debug, Clone, PartialEq)]
pub struct GateView {
    /// Names it.
    pub request: RequestId,
    /// The question.
    pub message: String,
    /// How many different people must approve.
    pub approvers: u32,
    /// When it is rejected by itself.
    pub deadline: Option<Timestamp>,
    /// When it was asked.
    pub asked_ms: u64,
    /// The same on the wall clock.
    pub asked_at: Timestamp,
    /// Answers so far.
    pub answers: Vec<Answered>,
    /// Approved or rejected, once it is settled, and when.
    pub settled: Option<(bool, u64)>,
    /// When it was overtaken by what happened to the step, if it was not settled.
    pub withdrawn_ms: Option<u64>,
}

/// One answer to a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Approved or rejected.
    pub approved: bool,
    /// Who; absent when the deadline passed.
    pub by: Option<Actor>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// What the gate asked for.
    pub inputs: BTreeMap<String, Value>,
    /// What they signed, if they did.
    pub signed: Option<Signed>,
    /// When, in milliseconds since the start of the run.
    pub at_ms: u64,
    /// The same on the wall clock.
    pub at: Timestamp,
}

impl GateView {
    /// When it was settled or overtaken by what happened to the step, in milliseconds since the
    /// start of the run; absent while it is open.
    #[must_use]
    pub fn closed_ms(&self) -> Option<u64> {
        self.settled.map(|(_, at_ms)| at_ms).or(self.withdrawn_ms)
    }

    /// How many people have approved so far.
    #[must_use]
    pub fn approvals(&self) -> usize {
        self.answers.iter().filter(|answer| answer.approved).count()
    }
}

/// A question that a person must answer.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionView {
    /// What is not known or went wrong.
    pub question: Question,
    /// The text for people.
    pub message: String,
    /// Accepted answers.
    pub options: Vec<RequestKind>,
    /// When it was asked.
    pub asked_ms: u64,
    /// The same on the wall clock.
    pub asked_at: Timestamp,
    /// What was answered, by whom, and when.
    pub answer: Option<(RequestKind, Actor, u64)>,
    /// When it was answered, or overtaken by what happened to the step.
    pub closed_ms: Option<u64>,
}

/// Why a step was passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct SkipView {
    /// Whose decision.
    pub reason: SkipReason,
    /// Who, if a person.
    pub by: Option<Actor>,
    /// Why, in their words.
    pub note: Option<String>,
}

/// A step that was put back by a person.
#[derive(Debug, Clone, PartialEq)]
pub struct ResetView {
    /// Whether the action itself was repeated.
    pub redo: bool,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Option<String>,
    /// When, in milliseconds since the start of the run.
    pub at_ms: u64,
    /// How it stood before.
    pub was: StepState,
}

impl StepView {
    /// A step nothing is known about yet.
    #[must_use]
    pub fn new(id: StepId) -> Self {
        Self {
            id,
            service: None,
            host: None,
            uses: None,
            estimate_ms: 0,
            state: StepState::Pending,
            attempts: Vec::new(),
            started_ms: None,
            started_at: None,
            finished_ms: None,
            finished_at: None,
            duration_ms: None,
            gate_ms: 0,
            error: None,
            outputs: BTreeMap::new(),
            warnings: Vec::new(),
            recovery_point: None,
            gates: Vec::new(),
            questions: Vec::new(),
            next_at: None,
            polling: false,
            joins: false,
            skipped: None,
            failed_before_skip: false,
            blocked_by: Vec::new(),
            resets: Vec::new(),
            requests: Vec::new(),
            by: None,
            reason: None,
            progress: None,
            share: None,
        }
    }

    /// A step of the plan before anything has happened.
    #[must_use]
    pub fn of(step: &crate::plan::Step) -> Self {
        Self {
            service: step.service.clone(),
            host: step.host.clone(),
            uses: step.uses.as_ref().map(ToString::to_string),
            estimate_ms: step.estimate_ms,
            ..Self::new(step.id.clone())
        }
    }

    /// The gate that waits for an answer.
    #[must_use]
    pub fn open_gate(&self) -> Option<&GateView> {
        self.gates.last().filter(|gate| gate.closed_ms().is_none())
    }

    /// The question that waits for an answer.
    #[must_use]
    pub fn open_question(&self) -> Option<&QuestionView> {
        self.questions.last().filter(|question| question.closed_ms.is_none())
    }

    /// Whether the step ended badly: it failed, its time was up, or it could not be taken back.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.state, StepState::Failed | StepState::TimedOut | StepState::UndoFailed)
    }

    /// Whether a need on it is met.
    #[must_use]
    pub fn meets_needs(&self) -> bool {
        self.state.is_met() && !self.failed_before_skip
    }

    /// The attempt under way.
    #[must_use]
    pub fn running_attempt(&self) -> Option<&AttemptView> {
        self.attempts.last().filter(|attempt| attempt.outcome.is_none() && !attempt.lost)
    }

    /// How many attempts of `purpose` there were.
    #[must_use]
    pub fn attempts_of(&self, purpose: Purpose) -> u32 {
        self.attempts
            .iter()
            .filter(|attempt| attempt.purpose == purpose)
            .map(|attempt| attempt.number)
            .max()
            .unwrap_or(0)
    }
}
