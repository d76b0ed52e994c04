use std::sync::Arc;

use dr_plugin::{CallError, Checked, Effect as Does, ErrorClass, Keyed};
use serde_json::Value;

use super::attempts::Decision;
use super::graph::Index;
use super::io::{Effect, Launch, LaunchKind};
use super::machine::{FlightKind, Machine};
use super::names::Scope;
use super::rules::finish::{Finish, MASKED, needs_result, not_evaluated};
use super::rules::retry;
use super::rules::unknown::{self, Way};
use crate::event::{EventKind, Next, Outcome, Purpose};

/// What a check found out.
enum Found {
    Done(Option<Value>),
    NotDone,
    Running,
    CannotTell(String),
    /// The check itself failed.
    Error(CallError),
}

impl Machine {
    /// Asks, in the next way, what became of the last attempt.
    pub(super) fn start_check(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let record = self.state.record(step);
        let number = record.checks + 1;
        let about = self.checked_step(step);
        let (own, plan) = (graph.id(step), graph.step(about));
        let attempt = self.state.record(about).attempt;
        let (launch, kind) = match self.next_way(&graph, step, record.way) {
            None => {
                // Only a plan that lost its check leads here.
                let (attempt, since) = (record.attempt, self.now.elapsed_ms);
                let decision = self.unknown(step, record.way, unknown::crashed());
                return self.attempt_over(step, attempt, self.purpose(step), since, decision);
            }
            Some(Way::Action) => {
                let Some(uses) = plan.uses.clone() else { return };
                let input = match self.input(about) {
                    Ok((input, _)) => input,
                    Err(error) if error.code == MASKED => {
                        let found = Found::CannotTell(error.message);
                        return self.checked(step, self.now.elapsed_ms, number, found);
                    }
                    // Not rendered yet where the journal lost that it was.
                    Err(_) => Value::Null,
                };
                let launch = Launch {
                    ticket: super::io::Ticket(0),
                    step: plan.id.clone(),
                    attempt,
                    purpose: self.purpose(about),
                    settings: graph.settings(plan, &uses),
                    uses,
                    kind: LaunchKind::Check,
                    host: graph.host(plan.host.as_ref()),
                    input,
                    effect: plan.effect,
                    timeout_ms: Some(unknown::CHECK_LIMIT_MS),
                };
                (launch, FlightKind::ActionCheck)
            }
            Some(Way::Check(check)) => {
                let scope = Scope::new(&graph, &self.state, self.now, about);
                let input = match scope.render(&check.with) {
                    Ok(input) => input,
                    Err(error) => {
                        let error = not_evaluated("text", "check.with", &error);
                        self.checked(
                            step,
                            self.now.elapsed_ms,
                            number,
                            Found::CannotTell(error.message),
                        );
                        return;
                    }
                };
                let launch = Launch {
                    ticket: super::io::Ticket(0),
                    step: own.clone(),
                    attempt: number,
                    purpose: Purpose::Check,
                    settings: graph.settings(plan, &check.uses),
                    uses: check.uses.clone(),
                    kind: LaunchKind::Apply,
                    host: graph.host(check.host.as_ref().or(plan.host.as_ref())),
                    input,
                    effect: Does::Pure,
                    timeout_ms: Some(check.timeout_ms),
                };
                (launch, FlightKind::StepCheck)
            }
        };
        self.emit(EventKind::AttemptStarted {
            step: own,
            attempt: number,
            purpose: Purpose::Check,
            launch: 1,
            input: (kind == FlightKind::StepCheck && !launch.input.is_null())
                .then(|| launch.input.clone()),
            deadline: launch.timeout_ms.map(|ms| self.after_ms(ms)),
        });
        let ticket = self.ticket(step, kind);
        self.ask(Effect::Launch(Box::new(Launch { ticket, ..launch })));
    }

    pub(super) fn action_checked(
        &mut self,
        step: Index,
        since: u64,
        result: Result<Checked, CallError>,
    ) {
        let found = match result {
            Ok(Checked::Done(result)) => Found::Done(result),
            // What an action keeps to tell is put away once its result is recorded: after that
            // record was lost, nothing kept does not mean nothing done.
            Ok(Checked::NotDone) if self.state.record(step).lost => Found::CannotTell(
                "what would tell may have been put away after its result was recorded".to_owned(),
            ),
            Ok(Checked::NotDone) => Found::NotDone,
            Ok(Checked::Running) => Found::Running,
            Ok(Checked::CannotTell(why)) => Found::CannotTell(why),
            Err(error) => Found::Error(error),
        };
        self.checked(step, since, self.state.record(step).checks, found);
    }

    pub(super) fn step_checked(
        &mut self,
        step: Index,
        since: u64,
        result: Result<Value, CallError>,
    ) {
        let found = match result {
            Err(error) => Found::Error(error),
            Ok(value) => self.judge_check(step, &value),
        };
        self.checked(step, since, self.state.record(step).checks, found);
    }

    fn judge_check(&self, step: Index, value: &Value) -> Found {
        let about = self.checked_step(step);
        let Some(check) = &self.graph.step(about).check else {
            return Found::CannotTell("there is no check".to_owned());
        };
        let scope =
            Scope { result: Some(value), ..Scope::new(&self.graph, &self.state, self.now, about) };
        match check.done.decide(&scope) {
            Ok(true) => return Found::Done(None),
            Ok(false) => {}
            Err(error) => {
                return Found::CannotTell(format!("`{}`: {error}", check.done.source()));
            }
        }
        match check.running.as_ref().map(|running| (running, running.decide(&scope))) {
            None | Some((_, Ok(false))) => Found::NotDone,
            Some((_, Ok(true))) => Found::Running,
            Some((running, Err(error))) => {
                Found::CannotTell(format!("`{}`: {error}", running.source()))
            }
        }
    }

    fn checked(&mut self, step: Index, since: u64, number: u32, found: Found) {
        if let Found::Error(error) = &found
            && error.class == ErrorClass::Cancelled
            && self.is_stopped()
        {
            // The next session asks again.
            self.free_slots(step);
            return;
        }
        let decision = if self.checked_step(step) == step {
            self.found(step, found)
        } else {
            self.found_before_undo(step, &found)
        };
        if !matches!(decision.next, Next::Again { .. }) {
            self.session.live[step as usize].tries = 0;
        }
        self.attempt_over(step, number, Purpose::Check, since, decision);
    }

    /// There is something to take back, unless it is certain that there is not.
    fn found_before_undo(&mut self, step: Index, found: &Found) -> Decision {
        let about = self.checked_step(step);
        let way = self.state.record(step).way;
        // A job tells of its own attempt only, and not of those before.
        let says_all = self.next_way(&self.graph, step, way) != Some(Way::Action)
            || self.graph.step(about).keyed != Keyed::Job
            || self.state.record(about).acted == 0;
        let next = match found {
            Found::NotDone if says_all => Next::Proceed,
            Found::Error(_) | Found::Running => {
                let tries = &mut self.session.live[step as usize].tries;
                *tries += 1;
                let pause = unknown::pause(*tries);
                if *tries < unknown::CHECK_TRIES {
                    Next::Again { at: self.after_ms(pause) }
                } else {
                    Next::Launch { at: None, fresh: true, joins: false }
                }
            }
            Found::NotDone | Found::CannotTell(_)
                if self.next_way(&self.graph, step, way + 1).is_some() =>
            {
                Next::Check
            }
            Found::Done(_) | Found::NotDone | Found::CannotTell(_) => {
                Next::Launch { at: None, fresh: true, joins: false }
            }
        };
        Decision { outcome: Outcome::Succeeded, finish: Finish::default(), result: None, next }
    }

    fn found(&mut self, step: Index, found: Found) -> Decision {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let record = self.state.record(step);
        let by_action = unknown::way(plan, record.way) == Some(Way::Action);
        match found {
            Found::Error(error) => {
                let tries = &mut self.session.live[step as usize].tries;
                *tries += 1;
                if *tries < unknown::CHECK_TRIES {
                    let pause = unknown::pause(*tries);
                    let next = Next::Again { at: self.after_ms(pause) };
                    return Decision::error(Outcome::Failed, error, next);
                }
                self.cannot_tell(step, &error.message)
            }
            Found::Done(None) if needs_result(plan) => {
                self.cannot_tell(step, "it was done, but what it gave is not known and is needed")
            }
            Found::Done(result) => self.succeeded(step, result),
            Found::NotDone if self.is_unwinding_past(step) => {
                let error = CallError::cancelled("it had not begun when what was done is undone");
                Decision::error(Outcome::Cancelled, error, Next::Proceed)
            }
            Found::NotDone if is_failed(record.outcome) => {
                let at = Some(self.after_ms(retry::backoff(&plan.retry, record.used())));
                self.launch_again(step, Next::Launch { at, fresh: true, joins: false })
            }
            Found::NotDone if retry::may_relaunch(record.relaunches) => {
                let again = record.relaunches;
                let at = (again > 0).then(|| self.after_ms(retry::backoff(&plan.retry, again)));
                // A job that could not tell about itself would not start again under its name.
                let fresh = !by_action && plan.keyed == Keyed::Job;
                self.launch_again(step, Next::Launch { at, fresh, joins: false })
            }
            Found::NotDone => {
                let message = "it is launched again and again and never starts";
                let error = CallError::permanent("never_starts", message);
                Decision::error(Outcome::Failed, error, self.failed(step))
            }
            Found::Running if by_action && retry::may_relaunch(record.relaunches) => {
                self.session.live[step as usize].found_running = true;
                let joins = Next::Launch { at: None, fresh: false, joins: true };
                self.launch_again(step, joins)
            }
            Found::Running if !by_action && record.deadline.is_none_or(|at| self.now.at < at) => {
                let tries = &mut self.session.live[step as usize].tries;
                *tries += 1;
                let pause = unknown::pause(*tries);
                let error = CallError::transient("still_going", "it is still going");
                let next = Next::Again { at: self.after_ms(pause) };
                Decision::error(Outcome::Unknown, error, next)
            }
            Found::Running => self.cannot_tell(step, "it is still going, and its time is up"),
            Found::CannotTell(why) => self.cannot_tell(step, &why),
        }
    }

    fn launch_again(&self, step: Index, next: Next) -> Decision {
        let error = self.state.record(step).error.as_deref().cloned();
        let error = error.unwrap_or_else(unknown::crashed);
        Decision::error(Outcome::Failed, error, next)
    }

    /// This way of finding out has led nowhere.
    fn cannot_tell(&self, step: Index, why: &str) -> Decision {
        let record = self.state.record(step);
        let error = record.error.as_deref().cloned().unwrap_or_else(unknown::crashed);
        let tried = record.way + 1;
        if is_failed(record.outcome) {
            if unknown::way(self.graph.step(step), tried).is_some() {
                return Decision::error(Outcome::Unknown, error, Next::Check);
            }
            let outcome = record.outcome.unwrap_or(Outcome::Failed);
            return Decision::error(outcome, error, self.failed(step));
        }
        let mut error = error;
        error.causes.push(why.to_owned());
        self.unknown(step, tried, error)
    }
}

/// Whether the attempt is known to have failed, and was checked only before trying again.
fn is_failed(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Failed | Outcome::TimedOut))
}
