//! Slots that are held from the beginning of an element to its end: they are given back when it is
//! over, and taken again before anything of it goes on.

use std::sync::Arc;

use super::graph::{Graph, Index, Role};
use super::machine::Machine;
use super::state::State;

impl State {
    /// Something inside all that is around the step is under way.
    pub(super) fn enter(&mut self, graph: &Graph, step: Index) {
        let mut around = graph.node(step).inside;
        while let Some(end) = around {
            self.records[end as usize].left = false;
            around = graph.node(end).inside;
        }
    }
}

impl Machine {
    /// Whether everything around the step holds its slots. A group, loop or element that was over
    /// gave them back, and takes them again before anything inside it starts.
    pub(super) fn is_let_in(&mut self, step: Index) -> bool {
        if self.graph.role(step) != Role::Forward || self.is_stopping(step) {
            return true;
        }
        let outside = self.around(step).filter(|&begin| !self.session.live[begin as usize].holds);
        // The outermost first, so that nobody holds what another one waits for.
        match outside.last() {
            Some(begin) => {
                self.get_in_line(begin);
                false
            }
            None => true,
        }
    }

    /// Where everything around a step begins that holds slots until it ends, from the inside.
    fn around(&self, step: Index) -> impl Iterator<Item = Index> + '_ {
        let graph = &self.graph;
        let ends = std::iter::successors(graph.node(step).inside, |&end| graph.node(end).inside);
        ends.filter_map(|end| graph.begin_of_end(end)).filter(|&begin| self.holds_on(begin))
    }

    /// What is under way has its slots again: what is inside it may go on.
    pub(super) fn let_in(&mut self, begin: Index) {
        let graph = Arc::clone(&self.graph);
        for step in graph.node(begin).opened.into_iter().flat_map(|end| graph.all_inside(end)) {
            for step in graph.begin_of_end(step).into_iter().chain([step]) {
                if !self.state.stage(step).is_over() {
                    self.later(step);
                }
            }
        }
    }
}
