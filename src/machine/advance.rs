use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::CallError;
use serde_json::Value;

use super::graph::{Index, Role};
use super::groups;
use super::io::{Effect, Timer};
use super::machine::Machine;
use super::names::Scope;
use super::rules::finish::{self, Finish, not_evaluated};
use super::rules::{request, tally};
use super::step::Stage;
use crate::event::{
    Actor, EventKind, Outcome, Purpose, Question, SkipReason, StepFinished, StepState,
};
use crate::id::RequestId;
use crate::plan::{OnReject, Step, WINDOW};
use crate::words::OnFailure;

impl Machine {
    /// Goes on with a step from where the journal says that it stands.
    pub(super) fn advance(&mut self, step: Index) {
        if self.session.live[step as usize].ticket.is_some() {
            return;
        }
        if self.state.record(step).decision.is_some() && !self.skips_later(step) {
            self.carry_out(step);
            return;
        }
        if self.is_pausing() && !self.state.stage(step).is_at_rest() {
            self.free_slots(step);
            return;
        }
        let forward = self.graph.role(step) == Role::Forward;
        if self.is_unwinding_past(step) && self.abandon(step) {
            return;
        }
        match self.state.stage(step) {
            Stage::Idle
                if self.session.live[step as usize].holds
                    && self.graph.step(step).uses.is_some() =>
            {
                self.begin(step);
            }
            Stage::Idle => self.consider(step),
            Stage::Gate => self.watch_gate(step),
            Stage::Sleep(until) => self.sleep_on(step, until),
            Stage::Running(_) => {
                if self.has_slots(step) {
                    self.interrupted(step);
                }
            }
            Stage::Wait(purpose, at) => {
                if self.is_stopped() && (purpose == Purpose::Check || !forward) {
                    return;
                }
                if self.is_stopping(step) && purpose != Purpose::Check {
                    self.stop_waiting(step);
                } else if self.has_slots(step) {
                    self.wait(step, at);
                    if !self.session.polls.contains_key(&step) {
                        self.watch_repeat(step);
                    }
                }
            }
            Stage::Relaunch { at, .. } => {
                if !self.is_stopped() && self.has_slots(step) {
                    match at {
                        Some(at) => self.wait(step, at),
                        // There is something to take back, and others do it.
                        None if self.graph.step(step).opens.is_some() => self.compute(step),
                        None => self.relaunch(step),
                    }
                }
            }
            Stage::Check => {
                if !self.is_stopped() && self.has_slots(step) {
                    self.start_check(step);
                }
            }
            Stage::Ask(question) => {
                let message = self.question(step, question);
                self.ask_people(step, question, message);
            }
            Stage::Asked(_) => self.free_slots(step),
            Stage::Judge => self.judge(step),
            Stage::Decided => self.conclude(step),
            Stage::Over(_) => {
                if self.session.live[step as usize].holds {
                    self.let_in(step);
                }
            }
        }
    }

    fn wait(&mut self, step: Index, at: crate::time::Timestamp) {
        let timer = Timer::Next(self.graph.id(step));
        self.ask(Effect::SetTimer { timer, at });
    }

    /// The moment has come that the step waited for.
    pub(super) fn due(&mut self, step: Index) {
        if !self.session.live[step as usize].holds || self.is_pausing() {
            return;
        }
        match self.state.stage(step) {
            Stage::Wait(Purpose::Check, _) => self.start_check(step),
            Stage::Wait(Purpose::Repeat | Purpose::Validate, _)
                if self.graph.step(step).repeat.is_some() =>
            {
                self.next_reading(step);
            }
            Stage::Wait(..) => self.launch(step, true),
            Stage::Relaunch { .. } => self.relaunch(step),
            _ => {}
        }
    }

    /// Nothing is under way: may the step start?
    fn consider(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let may = match graph.role(step) {
            // What has not begun when the run unwinds never does: a group need not wait for what
            // closes something inside it.
            Role::Forward => !self.block(step) && (!self.waits(step) || self.state.is_unwinding()),
            Role::Closing(opener) => self.may_close(step, opener),
            Role::Cleanup => self.may_tidy(step),
            Role::Undo(_) => self.may_undo(step),
        };
        if !may {
            return;
        }
        let plan = graph.step(step);
        // Passed over only now: a need on it must not be met while what it needs itself is not.
        if self.skips_later(step) {
            self.carry_out(step);
            return;
        }
        if let Some(reason) = plan.skip.or_else(|| self.passed_over(step)) {
            // What was left out when the run was started, was so by whoever started it.
            let by_person = plan.skip == Some(SkipReason::Person);
            let started = self.state.started.as_ref().filter(|_| by_person);
            let by = started.map(|started| started.by.clone());
            let note = started.and_then(|started| started.reason.clone());
            self.emit(EventKind::StepSkipped { step: plan.id.clone(), reason, by, note });
            return;
        }
        if self.is_stopping(step) {
            if graph.role(step) == Role::Forward {
                self.emit(EventKind::StepCancelled { step: plan.id.clone() });
            }
            return;
        }
        if graph.begin_of_end(step).is_none() && !self.is_let_in(step) {
            return;
        }
        let record = self.state.record(step);
        let gate = record.gate.as_ref().and_then(|gate| gate.settled);
        if gate == Some(false) {
            self.rejected(step);
            return;
        }
        if let Some(when) = plan.when.as_ref().filter(|_| record.gates + record.attempt == 0) {
            match when.decide(&Scope::new(&graph, &self.state, self.now, step)) {
                Ok(true) => {}
                Ok(false) => {
                    let (step, reason) = (plan.id.clone(), SkipReason::When);
                    self.emit(EventKind::StepSkipped { step, reason, by: None, note: None });
                    return;
                }
                Err(error) => {
                    self.fail(step, not_evaluated("`when`", when.source(), &error));
                    return;
                }
            }
        }
        if plan.approve.is_some() && gate.is_none() {
            self.ask_approval(step);
        } else if plan.uses.is_none() {
            if in_a_window(plan) && !self.has_slots(step) {
                return;
            }
            if self.checks_before_undo(step) {
                if self.has_slots(step) {
                    self.start_check(step);
                }
            } else if plan.sleep.is_some() {
                self.fall_asleep(step);
            } else {
                self.compute(step);
            }
        } else if !self.yields(step) && self.has_slots(step) {
            self.begin(step);
        }
    }

    /// Blocks the step if it can never run as things stand.
    pub(super) fn block(&mut self, step: Index) -> bool {
        let graph = Arc::clone(&self.graph);
        let unmet = |&need: &Index| {
            let record = self.state.record(need);
            record.stage.is_over() && !self.state.is_met(&graph, need)
        };
        let mut by: Vec<Index> = graph.node(step).needs.iter().copied().filter(unmet).collect();
        // What has begun inside a group comes to its end, and the group tells how.
        let sums_up = self.has_begun(step) && !self.state.is_unwinding();
        if by.is_empty() && graph.role(step) == Role::Forward && !sums_up {
            by.extend(self.halted(step));
        }
        if by.is_empty() {
            by.extend(self.stopped_by_failures(step).into_iter().flatten());
        }
        if by.is_empty() && graph.role(step) == Role::Forward && graph.begin_of_end(step).is_none()
        {
            by.extend(self.stopped_by_unwinding(step));
        }
        if by.is_empty() {
            return false;
        }
        let by = by.into_iter().map(|other| graph.id(other)).collect();
        self.emit(EventKind::StepBlocked { step: graph.id(step), by });
        true
    }

    /// A gate, guard, computed or counting step: nothing is launched.
    pub(super) fn compute(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        if plan.group.is_some() {
            match graph.role(step) {
                Role::Undo(_) => self.sum_up_undo(step),
                _ => self.sum_up(step),
            }
            return;
        }
        if plan.opens.is_some() && (!self.expand(step) || self.begins_include(step)) {
            return;
        }
        if let Some(counted) = &plan.tally
            && let Err(error) = tally::tally(&graph, &self.state, counted)
        {
            self.fail(step, error);
            return;
        }
        let scope = Scope::new(&graph, &self.state, self.now, step);
        self.finish(step, finish::finish(plan, &scope));
    }

    /// What follows from a result is decided again.
    fn judge(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let record = self.state.record(step);
        let scope = Scope {
            result: record.result.as_ref(),
            ..Scope::new(&graph, &self.state, self.now, step)
        };
        let finish = if record.result.is_some() || !finish::needs_result(plan) {
            finish::finish(plan, &scope)
        } else {
            // Its outputs were captured when it was done.
            finish::judge(plan, record.outputs.clone(), &scope)
        };
        self.finish(step, finish);
    }

    pub(super) fn finish(&mut self, step: Index, finish: Finish) {
        match finish.error {
            Some(error) => self.fail_with(step, error, finish.outputs, finish.warnings),
            None => self.over_with(step, Outcome::Succeeded, finish),
        }
    }

    /// The step fails without an attempt.
    pub(super) fn fail(&mut self, step: Index, error: CallError) {
        self.fail_with(step, error, BTreeMap::new(), Vec::new());
    }

    fn fail_with(
        &mut self,
        step: Index,
        error: CallError,
        outputs: BTreeMap<String, Value>,
        warnings: Vec<String>,
    ) {
        if self.graph.step(step).on_failure == OnFailure::Ask
            && groups::answers(&self.graph, &self.state, step)
        {
            self.ask_people(step, Question::Failed, error.message);
            return;
        }
        let finish = Finish { outputs, warnings, error: Some(error), ..Finish::default() };
        self.over_with(step, Outcome::Failed, finish);
    }

    /// Everything is decided: the end is written.
    fn conclude(&mut self, step: Index) {
        if self.graph.step(step).opens.is_some() {
            return self.nothing_to_undo(step);
        }
        let record = self.state.record(step);
        let finish = Finish {
            outputs: record.outputs.clone(),
            warnings: record.warnings.clone(),
            recovery_point: record.recovery_point,
            error: record.error.as_deref().cloned(),
            ..Finish::default()
        };
        let outcome = record.outcome.unwrap_or(Outcome::Failed);
        self.over_with(step, outcome, finish);
    }

    pub(super) fn over_with(&mut self, step: Index, outcome: Outcome, finish: Finish) {
        self.finished(step, outcome, finish, None, None);
    }

    /// Writes the end of a step, its policy applied.
    pub(super) fn finished(
        &mut self,
        step: Index,
        outcome: Outcome,
        finish: Finish,
        by: Option<Actor>,
        reason: Option<String>,
    ) {
        let plan = self.graph.step(step);
        let record = self.state.record(step);
        let taken_back = self.graph.undone_with(step).is_some();
        let state = match (&finish.error, outcome) {
            (None, _) if taken_back => StepState::Undone,
            (
                Some(_),
                Outcome::Failed | Outcome::TimedOut | Outcome::Succeeded | Outcome::Unknown,
            ) if taken_back && plan.on_failure != OnFailure::Warn => StepState::UndoFailed,
            (None, _) if finish.warnings.is_empty() => StepState::Succeeded,
            (None, _) => StepState::Warned,
            (Some(_), Outcome::Cancelled) => StepState::Cancelled,
            (Some(_), _) if plan.on_failure == OnFailure::Warn => StepState::Warned,
            (Some(_), Outcome::TimedOut) => StepState::TimedOut,
            (Some(_), _) => StepState::Failed,
        };
        let since = record.people_since.map_or(0, |ms| self.now.elapsed_ms.saturating_sub(ms));
        let finished = StepFinished {
            step: plan.id.clone(),
            state,
            duration_ms: self.duration(step),
            gate_ms: record.people_ms + since,
            outputs: finish.outputs,
            warnings: finish.warnings,
            error: finish.error,
            recovery_point: finish.recovery_point,
            by,
            reason,
        };
        self.emit(EventKind::StepFinished(finished));
    }

    fn ask_people(&mut self, step: Index, question: Question, message: String) {
        let options = request::options(&self.graph, step, question);
        let id = self.graph.id(step);
        self.emit(EventKind::QuestionAsked { step: id, question, message, options });
        self.free_slots(step);
    }

    fn question(&self, step: Index, question: Question) -> String {
        let id = &self.graph.step(step).id;
        let error = self.state.record(step).error.as_ref();
        let why = error.map_or("it did not come back", |error| error.message.as_str());
        match question {
            Question::OutcomeUnknown => {
                format!("it is not known whether `{id}` was done: {why}. Look, then say what is so")
            }
            Question::Failed => why.to_owned(),
        }
    }

    fn ask_approval(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let Some(gate) = &graph.step(step).approve else { return };
        let scope = Scope::new(&graph, &self.state, self.now, step);
        let message = match gate.message.render_text(&scope) {
            Ok(message) => message,
            Err(error) => {
                self.fail(step, not_evaluated("text", "approve.message", &error));
                return;
            }
        };
        let id = graph.id(step);
        let request = RequestId::from(format!("{id}#{}", self.state.record(step).gates + 1));
        self.emit(EventKind::ApprovalRequested {
            step: id,
            request,
            message,
            approvers: gate.approvers,
            deadline: gate.timeout_ms.map(|ms| self.after_ms(ms)),
        });
        self.later(step);
    }

    /// The gate is shut.
    fn rejected(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let record = self.state.record(step);
        let gate = record.gate.as_deref();
        let by = gate.and_then(|gate| gate.rejected_by.clone());
        let reason = gate.and_then(|gate| gate.reason.clone());
        let on_reject = graph.step(step).approve.as_ref().map(|gate| gate.on_reject);
        if on_reject == Some(OnReject::Skip) {
            let (step, note) = (graph.id(step), reason);
            self.emit(EventKind::StepSkipped { step, reason: SkipReason::Rejected, by, note });
            return;
        }
        let message = match (&by, &reason) {
            (Some(by), Some(reason)) => format!("rejected by {by}: {reason}"),
            (Some(by), None) => format!("rejected by {by}"),
            (None, _) => "nobody approved in time".to_owned(),
        };
        self.fail(step, CallError::permanent("rejected", message));
    }

    fn watch_gate(&mut self, step: Index) {
        if self.block(step) {
            return;
        }
        if self.is_stopping(step) {
            self.emit(EventKind::StepCancelled { step: self.graph.id(step) });
            return;
        }
        let gate = self.state.record(step).gate.as_ref();
        if let Some(at) = gate.and_then(|gate| gate.deadline) {
            let timer = Timer::Gate(self.graph.id(step));
            self.ask(Effect::SetTimer { timer, at });
        }
        self.remind_later(step);
    }
}

/// Whether the step is where an element enters the window of its loop. Nothing else that calls no
/// action takes slots.
fn in_a_window(step: &Step) -> bool {
    step.takes.keys().any(|pool| pool.starts_with(WINDOW))
}
