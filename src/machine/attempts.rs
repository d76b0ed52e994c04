use std::sync::Arc;

use dr_plugin::{CallError, ErrorClass};
use serde_json::Value;

use super::graph::{Index, Role};
use super::io::{AttemptResult, Effect, Launch, LaunchKind, Ticket};
use super::machine::{Flight, FlightKind, Machine};
use super::names::Scope;
use super::rules::finish::{self, Finish, not_evaluated};
use super::rules::retry::{self, Judgement};
use super::rules::unknown;
use super::step::Stage;
use crate::event::{AttemptFinished, EventKind, Next, Outcome, Purpose};
use crate::markup::holds_masked;
use crate::plan::Step;
use crate::words::{OnFailure, OnUnknown};

/// What is decided from an attempt's end.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) outcome: Outcome,
    pub(super) finish: Finish,
    pub(super) result: Option<Value>,
    pub(super) next: Next,
}

impl Decision {
    /// The attempt brings nothing; `next` follows.
    pub(super) fn error(outcome: Outcome, error: CallError, next: Next) -> Self {
        let finish = Finish { error: Some(error), ..Finish::default() };
        Self { outcome, finish, result: None, next }
    }
}

impl Machine {
    /// The step has its slots and starts.
    pub(super) fn begin(&mut self, step: Index) {
        if self.is_stopping(step) {
            self.free_slots(step);
            if self.graph.role(step) == Role::Forward {
                self.emit(EventKind::StepCancelled { step: self.graph.id(step) });
            }
        } else if self.checks_before_undo(step) {
            self.start_check(step);
        } else if self.graph.step(step).repeat.is_some() {
            self.next_reading(step);
        } else {
            self.launch(step, true);
        }
    }

    /// The action's arguments, rendered once in the life of the step. Says whether just now.
    pub(super) fn input(&self, step: Index) -> Result<(Value, bool), CallError> {
        let kept = |step| self.state.record(step).input.as_ref();
        // What was masked in the journal is no input: it is rendered again, from what is known now.
        if let Some(input) = kept(step).filter(|input| !holds_masked(input)) {
            return Ok((input.clone(), false));
        }
        // An action that undoes itself is told what it was told to do.
        if let Role::Undo(of) = self.graph.role(step)
            && self.undoes_itself(of)
        {
            let input = match kept(of) {
                Some(input) if holds_masked(input) => self.rendered(of)?,
                input => input.cloned().unwrap_or_default(),
            };
            return Ok((input, false));
        }
        let input = self.rendered(step)?;
        // No arguments at all are not worth a word, nor told from none in the journal.
        let new = !input.is_null();
        Ok((input, new))
    }

    fn rendered(&self, step: Index) -> Result<Value, CallError> {
        let told = self.state.record(step).told();
        let scope =
            Scope { outputs: Some(&told), ..Scope::new(&self.graph, &self.state, self.now, step) };
        let input = scope.render(&self.graph.step(step).with);
        input.map_err(|error| not_evaluated("text", "with", &error))
    }

    /// Launches the action: a new attempt if `fresh`, else the last one again, with its key.
    pub(super) fn launch(&mut self, step: Index, fresh: bool) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let Some(uses) = plan.uses.clone() else { return };
        if fresh && self.state.record(step).lost && !may_repeat(plan) {
            return self.perhaps_launched(step);
        }
        let (input, new) = match self.input(step) {
            Ok(input) => input,
            Err(error) => return self.fail(step, error),
        };
        let record = self.state.record(step);
        let (attempt, launch) = if fresh || record.attempt == 0 {
            (record.attempt + 1, 1)
        } else {
            (record.attempt, record.launch + 1)
        };
        let purpose = self.purpose(step);
        let kind = match graph.role(step) {
            Role::Undo(of) if self.undoes_itself(of) => LaunchKind::Undo,
            _ => LaunchKind::Apply,
        };
        self.emit(EventKind::AttemptStarted {
            step: plan.id.clone(),
            attempt,
            purpose,
            launch,
            input: new.then(|| input.clone()),
            deadline: plan.timeout_ms.map(|ms| self.after_ms(ms)),
        });
        self.session.live[step as usize].tries = 0;
        let ticket = self.ticket(step, FlightKind::Action);
        self.ask(Effect::Launch(Box::new(Launch {
            ticket,
            step: plan.id.clone(),
            attempt,
            purpose,
            settings: graph.settings(plan, &uses),
            uses,
            kind,
            host: graph.host(plan.host.as_ref()),
            input,
            effect: plan.effect,
            timeout_ms: plan.timeout_ms,
        })));
    }

    /// Launches again what the last attempt's end, a check or a person said is to be launched.
    pub(super) fn relaunch(&mut self, step: Index) {
        let Stage::Relaunch { fresh, .. } = self.state.stage(step) else { return };
        if self.is_unwinding_past(step) && !self.session.live[step as usize].found_running {
            self.start_check(step);
        } else {
            self.launch(step, fresh);
        }
    }

    /// The step was running when the session before this one ended without a word.
    pub(super) fn interrupted(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        if plan.repeat.is_some() {
            self.next_reading(step);
        } else if may_repeat(plan) && !self.is_unwinding_past(step) {
            self.launch(step, false);
        } else {
            let record = self.state.record(step);
            let (attempt, since) = (record.attempt, record.attempt_ms);
            let decision = self.unknown(step, 0, unknown::crashed());
            self.attempt_over(step, attempt, self.purpose(step), since, decision);
        }
    }

    /// Whether the run is being taken back around a step that goes forward: nothing of it is begun
    /// any more, and what may run on without `dr` is only joined.
    pub(super) fn is_unwinding_past(&self, step: Index) -> bool {
        self.state.is_unwinding() && self.graph.role(step) == Role::Forward
    }

    /// The next attempt may have been launched already: the part of the journal that would tell was
    /// given up.
    fn perhaps_launched(&mut self, step: Index) {
        let attempt = self.state.record(step).attempt + 1;
        let decision = self.unknown(step, 0, unknown::unrecorded());
        self.attempt_over(step, attempt, self.purpose(step), self.now.elapsed_ms, decision);
    }

    /// A launched attempt came back.
    pub(super) fn attempt_done(&mut self, ticket: Ticket, result: AttemptResult) {
        let Some(flight) = self.session.flights.remove(&ticket) else { return };
        let Flight { step, kind, launched_ms } = flight;
        self.session.live[step as usize].ticket = None;
        match (kind, result) {
            (FlightKind::Action, AttemptResult::Applied(result)) => {
                self.action_done(step, launched_ms, result);
            }
            (FlightKind::Reading, AttemptResult::Applied(result)) => {
                self.reading_done(step, launched_ms, &result);
            }
            (FlightKind::ActionCheck, AttemptResult::Checked(result)) => {
                self.action_checked(step, launched_ms, result);
            }
            (FlightKind::StepCheck, AttemptResult::Applied(result)) => {
                self.step_checked(step, launched_ms, result);
            }
            // The answer to another question than was asked tells nothing.
            (FlightKind::Action | FlightKind::Reading, AttemptResult::Checked(_)) => {
                let error = CallError::unknown("protocol", "the plugin answered a check");
                self.action_done(step, launched_ms, Err(error));
            }
            (FlightKind::ActionCheck | FlightKind::StepCheck, _) => {
                let error = CallError::unknown("protocol", "the plugin did not answer the check");
                self.step_checked(step, launched_ms, Err(error));
            }
        }
    }

    fn action_done(&mut self, step: Index, since: u64, result: Result<Value, CallError>) {
        let decision = match result {
            Ok(value) => self.succeeded(step, Some(value)),
            Err(error) => self.after_error(step, error),
        };
        let attempt = self.state.record(step).attempt;
        self.attempt_over(step, attempt, self.purpose(step), since, decision);
    }

    /// The action is done, with this result if it is known.
    pub(super) fn succeeded(&self, step: Index, result: Option<Value>) -> Decision {
        let plan = self.graph.step(step);
        let scope = Scope {
            result: result.as_ref(),
            ..Scope::new(&self.graph, &self.state, self.now, step)
        };
        let finish = finish::finish(plan, &scope);
        let failed = finish.error.is_some();
        let next = if failed { self.failed(step) } else { Next::Proceed };
        // Kept where the action must not be repeated only to look at its result once more.
        let kept = failed && plan.effect != dr_plugin::Effect::Pure;
        let result = result.filter(|result| kept && !result.is_null());
        Decision { outcome: Outcome::Succeeded, finish, result, next }
    }

    /// What follows when the step has failed for good.
    pub(super) fn failed(&self, step: Index) -> Next {
        match self.graph.step(step).on_failure {
            OnFailure::Ask => Next::Ask,
            _ => Next::Proceed,
        }
    }

    fn after_error(&self, step: Index, error: CallError) -> Decision {
        let plan = self.graph.step(step);
        let record = self.state.record(step);
        if error.class == ErrorClass::Cancelled && self.is_stopped() {
            if plan.effect.is_repeatable() {
                return Decision::error(Outcome::Cancelled, error, Next::Proceed);
            }
            let mut decision = self.unknown(step, 0, error);
            decision.outcome = Outcome::Cancelled;
            if !matches!(decision.next, Next::Check) {
                decision.next = Next::Ask;
            }
            return decision;
        }
        let scope = Scope::new(&self.graph, &self.state, self.now, step).error(&error);
        match plan.expect_error.as_ref().map(|expected| (expected, expected.decide(&scope))) {
            None | Some((_, Ok(false))) => {}
            Some((_, Ok(true))) => {
                let afterwards = Scope::new(&self.graph, &self.state, self.now, step);
                let finish = finish::failed_as_expected(plan, &error, &afterwards);
                let next = match &finish.error {
                    Some(_) => self.failed(step),
                    None => Next::Proceed,
                };
                return Decision { outcome: Outcome::Succeeded, finish, result: None, next };
            }
            Some((expected, Err(why))) => {
                let why = not_evaluated("condition", expected.source(), &why);
                return Decision::error(
                    outcome_of(&error),
                    error.clone().with_cause(&why.message),
                    self.failed(step),
                );
            }
        }
        let judged = retry::judge(plan, &error, record.used(), record.relaunches, |when| {
            when.decide(&scope)
        });
        let failed = outcome_of(&error);
        match judged {
            Err(why) => Decision::error(failed, retry::undecided(&error, &why), self.failed(step)),
            Ok(Judgement::Again(_)) if self.is_stopping(step) => {
                Decision::error(Outcome::Cancelled, error, Next::Proceed)
            }
            Ok(Judgement::Again(ms)) => {
                Decision::error(failed, error, Next::Again { at: self.after_ms(ms) })
            }
            Ok(Judgement::Relaunch(ms)) => {
                let at = Some(self.after_ms(ms));
                Decision::error(
                    Outcome::Unknown,
                    error,
                    Next::Launch { at, fresh: false, joins: false },
                )
            }
            Ok(Judgement::Unknown) => self.unknown(step, 0, error),
            Ok(Judgement::CheckThenAgain) if unknown::way(plan, 0).is_some() => {
                Decision::error(failed, error, Next::Check)
            }
            Ok(Judgement::CheckThenAgain | Judgement::Failed) => {
                Decision::error(failed, error, self.failed(step))
            }
        }
    }

    /// Nobody knows yet whether the attempt was applied, and `tried` ways of finding out could not
    /// tell.
    pub(super) fn unknown(&self, step: Index, tried: u32, error: CallError) -> Decision {
        let plan = self.graph.step(step);
        if unknown::way(plan, tried).is_some() {
            return Decision::error(Outcome::Unknown, error, Next::Check);
        }
        match plan.on_unknown {
            OnUnknown::Ask => Decision::error(Outcome::Unknown, error, Next::Ask),
            OnUnknown::Retry => {
                let record = self.state.record(step);
                if record.used() < unknown::attempts(&plan.retry) {
                    let at = Some(self.after_ms(retry::backoff(&plan.retry, record.used())));
                    let next = Next::Launch { at, fresh: true, joins: false };
                    return Decision::error(Outcome::Unknown, error, next);
                }
                Decision::error(outcome_of(&error), error, self.failed(step))
            }
            OnUnknown::Fail => Decision::error(outcome_of(&error), error, self.failed(step)),
            OnUnknown::Done => {
                let scope = Scope::new(&self.graph, &self.state, self.now, step);
                let mut finish = finish::finish(plan, &scope);
                let missing = finish.error.take();
                finish
                    .warnings
                    .insert(0, format!("counts as done although nobody knows: {}", error.message));
                finish.warnings.extend(missing.map(|missing| missing.message));
                let (outcome, next) = (Outcome::Unknown, Next::Proceed);
                Decision { outcome, finish, result: None, next }
            }
        }
    }

    /// What the attempts of the step's action are for.
    pub(super) fn purpose(&self, step: Index) -> Purpose {
        let plan = self.graph.step(step);
        match (self.graph.role(step), &plan.validates, &plan.repeat) {
            (Role::Undo(_), _, None) => Purpose::Undo,
            (_, Some(_), _) => Purpose::Validate,
            (_, None, Some(_)) => Purpose::Repeat,
            (_, None, None) => Purpose::Apply,
        }
    }

    /// Writes the end of an attempt.
    pub(super) fn attempt_over(
        &mut self,
        step: Index,
        attempt: u32,
        purpose: Purpose,
        since: u64,
        decision: Decision,
    ) {
        let Decision { outcome, finish, result, next } = decision;
        let captured = outcome == Outcome::Succeeded || !finish.outputs.is_empty();
        self.emit(EventKind::AttemptFinished(AttemptFinished {
            step: self.graph.id(step),
            attempt,
            purpose,
            outcome,
            duration_ms: self.now.elapsed_ms.saturating_sub(since),
            error: finish.error,
            expected: finish.expected,
            outputs: captured.then_some(finish.outputs),
            result,
            warnings: finish.warnings,
            recovery_point: finish.recovery_point,
            next,
        }));
        self.later(step);
    }
}

/// Whether an attempt may be launched again although it may have been applied.
fn may_repeat(step: &Step) -> bool {
    step.effect.is_repeatable() || step.keyed == dr_plugin::Keyed::Token
}

/// The outcome of an attempt that ended for good with this error.
pub(super) fn outcome_of(error: &CallError) -> Outcome {
    if error.code == "timeout" { Outcome::TimedOut } else { Outcome::Failed }
}
