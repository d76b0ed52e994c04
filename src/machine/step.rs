//! One step's life: where it stands, and what each event makes of that.

use std::collections::BTreeMap;

use dr_plugin::{CallError, ErrorClass, Keyed};
use serde_json::Value;

use super::graph::Index;
use crate::event::{
    Actor, AttemptFinished, EventKind, Next, Outcome, Purpose, Question, Reopening, Request,
    RequestKind, SkipReason, StepFinished, StepState,
};
use crate::id::RequestId;
use crate::plan::Step;
use crate::time::Timestamp;
use crate::words::OnFailure;

/// Where a step stands, as the journal tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// Nothing is under way: it waits for others, for a slot, or to be considered.
    #[default]
    Idle,
    /// People were asked to approve.
    Gate,
    /// An attempt was started and has not come back.
    Running(Purpose),
    /// It waits for a moment, without an attempt.
    Sleep(Timestamp),
    /// Another attempt of this purpose is due.
    Wait(Purpose, Timestamp),
    /// The action is to be launched again, with a key of its own if `fresh`.
    Relaunch { at: Option<Timestamp>, fresh: bool },
    /// The outcome is unknown and is to be checked.
    Check,
    /// A person is to be asked.
    Ask(Question),
    /// A person was asked.
    Asked(Question),
    /// The action is done; what follows from its result is to be decided again.
    Judge,
    /// Everything is decided; only the end is not yet written.
    Decided,
    /// It is over.
    Over(StepState),
}

impl Stage {
    /// The life of a step, as one table.
    #[rustfmt::skip]
    pub(super) fn next(self, event: &EventKind) -> Self {
        use EventKind as E;
        match event {
            E::ApprovalRequested { .. } => Self::Gate,
            E::ApprovalAnswered { settled: true, .. } => Self::Idle,
            E::StepSleeping { until, .. } => Self::Sleep(*until),
            E::AttemptStarted { purpose, .. } => Self::Running(*purpose),
            E::AttemptFinished(AttemptFinished { next, purpose, outcome, .. }) => match next {
                Next::Proceed => Self::Decided,
                Next::Launch { at, fresh, .. } => Self::Relaunch { at: *at, fresh: *fresh },
                Next::Again { at } => Self::Wait(*purpose, *at),
                Next::Check => Self::Check,
                Next::Ask => Self::Ask(match outcome {
                    Outcome::Unknown | Outcome::Cancelled => Question::OutcomeUnknown,
                    _ => Question::Failed,
                }),
            },
            E::QuestionAsked { question, .. } => Self::Asked(*question),
            E::StepSkipped { .. } => Self::Over(StepState::Skipped),
            E::StepBlocked { .. } => Self::Over(StepState::Blocked),
            E::StepCancelled { .. } => Self::Over(StepState::Cancelled),
            E::StepFinished(StepFinished { state, .. }) => Self::Over(*state),
            // What a reset and an accepted request make of a step depends on its record.
            _ => self,
        }
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Over(_))
    }

    /// Whether going on with it starts nothing: it only writes down, or asks.
    pub(super) fn is_at_rest(self) -> bool {
        matches!(self, Self::Decided | Self::Judge | Self::Ask(_) | Self::Asked(_) | Self::Over(_))
    }

    /// Whether an attempt was made and the step has not come to rest since.
    pub(super) fn is_under_way(self) -> bool {
        !matches!(self, Self::Idle | Self::Gate | Self::Sleep(_) | Self::Over(_))
    }
}

/// A gate's requests and answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GateRecord {
    pub(super) request: RequestId,
    pub(super) message: String,
    pub(super) deadline: Option<Timestamp>,
    pub(super) approved_by: Vec<Actor>,
    /// What was told, defaults included.
    pub(super) inputs: BTreeMap<String, Value>,
    pub(super) asked: Timestamp,
    pub(super) reminded: u32,
    /// The decision, and the person and words of a rejection.
    pub(super) settled: Option<bool>,
    pub(super) rejected_by: Option<Actor>,
    pub(super) reason: Option<String>,
}

/// All that the journal says about one step.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that the journal tells")]
pub(super) struct Record {
    pub(super) stage: Stage,
    /// Number of the last attempt (or reading) of the action.
    pub(super) attempt: u32,
    /// Attempts that no longer count: those before the last reset.
    pub(super) base: u32,
    /// How often the last attempt was launched, over all sessions.
    pub(super) launch: u32,
    /// Launches again of the last attempt in this session.
    pub(super) relaunches: u32,
    /// Number of the last check.
    pub(super) checks: u32,
    /// Ways of checking that could not tell.
    pub(super) way: u32,
    /// Whether the first reading of a `repeat` was started.
    pub(super) polling: bool,
    /// Of a group that is repeated: for how many rounds in a row its condition has held.
    pub(super) held: u32,
    /// Of a group, loop or element: whether it was over and is open again, with nothing of it under
    /// way since.
    pub(super) left: bool,
    /// When the attempt, or the whole `repeat`, is given up.
    pub(super) deadline: Option<Timestamp>,
    /// Outcome of the last attempt of the action.
    pub(super) outcome: Option<Outcome>,
    /// Whether the action was begun, and not taken back or closed since.
    pub(super) begun: bool,
    /// Whether the action is known to be done.
    pub(super) done: bool,
    /// Number of the last attempt that may have done something, for all that is ever known: it ended
    /// with an error of its own, or another one followed although nobody could tell. 0: none.
    pub(super) acted: u32,
    /// Whether it has failed since it was last put back: a skip does not heal that.
    pub(super) failed: bool,
    pub(super) skip: Option<SkipReason>,
    /// Whether an attempt may have been started in a lost part of the journal.
    pub(super) lost: bool,
    /// How many times people were asked to approve.
    pub(super) gates: u32,
    /// When it was first started.
    pub(super) started: Option<(Timestamp, u64)>,
    /// When the attempt under way was started, in milliseconds of the run.
    pub(super) attempt_ms: u64,
    /// When it was put back to run once more, in milliseconds of the run.
    pub(super) back_ms: u64,
    /// When it was over.
    pub(super) over: Option<(Timestamp, u64)>,
    /// Milliseconds spent waiting for people.
    pub(super) people_ms: u64,
    /// Since when it waits for people.
    pub(super) people_since: Option<u64>,
    pub(super) recovery_point: Option<Timestamp>,
    pub(super) outputs: BTreeMap<String, Value>,
    pub(super) warnings: Vec<String>,
    pub(super) blocked_by: Vec<Index>,
    pub(super) input: Option<Value>,
    pub(super) result: Option<Value>,
    pub(super) error: Option<Box<CallError>>,
    pub(super) gate: Option<Box<GateRecord>>,
    /// What a person decided and is not yet carried out.
    pub(super) decision: Option<Box<Request>>,
    /// Whether its failure is to unwind the run, and that has not begun.
    pub(super) unwinds: bool,
    /// Whether its failure took the run back.
    pub(super) undid: bool,
    /// Whether a person said that it was done.
    pub(super) assumed: bool,
}

impl Record {
    /// Whether it is over, and a need on it is met.
    pub(super) fn is_met(&self) -> bool {
        matches!(self.stage, Stage::Over(state) if state.is_met())
            && !(self.failed && self.stage == Stage::Over(StepState::Skipped))
    }

    pub(super) fn could_not_be_undone(&self) -> bool {
        self.stage == Stage::Over(StepState::UndoFailed)
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self.stage, Stage::Over(StepState::Failed | StepState::TimedOut))
    }

    /// Whether it failed and nobody has put it back since: also if what it had done could not be taken back.
    pub(super) fn stands_failed(&self) -> bool {
        self.is_failed() || (self.undid && self.could_not_be_undone())
    }

    /// The word for expressions.
    pub(super) fn state(&self) -> StepState {
        match self.stage {
            Stage::Idle => StepState::Pending,
            Stage::Gate | Stage::Sleep(_) => StepState::Waiting,
            Stage::Asked(Question::OutcomeUnknown) => StepState::Unknown,
            Stage::Over(state) => state,
            _ => StepState::Running,
        }
    }

    /// What the people who approved told.
    pub(super) fn told(&self) -> BTreeMap<String, Value> {
        self.gate.as_ref().map(|gate| gate.inputs.clone()).unwrap_or_default()
    }

    /// Attempts that count.
    pub(super) fn used(&self) -> u32 {
        self.attempt - self.base
    }

    /// Takes an event about this step in.
    pub(super) fn fold(&mut self, step: &Step, event: &EventKind, at: Timestamp, elapsed: u64) {
        let was = self.stage;
        self.stage = was.next(event);
        match event {
            EventKind::ApprovalRequested { request, message, deadline, .. } => {
                self.gates += 1;
                self.gate = Some(Box::new(GateRecord {
                    request: request.clone(),
                    message: message.clone(),
                    deadline: *deadline,
                    approved_by: Vec::new(),
                    inputs: BTreeMap::new(),
                    asked: at,
                    reminded: 0,
                    settled: None,
                    rejected_by: None,
                    reason: None,
                }));
            }
            EventKind::ApprovalReminded { number, .. } => {
                if let Some(gate) = &mut self.gate {
                    gate.reminded = *number;
                }
            }
            EventKind::ApprovalAnswered { approved, by, settled, reason, inputs, .. } => {
                if let Some(gate) = &mut self.gate {
                    if *approved {
                        gate.inputs.clone_from(inputs);
                        gate.approved_by.extend(by.clone());
                    } else {
                        gate.rejected_by.clone_from(by);
                        gate.reason.clone_from(reason);
                    }
                    if *settled {
                        gate.settled = Some(*approved);
                    }
                }
            }
            EventKind::AttemptStarted { attempt, purpose, launch, input, deadline, .. } => {
                self.started.get_or_insert((at, elapsed));
                self.attempt_ms = elapsed;
                if *purpose == Purpose::Check {
                    self.checks = *attempt;
                } else {
                    self.launch = *launch;
                    self.relaunches =
                        if *attempt == self.attempt { self.relaunches + 1 } else { 0 };
                    self.attempt = *attempt;
                    self.begun = true;
                    self.outcome = None;
                    if let Some(input) = input {
                        self.input = Some(input.clone());
                    }
                    let polls = matches!(purpose, Purpose::Repeat | Purpose::Validate);
                    if !(polls && self.polling) {
                        self.deadline = *deadline;
                    }
                    self.polling = polls;
                    self.way = 0;
                }
            }
            EventKind::AttemptFinished(finished) => self.attempt_finished(finished),
            EventKind::QuestionAsked { question: Question::Failed, message, .. } => {
                self.error.get_or_insert_with(|| {
                    Box::new(CallError::permanent("failed", message.clone()))
                });
            }
            EventKind::StepSkipped { reason, .. } => {
                self.skip = Some(*reason);
                self.failed |= was.is_under_way() && *reason != SkipReason::NotDone;
            }
            EventKind::StepFinished(finished) => {
                self.outputs.clone_from(&finished.outputs);
                self.warnings.clone_from(&finished.warnings);
                self.error = finished.error.clone().map(Box::new);
                self.recovery_point = finished.recovery_point;
                self.failed = self.is_failed();
                let told = self.decision.as_ref().is_some_and(|r| r.ask == RequestKind::Undo);
                self.unwinds = self.failed && (told || step.on_failure == OnFailure::Undo);
                // Whatever became of taking it back, it is still why the rest is.
                self.undid = self.unwinds || (self.undid && self.could_not_be_undone());
                self.assumed = finished.by.is_some();
            }
            EventKind::RoundStarted { held, .. } => self.held = *held,
            EventKind::StepReset { redo, .. } => self.reset(step, *redo, was),
            EventKind::RequestAccepted { request } => self.request(step, request),
            _ => {}
        }
        self.keep_time(was, event, at, elapsed);
    }

    fn attempt_finished(&mut self, finished: &AttemptFinished) {
        self.lost &= finished.next == Next::Check;
        if finished.purpose == Purpose::Check {
            self.checks = self.checks.max(finished.attempt);
            if finished.next == Next::Check {
                self.way += 1;
            }
        } else {
            self.attempt = finished.attempt;
            self.outcome = Some(finished.outcome);
        }
        if leaves_something(finished) {
            self.acted = self.attempt;
        }
        if matches!(finished.next, Next::Proceed | Next::Ask) {
            self.outcome = Some(finished.outcome);
            self.done = finished.outcome == Outcome::Succeeded
                || (finished.outcome == Outcome::Unknown && finished.error.is_none());
        }
        if let Some(outputs) = &finished.outputs {
            self.outputs.clone_from(outputs);
        }
        if finished.result.is_some() {
            self.result.clone_from(&finished.result);
        }
        self.warnings.clone_from(&finished.warnings);
        self.recovery_point = finished.recovery_point;
        // A check that goes on says nothing about why it was made.
        if finished.purpose != Purpose::Check || matches!(finished.next, Next::Proceed | Next::Ask)
        {
            self.error = finished.error.clone().map(Box::new);
        }
    }

    /// A person puts the step back.
    fn reset(&mut self, step: &Step, redo: bool, was: Stage) {
        self.decision = None;
        self.failed = false;
        if was == Stage::Asked(Question::OutcomeUnknown) && !redo {
            self.way = 0;
            self.stage = Stage::Check;
            return;
        }
        self.stage = Stage::Idle;
        self.error = None;
        self.warnings.clear();
        self.recovery_point = None;
        self.skip = None;
        // Whether an action still fails as it must is only seen by calling it.
        let kept = step.effect != dr_plugin::Effect::Pure && step.expect_error.is_none();
        if self.done && !redo && kept {
            self.stage = Stage::Judge;
            return;
        }
        self.fresh();
        if self.gate.as_ref().is_some_and(|gate| gate.settled != Some(true)) {
            self.gate = None;
        }
    }

    /// Everything about the action is forgotten but its number and what it rendered.
    fn fresh(&mut self) {
        self.base = self.attempt;
        self.way = 0;
        self.polling = false;
        self.deadline = None;
        self.outcome = None;
        self.done = false;
        self.outputs.clear();
        self.result = None;
    }

    fn request(&mut self, step: &Step, request: &Request) {
        if request.ask == RequestKind::AssumeNotDone {
            self.way = 0;
            // A job that could not tell about itself would not start again under its own name.
            let fresh = step.keyed == Keyed::Job && matches!(self.stage, Stage::Asked(_));
            self.stage = Stage::Relaunch { at: None, fresh };
        } else {
            self.decision = Some(Box::new(request.clone()));
        }
    }

    /// What was prevented or stopped may run again: a session begins, or what prevented it is gone.
    pub(super) fn reopen(&mut self) {
        if self.stage == Stage::Over(StepState::Cancelled) {
            if !self.done {
                self.fresh();
            }
            self.error = None;
            self.warnings.clear();
        }
        self.stage = Stage::Idle;
        self.blocked_by.clear();
        self.over = None;
        if self.gate.as_ref().is_some_and(|gate| gate.settled.is_none()) {
            self.gate = None;
        }
    }

    /// Everything about it begins anew, but its numbers go on. People who let it run before it was
    /// taken back are asked again.
    pub(super) fn put_back(&mut self, because: Reopening, elapsed_ms: u64) {
        self.back_ms = elapsed_ms;
        self.started = None;
        self.people_ms = 0;
        if because == Reopening::TakenBack {
            self.gate = None;
        }
        self.stage = Stage::Idle;
        self.fresh();
        self.begun = false;
        self.acted = 0;
        self.error = None;
        self.warnings.clear();
        self.recovery_point = None;
        self.skip = None;
        self.failed = false;
        self.over = None;
    }

    /// What is inside the group that it ends has changed: it is open again.
    pub(super) fn regroup(&mut self) {
        self.fresh();
        self.stage = Stage::Idle;
        self.failed = false;
        self.decision = None;
        self.error = None;
        self.warnings.clear();
        self.skip = None;
        self.blocked_by.clear();
        self.over = None;
    }

    /// A session begins: checks begin anew.
    pub(super) fn resume(&mut self) {
        self.way = 0;
        self.relaunches = 0;
        if matches!(self.stage, Stage::Running(Purpose::Check) | Stage::Wait(Purpose::Check, _)) {
            self.stage = Stage::Check;
        }
    }

    fn keep_time(&mut self, was: Stage, event: &EventKind, at: Timestamp, elapsed: u64) {
        let with_people = |stage| matches!(stage, Stage::Gate | Stage::Asked(_));
        match (with_people(was), with_people(self.stage)) {
            (false, true) => self.people_since = Some(elapsed),
            (true, false) => {
                let since = self.people_since.take().unwrap_or(elapsed);
                self.people_ms += elapsed.saturating_sub(since);
            }
            _ => {}
        }
        let ends = matches!(
            event,
            EventKind::StepSkipped { .. }
                | EventKind::StepBlocked { .. }
                | EventKind::StepCancelled { .. }
                | EventKind::StepFinished(_)
        );
        if ends {
            self.over = Some((at, elapsed));
            // What a person decided about a step that is prevented still holds when it is not.
            if !matches!(self.stage, Stage::Over(StepState::Blocked | StepState::Cancelled)) {
                self.decision = None;
            }
        } else if !self.stage.is_over() {
            self.over = None;
        }
    }
}

/// Whether the end of an attempt says, or leaves open for good, that something was done by it.
fn leaves_something(finished: &AttemptFinished) -> bool {
    let by_itself = || {
        let class = finished.error.as_ref().map(|error| error.class);
        finished.purpose != Purpose::Check && class == Some(ErrorClass::Permanent)
    };
    let given_up = finished.outcome == Outcome::Unknown
        && matches!(finished.next, Next::Launch { fresh: true, .. });
    given_up || by_itself()
}
