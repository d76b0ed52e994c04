//! Steps that let others start first, because the plan found that to be better.

use std::sync::Arc;

use super::graph::{Index, Role};
use super::io::{Effect, Timer};
use super::machine::Machine;
use super::step::Stage;

impl Machine {
    /// Whether the step, which could start, lets others start first: those that the plan names, as
    /// long as there is no room for all of them, and never beyond its own predicted start. A run that is
    /// late is dispatched by urgency alone.
    pub(super) fn yields(&mut self, step: Index) -> bool {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        if plan.yields_to.is_empty() {
            return false;
        }
        let left_ms = plan.start_ms.saturating_sub(self.now.elapsed_ms);
        if left_ms == 0 || self.may_start(step) {
            self.session.yielding.remove(&step);
            return false;
        }
        if self.session.yielding.insert(step) {
            let at = self.after_ms(left_ms);
            self.ask(Effect::SetTimer { timer: Timer::Yield(plan.id.clone()), at });
        }
        true
    }

    /// Units came back, or a step has got its own: what yielded is considered again.
    pub(super) fn reconsider_yielding(&mut self) {
        for step in self.session.yielding.clone() {
            self.later(step);
        }
    }

    fn may_start(&self, step: Index) -> bool {
        let live = self.session.live[step as usize];
        if live.holds || live.queued || self.graph.role(step) != Role::Forward {
            return true;
        }
        if self.state.record(step).attempt > 0 {
            return true;
        }
        let first = self.graph.step(step).yields_to.iter();
        let first = first.filter_map(|id| self.graph.find(id.as_str()));
        let waiting: Vec<Index> = first.filter(|&other| !self.has_started(other)).collect();
        waiting.is_empty() || self.session.queue.has_room(&self.graph, step, &waiting)
    }

    fn has_started(&self, step: Index) -> bool {
        self.session.live[step as usize].holds
            || self.state.record(step).attempt > 0
            || !matches!(self.state.stage(step), Stage::Idle | Stage::Gate | Stage::Sleep(_))
    }
}
