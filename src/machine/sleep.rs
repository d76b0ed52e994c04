use std::sync::Arc;

use super::graph::Index;
use super::io::{Effect, Timer};
use super::machine::Machine;
use crate::event::EventKind;
use crate::time::Timestamp;

impl Machine {
    /// The wait begins: until when is decided, and recorded, once.
    pub(super) fn fall_asleep(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let Some(sleep) = &graph.step(step).sleep else { return };
        let since = sleep.since.as_ref().and_then(|id| graph.find(id.as_str()));
        let over = since.and_then(|since| self.state.record(since).over);
        let until = match over {
            Some((at, _)) => {
                let ms = i64::try_from(sleep.for_ms).unwrap_or(i64::MAX);
                let ends = at.checked_add(jiff::SignedDuration::from_millis(ms));
                ends.unwrap_or(Timestamp::MAX)
            }
            None => self.after_ms(sleep.for_ms),
        };
        if until <= self.now.at {
            self.compute(step);
            return;
        }
        self.emit(EventKind::StepSleeping { step: graph.id(step), until });
        self.later(step);
    }

    /// The wait goes on, unless the run stops or what comes after it can never run.
    pub(super) fn sleep_on(&mut self, step: Index, until: Timestamp) {
        if self.block(step) {
            return;
        }
        if self.is_stopping(step) {
            self.emit(EventKind::StepCancelled { step: self.graph.id(step) });
            return;
        }
        if until <= self.now.at {
            self.compute(step);
            return;
        }
        let timer = Timer::Next(self.graph.id(step));
        self.ask(Effect::SetTimer { timer, at: until });
    }
}
