//! Loops over what is only known during the run, and rounds: the plan grows.

use std::sync::Arc;

use dr_plugin::CallError;

use super::graph::{Graph, Index};
use super::machine::{Live, Machine, Stand};
use super::names::Scope;
use super::queue::Queue;
use super::rules::finish::not_evaluated;
use super::step::Stage;
use crate::event::EventKind;
use crate::plan::{self, Plan};

impl Machine {
    /// Finds the elements of the loop that begins with this step, if they are not known yet. False:
    /// that failed, and with it the step.
    pub(super) fn expand(&mut self, step: Index) -> bool {
        let graph = Arc::clone(&self.graph);
        let Some(end) = graph.node(step).opened else { return true };
        let each = graph.step(end).each();
        if each.is_some_and(|each| each.rounds.is_some()) {
            return !graph.inside(end).is_empty() || self.next_round(step, end, 1, 0);
        }
        let Some(items) = each.and_then(|each| each.items.as_ref()) else { return true };
        let scope = Scope::new(&graph, &self.state, self.now, step);
        let found = match items.from.evaluate(&scope) {
            Ok(found) => found,
            Err(error) => {
                self.fail(step, not_evaluated("`for_each`", items.from.source(), &error));
                return false;
            }
        };
        let id = graph.id(end);
        match plan::expand(&graph.plan, &id, &found).and_then(|plan| self.grown(plan)) {
            Ok(grown) => {
                self.take_on(grown, end);
                self.record(EventKind::Expanded { step: id, items: found });
                true
            }
            Err(why) => {
                self.fail(step, CallError::permanent("elements", why));
                false
            }
        }
    }

    /// Begins a round of the group that ends with `end`. False: that failed, and with it `step`.
    pub(super) fn next_round(&mut self, step: Index, end: Index, round: u32, held: u32) -> bool {
        let event = EventKind::RoundStarted { step: self.graph.id(end), round, held };
        let grown = plan::grown_by(&self.graph.plan, &event);
        let grown = grown.ok_or_else(|| "it cannot be repeated".to_owned());
        match grown.and_then(|(plan, _)| self.grown(plan)) {
            Ok(grown) => {
                self.take_on(grown, end);
                self.record(event);
                true
            }
            Err(why) => {
                self.fail(step, CallError::permanent("round", why));
                false
            }
        }
    }

    /// The plan, as it has grown, with all tables; an error if it cannot be carried out: nothing is
    /// ever left out in silence.
    fn grown(&self, plan: Plan) -> Result<Graph, String> {
        self.graph.grown(Arc::new(plan)).map_err(|fault| fault.to_string())
    }

    /// Takes over what an event of the journal has made of the plan.
    pub(super) fn grow(&mut self, event: &EventKind) {
        let Some((plan, step)) = plan::grown_by(&self.graph.plan, event) else { return };
        let (Ok(graph), Some(end)) = (self.grown(plan), self.graph.find(step.as_str())) else {
            return;
        };
        self.take_on(graph, end);
    }

    /// Goes on with the steps of further elements of the loop that ends with `end`.
    fn take_on(&mut self, graph: Graph, end: Index) {
        let before = self.graph.len();
        let graph = Arc::new(graph);
        self.graph = Arc::clone(&graph);
        self.state.grow(&graph);
        let session = &mut self.session;
        session.live.resize(graph.len(), Live::default());
        session.queue = Queue::new(&graph);
        if session.stand != Stand::Running {
            return;
        }
        for (step, live) in session.live.iter().enumerate() {
            if live.holds {
                session.queue.take(&graph, step as Index);
            } else if live.queued {
                session.queue.push(&graph, step as Index);
            }
        }
        let added = before as Index..graph.len() as Index;
        for step in added.clone() {
            self.count_open(step);
            self.session.live[step as usize].waiting = self.unfinished(step);
        }
        // What closes something around the loop waits for its elements as well.
        for &step in graph.closings.iter().chain([&end]) {
            self.session.live[step as usize].waiting = self.unfinished(step);
        }
        for step in added {
            if self.state.stage(step) == Stage::Idle {
                self.later(step);
            }
        }
    }
}
