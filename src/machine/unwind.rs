//! The end of a run: what was done is taken back if that is wanted, what was opened is closed, and
//! a drill's traces are put away.

use std::sync::Arc;

use dr_plugin::{CallError, ErrorClass, Keyed};

use super::graph::{Graph, Index, Role};
use super::machine::{Ends, Machine, Stand};
use super::rules::finish::Finish;
use super::rules::unknown::{self, Way};
use super::step::Stage;
use crate::event::{
    Actor, CancelRequest, EventKind, Outcome, Purpose, Question, Request, RequestKind, SkipReason,
    StepFinished, StepState,
};

impl Machine {
    /// A step that failed may say that everything is taken back.
    pub(super) fn unwind_if_told(&mut self, step: Index) {
        let alone = self.graph.step(step).fails_group && self.graph.scope_of(step).is_some();
        if alone {
            self.go_back_around(step);
        } else if self.state.record(step).unwinds && self.graph.role(step) == Role::Forward {
            self.start_unwinding(Some(step), None, None);
        }
    }

    /// From now on nothing new is started; once nothing runs any more, steps are taken back.
    pub(super) fn start_unwinding(
        &mut self,
        cause: Option<Index>,
        by: Option<Actor>,
        reason: Option<String>,
    ) {
        if self.state.unwinding.is_some() {
            return;
        }
        let cause = cause.map(|cause| self.graph.id(cause));
        self.emit(EventKind::UnwindingStarted { cause, by, reason });
        let graph = Arc::clone(&self.graph);
        for step in graph.own() {
            if !self.state.stage(step).is_over() {
                self.later(step);
            }
        }
    }

    /// A step that has begun is given up, because it is taken back in any case, or may be done again.
    /// What nothing takes back comes to its end first: whether it was done is found out, and said to
    /// be unknown where nothing tells. Nobody is asked, so that the rest need not wait for an answer.
    pub(super) fn abandon(&mut self, step: Index) -> bool {
        let stage = self.state.stage(step);
        let record = self.state.record(step);
        let stays = self.stays_done(step);
        let outcome = match stage {
            Stage::Ask(Question::Failed) | Stage::Asked(Question::Failed) => Outcome::Failed,
            Stage::Running(_) | Stage::Wait(Purpose::Check, _) | Stage::Check
                if stays || self.may_still_run(step) =>
            {
                return false;
            }
            Stage::Judge if stays => return false,
            Stage::Relaunch { fresh: false, .. } if self.may_still_run(step) => return false,
            Stage::Relaunch { .. } if stays && record.outcome == Some(Outcome::Unknown) => {
                Outcome::Unknown
            }
            Stage::Ask(_) | Stage::Asked(_) if stays => Outcome::Unknown,
            Stage::Running(_)
            | Stage::Wait(Purpose::Check, _)
            | Stage::Relaunch { .. }
            | Stage::Check
            | Stage::Ask(_)
            | Stage::Asked(_)
            | Stage::Judge => Outcome::Cancelled,
            Stage::Idle
            | Stage::Gate
            | Stage::Sleep(_)
            | Stage::Wait(..)
            | Stage::Decided
            | Stage::Over(_) => {
                return false;
            }
        };
        let error = record.error.as_deref().cloned();
        let error = match outcome {
            Outcome::Unknown => error.filter(|error| error.class == ErrorClass::Unknown),
            _ => error,
        };
        let error = error.unwrap_or_else(|| match outcome {
            Outcome::Unknown => unknown::crashed(),
            _ => CallError::cancelled("what was done is undone"),
        });
        let outputs = record.outputs.clone();
        let finish = Finish { outputs, error: Some(error), ..Finish::default() };
        self.over_with(step, outcome, finish);
        true
    }

    /// Whether the step, once done, stays done, and must not be done again.
    fn stays_done(&self, step: Index) -> bool {
        let plan = self.graph.step(step);
        plan.undo.is_none() && plan.repeat.is_none() && !plan.effect.is_repeatable()
    }

    /// Whether its job may be under way without `dr`, with nothing that would look for it later.
    fn may_still_run(&self, step: Index) -> bool {
        let plan = self.graph.step(step);
        plan.undo.is_none() && plan.repeat.is_none() && plan.keyed == Keyed::Job
    }

    /// Begins the next part of the end, once nothing is under way. Says whether there was one.
    pub(super) fn tend(&mut self) -> bool {
        if self.session.stand != Stand::Running
            || !self.session.flights.is_empty()
            || self.is_stopped()
            || self.is_pausing()
        {
            return false;
        }
        if self.state.is_unwinding() && !self.session.ending.undone {
            return self.take_back();
        }
        let drains = self.state.cancel == Some(CancelRequest::Drain);
        if drains && !self.session.ending.forced && self.session.timed.is_empty() {
            self.session.ending.forced = true;
            if self.call(|role| matches!(role, Role::Closing(_))) {
                return true;
            }
        }
        let rest = self.session.open == self.session.cleanup
            || (self.session.ending.forced && self.session.timed.is_empty());
        if rest && !self.session.ending.tidy {
            self.session.ending.tidy = true;
            return self.call(|role| role == Role::Cleanup);
        }
        false
    }

    /// Has a look at all steps of a kind that are not over. Says whether there are any.
    fn call(&mut self, kind: impl Fn(Role) -> bool) -> bool {
        let called: Vec<Index> = self
            .graph
            .own()
            .filter(|&step| kind(self.graph.role(step)) && !self.state.stage(step).is_over())
            .collect();
        for &step in &called {
            self.later(step);
        }
        !called.is_empty()
    }

    fn take_back(&mut self) -> bool {
        if self.session.forward > 0 || !self.unanswered().is_empty() {
            return false;
        }
        if self.session.ending.unsettled.is_empty() {
            let asked = self.state.unwinding.as_ref().is_some_and(|u| !u.asked.is_empty());
            let past = self.points_of_no_return();
            if !past.is_empty() && !asked {
                let past = past.into_iter().map(|step| self.graph.id(step)).collect();
                self.emit(EventKind::UnwindingAsked { past });
            } else {
                self.call_undos();
            }
            return true;
        }
        if self.is_taking_back() {
            return false;
        }
        self.session.ending.undone = true;
        self.call(|role| matches!(role, Role::Closing(_)));
        true
    }

    fn points_of_no_return(&self) -> Vec<Index> {
        self.graph
            .own()
            .filter(|&step| {
                self.graph.step(step).point_of_no_return && self.state.record(step).begun
            })
            .collect()
    }

    /// In reverse of the order in which they ran, and side by side otherwise.
    fn call_undos(&mut self) {
        let graph = Arc::clone(&self.graph);
        let later = |step: Index| graph.node(step).dependents.len() as u32;
        self.session.ending.unsettled = (0..graph.len() as Index).map(later).collect();
        self.settle(graph.own().filter(|&step| later(step) == 0).collect());
    }

    /// What came after these steps is taken back: so may they be.
    fn settle(&mut self, steps: Vec<Index>) {
        let graph = Arc::clone(&self.graph);
        let mut next = steps;
        while let Some(step) = next.pop() {
            let node = graph.node(step);
            if let Some(undo) = node.undo.filter(|_| self.state.record(step).begun) {
                match self.state.stage(undo) {
                    Stage::Over(StepState::UndoFailed) => continue,
                    Stage::Over(_) => self.mark_taken_back(step, undo),
                    _ => {
                        self.call_undo(undo);
                        continue;
                    }
                }
            }
            self.settle_before(step, &mut next);
        }
    }

    fn settle_before(&mut self, step: Index, next: &mut Vec<Index>) {
        let graph = Arc::clone(&self.graph);
        for &before in &graph.node(step).waits {
            let unsettled = &mut self.session.ending.unsettled;
            if !unsettled.is_empty() {
                unsettled[before as usize] -= 1;
                if unsettled[before as usize] == 0 {
                    next.push(before);
                }
            }
        }
    }

    /// The step that takes `of` back is over.
    pub(super) fn taken_back(&mut self, of: Index, undo: Index) {
        self.mark_taken_back(of, undo);
        let failed = [StepState::UndoFailed, StepState::Cancelled].map(Stage::Over);
        if !failed.contains(&self.state.stage(undo)) {
            let mut next = Vec::new();
            self.settle_before(of, &mut next);
            self.settle(next);
        }
    }

    /// Writes at the step itself that it was taken back, or could not be. A step that failed stays
    /// failed.
    pub(super) fn mark_taken_back(&mut self, step: Index, undo: Index) {
        let (record, how) = (self.state.record(step), self.state.record(undo));
        let state = match how.stage {
            Stage::Over(StepState::UndoFailed) => StepState::UndoFailed,
            Stage::Over(StepState::Undone | StepState::Warned) => StepState::Undone,
            Stage::Over(StepState::Skipped) if how.skip != Some(SkipReason::Person) => {
                StepState::Undone
            }
            _ => return,
        };
        let failed = state == StepState::UndoFailed;
        if record.stage == Stage::Over(state) || (record.is_failed() && !failed) {
            return;
        }
        let warning = how.error.as_deref().filter(|_| !failed).map(|error| error.message.clone());
        let finished = StepFinished {
            step: self.graph.id(step),
            state,
            duration_ms: self.duration(step),
            gate_ms: record.people_ms,
            outputs: record.outputs.clone(),
            warnings: record.warnings.iter().cloned().chain(warning).collect(),
            error: how.error.as_deref().filter(|_| failed).cloned(),
            recovery_point: None,
            by: None,
            reason: None,
        };
        self.emit(EventKind::StepFinished(finished));
    }

    /// Whether steps that may be taken back are not yet.
    fn is_taking_back(&self) -> bool {
        self.session.ending.called.iter().any(|&undo| !self.state.stage(undo).is_over())
    }

    /// Points of no return that nobody has decided about.
    pub(super) fn unanswered(&self) -> Vec<Index> {
        match &self.state.unwinding {
            Some(unwinding) if unwinding.answer.is_none() => unwinding.asked.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether the end of the run waits for something.
    pub(super) fn waits_at_the_end(&self) -> bool {
        !self.unanswered().is_empty() || self.is_taking_back()
    }

    /// Takes a request as the answer to what nobody has decided yet, if it is one.
    pub(super) fn answers_unwinding(&mut self, request: &Request) -> bool {
        let go_on = match request.ask {
            RequestKind::Undo | RequestKind::CancelUndo => true,
            RequestKind::Cancel | RequestKind::Fail => false,
            _ => return false,
        };
        if self.unanswered().is_empty() {
            return false;
        }
        self.emit(EventKind::UnwindingAnswered {
            go_on,
            by: request.by.clone(),
            request: request.id.clone(),
            reason: request.reason.clone(),
        });
        self.call(|role| matches!(role, Role::Closing(_)));
        true
    }

    /// Whether a closing step may begin; one that has nothing to close is passed over.
    pub(super) fn may_close(&mut self, step: Index, opener: Index) -> bool {
        let ending = &self.session.ending;
        let waits = self.waits(step) && !ending.forced;
        let alone = || {
            let around = self.state.unwinding_around(&self.graph, step);
            around.is_some_and(|end| !self.state.is_taken_back(&self.graph, end))
        };
        let unwinds = if self.state.is_unwinding() { !ending.undone } else { alone() };
        if self.is_stopped() || waits || unwinds {
            return false;
        }
        let record = self.state.record(opener);
        // What calls nothing was done once it succeeded; a group was once it began.
        let done = self.graph.begin_of_end(opener).unwrap_or(opener);
        let computed = self.graph.step(opener).uses.is_none()
            && matches!(
                self.state.stage(done),
                Stage::Over(StepState::Succeeded | StepState::Warned)
            );
        if record.begun || computed {
            return true;
        }
        let (step, reason) = (self.graph.id(step), SkipReason::NotOpened);
        self.emit(EventKind::StepSkipped { step, reason, by: None, note: None });
        false
    }

    /// Whether a cleanup step may begin.
    pub(super) fn may_tidy(&mut self, step: Index) -> bool {
        let Ends { tidy, forced, .. } = self.session.ending;
        tidy && !self.block(step) && (forced || !self.waits(step))
    }

    /// Whether something that the step waits for is not over.
    pub(super) fn waits(&self, step: Index) -> bool {
        self.session.live[step as usize].waiting > 0
    }

    /// Whether the action of the step is asked to undo itself.
    pub(super) fn undoes_itself(&self, step: Index) -> bool {
        self.graph.step(step).undo.as_ref().is_some_and(|undo| undo.own_undo)
    }

    /// The step whose last attempt a check is about: before anything is taken back, the one that
    /// may have to be.
    pub(super) fn checked_step(&self, step: Index) -> Index {
        let of = self.graph.begins_undo(step);
        of.filter(|_| !self.state.record(step).begun).unwrap_or(step)
    }

    /// Whether it must be found out first whether there is anything to take back.
    pub(super) fn checks_before_undo(&self, step: Index) -> bool {
        let of = self.checked_step(step);
        of != step && !self.state.record(of).done && self.next_way(&self.graph, step, 0).is_some()
    }

    /// The way of checking on the last attempt of a step, or before one is taken back, that is tried
    /// after `tried` ones could not tell.
    pub(super) fn next_way<'a>(
        &self,
        graph: &'a Graph,
        step: Index,
        tried: u32,
    ) -> Option<Way<'a>> {
        let about = self.checked_step(step);
        let plan = graph.step(about);
        if about == step {
            return unknown::way(plan, tried);
        }
        let record = self.state.record(about);
        unknown::way_before_undo(plan, record.acted > 0 && record.acted == record.attempt, tried)
    }
}
