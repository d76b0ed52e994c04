//! Times between two steps.

use crate::event::SpanAchieved;
use crate::machine::graph::Graph;
use crate::machine::state::State;
use crate::plan::Passed;

/// What was measured, in the order of the plan.
pub(in crate::machine) fn measured(graph: &Graph, state: &State) -> Vec<SpanAchieved> {
    let passed = |id: &crate::id::StepId| {
        let record = state.record(graph.find(id.as_str())?);
        Some(Passed {
            state: record.state(),
            acted_ms: record.started.map(|(_, ms)| ms),
            over_ms: record.over.map(|(_, ms)| ms),
        })
    };
    let spans = graph.plan.spans.iter();
    spans.map(|span| span.measure(passed(&span.from).as_ref(), passed(&span.to).as_ref())).collect()
}
