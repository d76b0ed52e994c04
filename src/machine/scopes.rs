//! Taking back what was done inside one group, element of a loop, or included runbook, while the rest
//! of the run goes on. All of it follows from what is on record: there is nothing else to remember.

use std::sync::Arc;

use super::graph::{Graph, Index, Role};
use super::machine::Machine;
use super::state::State;
use super::step::Stage;
use crate::event::StepState;

impl Graph {
    /// The innermost group, element or included runbook around a step, by its end. A loop is none:
    /// each of its elements is.
    pub(super) fn scope_of(&self, step: Index) -> Option<Index> {
        self.node(step).inside.filter(|&end| !self.is_loop(end))
    }

    pub(super) fn is_loop(&self, end: Index) -> bool {
        self.step(end).group.as_ref().is_some_and(|group| group.each.is_some())
    }

    /// Everything inside a group but its beginning, what is inside groups there included.
    pub(super) fn all_inside(&self, end: Index) -> Vec<Index> {
        let mut found = Vec::new();
        let mut open: Vec<Index> = self.inside(end).to_vec();
        while let Some(step) = open.pop() {
            found.push(step);
            open.extend(self.inside(step));
        }
        found
    }
}

impl State {
    /// The failed step because of which everything inside this group is taken back, if there is one.
    pub(super) fn unwinds_inside(&self, graph: &Graph, end: Index) -> Option<Index> {
        let inside = graph.all_inside(end);
        let cause = inside.iter().copied().find(|&step| {
            let record = self.record(step);
            record.undid && record.stands_failed() && graph.scope_of(step) == Some(end)
        })?;
        // Nobody goes back past a point of no return without being asked.
        let past = |&step: &Index| graph.step(step).point_of_no_return && self.record(step).begun;
        (!inside.iter().any(past)).then_some(cause)
    }

    /// The innermost group around a step in which everything is taken back.
    pub(super) fn unwinding_around(&self, graph: &Graph, step: Index) -> Option<Index> {
        if !self.alone {
            return None;
        }
        let around = std::iter::successors(graph.node(step).inside, |&end| graph.node(end).inside);
        let mut scopes = around.filter(|&end| !graph.is_loop(end));
        scopes.find(|&end| self.unwinds_inside(graph, end).is_some())
    }

    /// What of a group is still to be taken back.
    fn not_taken_back(&self, graph: &Graph, end: Index) -> Vec<Index> {
        let mut inside = graph.all_inside(end);
        inside.retain(|&step| {
            let undo = graph.node(step).undo.filter(|_| self.record(step).begun);
            undo.is_some_and(|undo| !self.stage(undo).is_over())
        });
        inside
    }

    /// Whether something after `step` inside the same group stands in the way: it is to be taken
    /// back first, or could not be.
    fn is_followed(&self, graph: &Graph, inside: &[Index], step: Index) -> bool {
        let mut seen = std::collections::HashSet::from([step]);
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            for &(after, _) in &graph.node(step).dependents {
                if !inside.contains(&after) || !seen.insert(after) {
                    continue;
                }
                let undo = graph.node(after).undo.filter(|_| self.record(after).begun);
                let over = [StepState::Undone, StepState::Warned, StepState::Skipped];
                if undo.is_some_and(|undo| !over.map(Stage::Over).contains(&self.stage(undo))) {
                    return true;
                }
                open.push(after);
            }
        }
        false
    }

    /// Whether a step was taken back with its group alone.
    pub(super) fn was_taken_back_alone(&self, graph: &Graph, step: Index) -> bool {
        self.unwinding_around(graph, step).is_some()
    }

    /// Whether everything inside the group that can be taken back is, or cannot be.
    pub(super) fn is_taken_back(&self, graph: &Graph, end: Index) -> bool {
        let inside = graph.all_inside(end);
        self.not_taken_back(graph, end)
            .into_iter()
            .all(|step| self.is_followed(graph, &inside, step))
            && inside.iter().all(|&step| {
                let undo = graph.node(step).undo;
                undo.is_none_or(|undo| !self.is_undoing(graph, undo))
            })
    }
}

impl Machine {
    /// The failed step that keeps this one from starting, because everything around both is taken
    /// back.
    pub(super) fn stopped_by_unwinding(&self, step: Index) -> Option<Index> {
        let end = self.state.unwinding_around(&self.graph, step)?;
        self.state.unwinds_inside(&self.graph, end)
    }

    /// Something inside a group is over: what is taken back next, if anything is?
    pub(super) fn go_back_around(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let step = match graph.role(step) {
            Role::Undo(of) => of,
            _ => step,
        };
        if let Some(end) = self.state.unwinding_around(&graph, step) {
            self.go_back(end);
        }
    }

    /// Takes back what was done inside a group, the last first. Says whether that is finished.
    pub(super) fn go_back(&mut self, end: Index) -> bool {
        let graph = Arc::clone(&self.graph);
        let nothing = !self.state.alone || self.state.is_unwinding();
        if nothing || self.state.unwinds_inside(&graph, end).is_none() {
            return true;
        }
        let inside = graph.all_inside(end);
        let mut runs = false;
        for &step in inside.iter().chain(graph.begin_of_end(end).iter()) {
            let is_end = !graph.inside(step).is_empty() || graph.begin_of_end(step).is_some();
            if graph.role(step) == Role::Forward && !is_end && !self.state.stage(step).is_over() {
                runs = true;
                self.later(step);
            }
        }
        if runs {
            return false;
        }
        // Only one of the two records may have been written before a crash.
        for &step in &inside {
            let undo = graph.node(step).undo.filter(|_| self.state.record(step).begun);
            if let Some(undo) = undo.filter(|&undo| self.state.stage(undo).is_over()) {
                self.mark_taken_back(step, undo);
            }
        }
        for step in self.state.not_taken_back(&graph, end) {
            let Some(undo) = graph.node(step).undo else { continue };
            if !self.state.is_followed(&graph, &inside, step)
                && !self.session.ending.called.contains(&undo)
            {
                self.call_undo(undo);
            }
        }
        if !self.state.is_taken_back(&graph, end) {
            return false;
        }
        for &step in &inside {
            if matches!(graph.role(step), Role::Closing(_)) && !self.state.stage(step).is_over() {
                self.later(step);
            }
        }
        self.later(end);
        true
    }
}
