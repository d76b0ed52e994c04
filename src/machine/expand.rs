//! Loops over what is only known during the run, and rounds: the plan grows.

use std::sync::Arc;

use dr_plugin::CallError;

use super::graph::Index;
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
        let grown = plan::expand(&graph.plan, &id, &found).and_then(|plan| self.fits(plan));
        if let Err(why) = grown {
            self.fail(step, CallError::permanent("elements", why));
            return false;
        }
        self.emit(EventKind::Expanded { step: id, items: found });
        true
    }

    /// Begins a round of the group that ends with `end`. False: that failed, and with it `step`.
    pub(super) fn next_round(&mut self, step: Index, end: Index, round: u32, held: u32) -> bool {
        let event = EventKind::RoundStarted { step: self.graph.id(end), round, held };
        let grown = plan::grown_by(&self.graph.plan, &event);
        let grown = grown.ok_or_else(|| "it cannot be repeated".to_owned());
        if let Err(why) = grown.and_then(|(plan, _)| self.fits(plan)) {
            self.fail(step, CallError::permanent("round", why));
            return false;
        }
        self.emit(event);
        true
    }

    /// Whether the plan, as it would grow, can be carried out: nothing is ever left out in silence.
    fn fits(&self, plan: Plan) -> Result<(), String> {
        self.graph.grown(Arc::new(plan)).map(|_| ()).map_err(|fault| fault.to_string())
    }

    /// The plan and all tables with the steps of a loop's elements.
    pub(super) fn grow(&mut self, event: &EventKind) {
        let Some((plan, step)) = plan::grown_by(&self.graph.plan, event) else { return };
        let Ok(graph) = self.graph.grown(Arc::new(plan)) else { return };
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
        if let Some(end) = graph.find(step.as_str()) {
            self.session.live[end as usize].waiting = self.unfinished(end);
        }
        for step in added {
            if self.state.stage(step) == Stage::Idle {
                self.later(step);
            }
        }
    }
}
