//! How long a wait is expected to take that is counted from the end of another step.

use crate::plan::{EstimateSource, Step};
use crate::runbook::Graph;

/// What runs between the end of that step and the wait itself shortens the wait, unless its author
/// or earlier runs say how long it takes.
pub(super) fn shorten(steps: &mut [Step], graph: &Graph) {
    let waits: Vec<usize> = (0..steps.len())
        .filter(|&position| {
            let step = &steps[position];
            let open = step.estimate_source == EstimateSource::Declared
                && step
                    .sleep
                    .as_ref()
                    .is_some_and(|sleep| sleep.since.is_some() && sleep.for_ms == step.estimate_ms);
            open && step.skip.is_none()
        })
        .collect();
    for position in waits {
        let Some(sleep) = &steps[position].sleep else { continue };
        let (for_ms, since) = (sleep.for_ms, sleep.since.clone());
        let Some(since) = since.and_then(|since| graph.position(since.as_str())) else { continue };
        // The longest chain from the end of `since` to the start of the wait.
        let mut longest: Vec<Option<u64>> = vec![None; steps.len()];
        for at in graph.topological() {
            let before = graph.incoming(at).into_iter().filter_map(|(before, _)| {
                if before == since {
                    return Some(0);
                }
                longest[before].map(|chain| chain + steps[before].expected_ms())
            });
            let chain = before.max();
            longest[at] = chain;
            if at == position {
                break;
            }
        }
        steps[position].estimate_ms = for_ms.saturating_sub(longest[position].unwrap_or(0));
    }
}
