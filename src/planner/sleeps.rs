//! How long a wait is expected to take that is counted from the end of another step.

use super::edges::Edges;
use crate::id::StepId;
use crate::plan::{EstimateSource, Step};

/// What runs between the end of that step and the wait itself shortens the wait, unless its author
/// or earlier runs say how long it takes.
pub(super) fn shorten(steps: &mut [Step]) {
    let open = |step: &Step| {
        let since = step.sleep.as_ref().filter(|sleep| sleep.for_ms == step.estimate_ms)?;
        let since = since.since.as_ref()?;
        let declared = step.estimate_source == EstimateSource::Declared && step.skip.is_none();
        declared.then(|| since.clone())
    };
    let waits: Vec<(usize, StepId)> = steps
        .iter()
        .enumerate()
        .filter_map(|(position, step)| Some((position, open(step)?)))
        .collect();
    if waits.is_empty() {
        return;
    }
    let Edges { before, order } = Edges::new(steps);
    for (position, since) in waits {
        let Some(since) = steps.iter().position(|step| step.id == since) else { continue };
        // The longest chain from the end of `since` to the start of the wait.
        let mut longest: Vec<Option<u64>> = vec![None; steps.len()];
        for &at in &order {
            let chains = before[at].iter().filter_map(|&before| {
                if before == since {
                    return Some(0);
                }
                longest[before].map(|chain| chain + steps[before].expected_ms())
            });
            longest[at] = chains.max();
            if at == position {
                break;
            }
        }
        let step = &mut steps[position];
        step.estimate_ms = step.estimate_ms.saturating_sub(longest[position].unwrap_or(0));
    }
}
