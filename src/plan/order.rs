//! In which order steps are dispatched.

use super::{Plan, Yield};
use crate::id::StepId;

impl Plan {
    /// Place of each step in the order of dispatch, by position.
    #[must_use]
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.steps.len() as u32).collect();
        order.sort_by_key(|step| (self.steps[*step as usize].urgency, *step));
        let mut ranks = vec![0; order.len()];
        for (rank, step) in order.iter().enumerate() {
            ranks[*step as usize] = rank as u32;
        }
        ranks
    }

    /// The steps that let others start first, by position, as `position` tells it.
    #[must_use]
    pub fn yields(&self, position: &dyn Fn(&StepId) -> Option<u32>) -> Vec<Yield> {
        let yielding = self.steps.iter().zip(0..).filter(|(step, _)| !step.yields_to.is_empty());
        yielding
            .map(|(step, place)| Yield {
                step: place,
                to: step.yields_to.iter().filter_map(position).collect(),
                until_ms: step.start_ms,
            })
            .collect()
    }
}
