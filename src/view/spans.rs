use super::{StepView, View};
use crate::event::SpanAchieved;
use crate::plan::{Passed, Span};

/// A time between two steps, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanView {
    /// What was measured so far.
    pub achieved: SpanAchieved,
    /// When it was opened, in milliseconds since the start of the run, if it is open.
    pub open_since_ms: Option<u64>,
}

impl View {
    /// Times between two steps, in the order of the runbook.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanView> {
        let passed = |id: &crate::id::StepId| self.step(id.as_str()).map(passed);
        let spans = self.plan().spans.iter();
        spans
            .map(|span| {
                let (from, to) = (passed(&span.from), passed(&span.to));
                let is_open = to.is_some_and(|to| !to.state.is_over());
                let opened = from.as_ref().and_then(Span::opened_ms);
                SpanView {
                    achieved: span.measure(from.as_ref(), to.as_ref()),
                    open_since_ms: opened.filter(|_| is_open),
                }
            })
            .collect()
    }
}

fn passed(step: &StepView) -> Passed {
    Passed {
        state: step.state,
        acted_ms: step.attempts.first().map(|attempt| attempt.started_ms),
        over_ms: step.finished_ms,
    }
}
