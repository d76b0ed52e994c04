//! The vocabulary of the journal: facts about a run, ids and JSON only.
//!
//! Everything that is ever shown, resumed, reported or proved is a fold over these.

mod achieved;
mod request;
mod states;

use std::collections::BTreeMap;

use dr_plugin::CallError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{Digest, RequestId, RunId, SealId, ServiceId, StepId};
use crate::time::Timestamp;
use crate::words::{Mode, Style};

pub use achieved::{Achieved, RunFinished, SpanAchieved};
pub use request::{Actor, Request, RequestKind, Signed};
pub use states::{
    CancelRequest, Outcome, Purpose, Question, Reopening, SkipReason, StepState, Verdict,
};

/// Version of the journal's format.
pub const FORMAT: u32 = 1;

/// A fact, with the moment it was decided. The journal adds `seq`, `batch` and the sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Wall clock, UTC.
    pub at: Timestamp,
    /// Milliseconds since the run's start, over all sessions.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A durable event: its number in the journal and what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Position in the journal, from 1.
    pub seq: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The first session of the run begins.
    RunStarted(RunStarted),
    /// A further session begins. Blocked and cancelled steps are pending again.
    RunResumed {
        /// Number of the session, from 2.
        session: u32,
        /// Who resumed it.
        by: Actor,
        /// Whether somebody sits at the terminal and can answer.
        attended: bool,
        /// Free text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A person goes on although the journal was damaged. Every unfinished step that may not simply
    /// be repeated may have been started in what is lost.
    LossAccepted(LossAccepted),
    /// The session ends without a verdict: only decisions of people are missing (exit code 7).
    RunPaused {
        /// Steps that wait for somebody.
        waiting: Vec<StepId>,
    },
    /// What the preflight found, one line a step that is not plainly ok.
    PreflightFinished {
        /// The findings.
        findings: Vec<Finding>,
    },
    /// A step is passed over by decision.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Whose decision.
        reason: SkipReason,
        /// Who, if a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A step cannot run because of what became of others.
    StepBlocked {
        /// The step.
        step: StepId,
        /// The steps that prevent it: unmet needs, or the step that halted the service or run.
        by: Vec<StepId>,
    },
    /// A cancel prevented the step.
    StepCancelled {
        /// The step.
        step: StepId,
    },
    /// A person is asked before the step's action.
    ApprovalRequested {
        /// The step.
        step: StepId,
        /// Names this request.
        request: RequestId,
        /// The rendered question.
        message: String,
        /// How many different people must approve.
        approvers: u32,
        /// When the gate is rejected by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        deadline: Option<Timestamp>,
    },
    /// One person's answer, or the deadline's.
    ApprovalAnswered {
        /// The step.
        step: StepId,
        /// Approved or rejected.
        approved: bool,
        /// Who; absent when the deadline passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
        /// The request that carried the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What the gate asked for, defaults included.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inputs: BTreeMap<String, Value>,
        /// What whoever approved has signed, if they did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Signed>,
        /// Whether this answer settles the gate.
        settled: bool,
    },
    /// Nobody has settled the gate yet: it asks again.
    ApprovalReminded {
        /// The step.
        step: StepId,
        /// The request that is still open.
        request: RequestId,
        /// Which reminder, from 1.
        number: u32,
    },
    /// A person must say how the step goes on.
    QuestionAsked {
        /// The step.
        step: StepId,
        /// What is not known or went wrong.
        question: Question,
        /// The text for people.
        message: String,
        /// Accepted answers.
        options: Vec<RequestKind>,
    },
    /// A request of a person about one step was accepted.
    RequestAccepted {
        /// What was asked.
        request: Request,
    },
    /// A request could not be followed.
    RequestRefused {
        /// What was asked.
        request: Request,
        /// Why not.
        why: String,
    },
    /// The step waits for a moment, without an attempt.
    StepSleeping {
        /// The step.
        step: StepId,
        /// When it goes on.
        #[schemars(with = "String")]
        until: Timestamp,
    },
    /// An attempt is about to be launched. Durable before the launch.
    AttemptStarted {
        /// The step.
        step: StepId,
        /// Number of the attempt of this purpose, from 1.
        attempt: u32,
        /// What it is for.
        purpose: Purpose,
        /// How often this very attempt has been launched, from 1: more than once only after a
        /// crash or a lost connection, with the same key.
        launch: u32,
        /// What the step rendered, once: retries and resumes reuse it. Secrets are references.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
        /// When the attempt is given up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        deadline: Option<Timestamp>,
    },
    /// An attempt came back, and what follows from it. Everything decided is in this one event, so
    /// that no prefix of a batch loses a decision.
    AttemptFinished(AttemptFinished),
    /// A loop goes over what a step gave: its steps are those of the plan's template, once for each
    /// element, in this order.
    Expanded {
        /// The loop.
        step: StepId,
        /// The elements: a list or a map.
        items: Value,
    },
    /// A group that is repeated begins a round: its steps are those of the plan's template once
    /// more.
    RoundStarted {
        /// The group.
        step: StepId,
        /// Which one, from 1.
        round: u32,
        /// After how many rounds in a row its condition has held.
        #[serde(default)]
        held: u32,
    },
    /// A step is over.
    StepFinished(StepFinished),
    /// A person put a finished, failed or unknown step back (`--retry`, `--redo`).
    StepReset {
        /// The step.
        step: StepId,
        /// Whether the action itself is repeated (`--redo`) or only the part that failed.
        redo: bool,
        /// Who.
        by: Actor,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// All steps of a service that count for it are over.
    ServiceFinished {
        /// The service.
        service: ServiceId,
        /// Whether all of it succeeded, validation included.
        recovered: bool,
        /// Achieved recovery time in milliseconds from the declaration; absent if not recovered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rta_ms: Option<u64>,
    },
    /// What is left of a service is expected to end later than its objective allows. Told when that
    /// comes about, and again after it was not so for a while.
    RtoAtRisk {
        /// The service.
        service: ServiceId,
        /// Its objective, milliseconds from the declaration.
        rto_ms: u64,
        /// When it is expected to have recovered, milliseconds from the declaration.
        expected_ms: u64,
    },
    /// A service that was at risk is expected in time again.
    RtoOnTrack {
        /// The service.
        service: ServiceId,
        /// Its objective, milliseconds from the declaration.
        rto_ms: u64,
        /// When it is expected to have recovered, milliseconds from the declaration.
        expected_ms: u64,
    },
    /// Somebody asked the run to stop.
    CancelRequested {
        /// Who.
        by: Actor,
        /// How.
        level: CancelRequest,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody asked the run to pause: nothing new starts, and once what runs has ended the session
    /// does too.
    PauseRequested {
        /// Who.
        by: Actor,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// What was done is taken back, once what runs has ended.
    UnwindingStarted {
        /// The failed step; absent when the run was cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<StepId>,
        /// Who wants it; absent when the step says so itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Actor>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Steps that were over are to run once more, because the run goes on.
    StepsReopened {
        /// Which.
        steps: Vec<StepId>,
        /// Why.
        because: Reopening,
    },
    /// Unwinding would go back past points of no return: a person must say whether it does.
    UnwindingAsked {
        /// The points.
        past: Vec<StepId>,
    },
    /// A person's answer to that.
    UnwindingAnswered {
        /// Whether everything is taken back; otherwise it stays as it is.
        go_on: bool,
        /// Who.
        by: Actor,
        /// The request that carried the answer.
        request: RequestId,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The wall clock moved against the monotonic one.
    ClockMoved {
        /// By how much, in milliseconds; positive is forward.
        by_ms: i64,
    },
    /// The session is over; the journal's close record.
    RunFinished(RunFinished),
}

/// A part of the journal that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LossAccepted {
    /// Number of the first record that is lost.
    pub record: u64,
    /// Bytes that are lost.
    pub bytes: u64,
    /// Who decided to go on.
    pub by: Actor,
}

/// The first event of every run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// [`FORMAT`].
    pub format: u32,
    /// The run.
    pub run: RunId,
    /// Name of the runbook.
    pub runbook: String,
    /// Name of the environment.
    pub environment: String,
    /// Live or drill.
    pub mode: Mode,
    /// Graceful or ungraceful.
    pub style: Style,
    /// Digest of the plan that is carried out.
    pub plan_digest: Digest,
    /// Start of the RTA clock.
    #[schemars(with = "String")]
    pub declared_at: Timestamp,
    /// Start of the loss: RPA = this − recovery point.
    #[schemars(with = "String")]
    pub incident_at: Timestamp,
    /// Who started it.
    pub by: Actor,
    /// Whether somebody sits at the terminal and can answer.
    pub attended: bool,
    /// Version of `dr`.
    pub version: String,
    /// Why steps are left out, in the words of whoever started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The folder that it was started in, which every session works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The seal of the plan, if it was a sealed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealUse>,
}

/// Which sealed plan a run carries out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealUse {
    /// The seal.
    pub id: SealId,
    /// Why it is executed although it was executed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<String>,
}

/// An attempt's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptFinished {
    /// The step.
    pub step: StepId,
    /// Number of the attempt of this purpose, from 1.
    pub attempt: u32,
    /// What it was for.
    pub purpose: Purpose,
    /// What is known about it.
    pub outcome: Outcome,
    /// Duration in milliseconds.
    pub duration_ms: u64,
    /// Why it did not succeed. With the outcome `succeeded`: the action is done, but one of the
    /// step's outputs or expectations failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CallError>,
    /// How the action failed, where the step demands that it fails in that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<CallError>,
    /// Captured outputs, once the step's action or its reading has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<BTreeMap<String, Value>>,
    /// What the action gave, kept only where it may be needed again: the action is done and must
    /// not be repeated, but an output or expectation failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Expectations that only warn, and other remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The moment the recovered data is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub recovery_point: Option<Timestamp>,
    /// What follows.
    pub next: Next,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Next {
    /// The step is over: its `step_finished` follows, or the question what to do about its failure.
    Proceed,
    /// The action is launched again.
    Launch {
        /// Absolute time; absent: at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        at: Option<Timestamp>,
        /// As a further attempt with a key of its own; otherwise the same attempt, with its key.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fresh: bool,
        /// What was launched under the key still runs: nothing starts anew, its end is waited for.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        joins: bool,
    },
    /// Another attempt of the same purpose starts at `at`.
    Again {
        /// Absolute time.
        #[schemars(with = "String")]
        at: Timestamp,
    },
    /// The outcome is unknown and is now checked, or checked in the next way.
    Check,
    /// The outcome is unknown and a person is asked.
    Ask,
}

/// A step's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFinished {
    /// The step.
    pub step: StepId,
    /// Final state: `succeeded`, `warned`, `failed`, `timed_out`, `cancelled`.
    pub state: StepState,
    /// Duration since it became ready, in milliseconds.
    pub duration_ms: u64,
    /// Of that, time spent waiting for people.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gate_ms: u64,
    /// Captured outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Value>,
    /// Expectations that only warn, and other remarks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CallError>,
    /// The moment the recovered data is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub recovery_point: Option<Timestamp>,
    /// Who said that it was done or has failed, if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A line of the preflight's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The step it is about.
    pub step: StepId,
    /// `would_change`, `already_so`, `unreachable`, `denied`, `not_yet`, `failed`.
    pub status: String,
    /// Lines for people.
    pub lines: Vec<String>,
}

/// What passes by and is never journaled: it may be dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Volatile {
    /// Where an attempt stands.
    Progress {
        /// The step.
        step: StepId,
        /// A line for people.
        message: String,
        /// Share done, where known.
        share: Option<f32>,
    },
    /// Output of an attempt, lossily as text, secrets masked.
    Output {
        /// The step.
        step: StepId,
        /// `stdout` or `stderr`.
        stream: dr_plugin::Stream,
        /// The text.
        text: String,
    },
}
