use std::sync::Arc;

use super::graph::Index;
use super::io::{Ending, Session};
use super::machine::Machine;
use super::step::Stage;
use crate::event::{EventKind, RequestKind};

impl Machine {
    /// A session begins: the first one if nothing was replayed.
    pub(super) fn start(&mut self, session: Session) {
        if let Some(verdict) = self.final_verdict() {
            self.end(Ending::Verdict(verdict));
            return;
        }
        if self.state.started.is_none() {
            self.emit(EventKind::RunStarted(session.started));
        } else {
            self.emit(EventKind::RunResumed {
                session: self.state.session + 1,
                by: session.started.by,
                attended: session.started.attended,
                reason: session.reason,
            });
        }
        if let Some(lost) = session.lost {
            self.emit(EventKind::LossAccepted(lost));
        }
        self.rebuild();
        let graph = Arc::clone(&self.graph);
        // What runs in the world has its slots; everything else gets in line.
        for &step in &graph.by_rank {
            let was_left = graph.node(step).opened.is_some_and(|end| self.state.record(end).left);
            if matches!(self.state.stage(step), Stage::Running(_))
                || (self.holds_on(step) && !was_left)
            {
                let holds = self.session.queue.take(&graph, step);
                self.session.live[step as usize].holds = holds;
            }
        }
        // Who resumes a run does not want it to pause as it was once asked to.
        let (pauses, requests): (Vec<_>, Vec<_>) =
            session.requests.into_iter().partition(|request| request.ask == RequestKind::Pause);
        for request in pauses {
            let why = "the run was resumed since".to_owned();
            self.emit(EventKind::RequestRefused { request, why });
        }
        // Before what may end the session at once.
        for (request, why) in session.refused {
            self.emit(EventKind::RequestRefused { request, why });
        }
        for request in requests {
            self.request(request);
        }
        for step in graph.own() {
            self.unwind_if_told(step);
        }
        self.session.reopened = true;
        self.reopen_more();
        for service in 0..graph.services.len() as u32 {
            self.announce(service);
        }
        // What is decided is carried out before anything is launched again: it may forbid that.
        let running = |step: &&Index| matches!(self.state.stage(**step), Stage::Running(_));
        let (rest, first): (Vec<&Index>, Vec<&Index>) = graph.order.iter().partition(running);
        for &step in first.into_iter().chain(rest) {
            // What a person decided about a step that was over may have been recorded and not done.
            let record = self.state.record(step);
            if !record.stage.is_over() || record.decision.is_some() {
                self.later(step);
            }
        }
    }
}
