//! Steps that are taken back by several others: a group beside the plan, with a beginning that decides
//! and asks once for all of them, and an end that tells what became of it.

use std::sync::Arc;

use super::graph::{Graph, Index, Role};
use super::groups::{failure, went_wrong};
use super::machine::Machine;
use super::names::Scope;
use super::rules::finish;
use super::state::State;
use super::step::Stage;
use crate::event::{EventKind, Request, RequestKind, SkipReason, StepState};
use crate::id::RequestId;

impl Graph {
    /// The step whose taking back ends with this one.
    pub(super) fn undone_with(&self, step: Index) -> Option<Index> {
        match self.role(step) {
            Role::Undo(of) if self.node(of).undo == Some(step) => Some(of),
            _ => None,
        }
    }

    /// The step that is taken back, if this is the one with which that begins.
    pub(super) fn begins_undo(&self, step: Index) -> Option<Index> {
        let Role::Undo(of) = self.role(step) else { return None };
        let end = self.node(of).undo?;
        (self.begin_of_end(end).unwrap_or(end) == step).then_some(of)
    }

    /// Everything that takes a step back with this end: itself, or a whole group.
    pub(super) fn undo_of(&self, end: Index) -> impl Iterator<Item = Index> + '_ {
        let begin = self.begin_of_end(end);
        begin.into_iter().chain(self.inside(end).iter().copied()).chain([end])
    }
}

impl State {
    /// Whether taking a step back, with this end, is under way.
    pub(super) fn is_undoing(&self, graph: &Graph, end: Index) -> bool {
        graph.undo_of(end).any(|step| self.stage(step).is_under_way())
    }

    /// Whether anything of what takes a step back, with this end, is over.
    pub(super) fn has_undone_some(&self, graph: &Graph, end: Index) -> bool {
        graph.undo_of(end).any(|step| self.stage(step).is_over())
    }
}

impl Machine {
    /// Whether a step, or one of several, may begin to take another one back.
    pub(super) fn may_undo(&mut self, step: Index) -> bool {
        let end = match self.graph.role(step) {
            Role::Undo(of) => self.graph.node(of).undo.filter(|&end| end != step),
            _ => None,
        };
        // A person may have said that it was done by hand.
        let is_settled = end.is_some_and(|end| self.state.stage(end).is_over());
        self.session.ending.called.contains(&step)
            && !self.is_stopped()
            && !is_settled
            && !self.block(step)
            && !self.waits(step)
    }

    /// A step may be taken back: what does so may begin.
    pub(super) fn call_undo(&mut self, end: Index) {
        let graph = Arc::clone(&self.graph);
        for step in graph.undo_of(end) {
            self.session.ending.called.insert(step);
            self.later(step);
        }
    }

    /// Everything that takes a step back is over: was it?
    pub(super) fn sum_up_undo(&mut self, end: Index) {
        let graph = Arc::clone(&self.graph);
        let mut wrong: Vec<Index> = Vec::new();
        let mut warned = Vec::new();
        for step in graph.undo_of(end).filter(|&step| step != end) {
            let record = self.state.record(step);
            match record.stage {
                Stage::Over(StepState::Succeeded) => {}
                Stage::Over(StepState::Warned) => warned.push(format!("`{}`", graph.id(step))),
                Stage::Over(StepState::Skipped) if !went_wrong(record) => {
                    if record.skip == Some(SkipReason::Person) {
                        wrong.push(step);
                    }
                }
                _ => wrong.push(step),
            }
        }
        // What others prevented says less than what prevented it.
        if wrong.iter().any(|&step| self.state.stage(step) != Stage::Over(StepState::Blocked)) {
            wrong.retain(|&step| self.state.stage(step) != Stage::Over(StepState::Blocked));
        }
        if !wrong.is_empty() {
            let said: Vec<String> = wrong.iter().map(|&step| self.said_of_undo(step)).collect();
            return self.fail(end, failure(&said, false));
        }
        let scope = Scope::new(&graph, &self.state, self.now, end);
        let mut finish = finish::finish(graph.step(end), &scope);
        if !warned.is_empty() {
            finish.warnings.push(format!("inside: {}", warned.join(", ")));
        }
        self.finish(end, finish);
    }

    fn said_of_undo(&self, step: Index) -> String {
        match self.state.stage(step) {
            Stage::Over(StepState::Skipped) => {
                format!("`{}` was left out by a person", self.graph.id(step))
            }
            Stage::Over(StepState::Cancelled) => {
                format!("`{}` was cancelled", self.graph.id(step))
            }
            _ => self.said(step),
        }
    }

    /// It was found out that there is nothing that several steps could take back.
    pub(super) fn nothing_to_undo(&mut self, begin: Index) {
        let (step, reason) = (self.graph.id(begin), SkipReason::NotDone);
        self.emit(EventKind::StepSkipped { step, reason, by: None, note: None });
    }

    /// What a request about several steps that take another one back, by their end, is about: the
    /// question that they ask, or those of them that failed. Nothing if it is about the end itself.
    pub(super) fn about_undo(&self, end: Index, request: &Request) -> Option<Vec<Request>> {
        let graph = &self.graph;
        let concerned = |step: &Index| match request.ask {
            RequestKind::Approve | RequestKind::Reject => graph.begin_of_end(end) == Some(*step),
            RequestKind::Retry | RequestKind::Redo => {
                *step != end && went_wrong(self.state.record(*step))
            }
            _ => false,
        };
        let failed = graph.undo_of(end).filter(concerned);
        let on = |step: Index| Request {
            id: RequestId::from(format!("{}/{}", request.id, graph.id(step))),
            step: Some(graph.id(step)),
            ..request.clone()
        };
        let requests: Vec<Request> = failed.map(on).collect();
        (!requests.is_empty()).then_some(requests)
    }
}
