//! What keeps other runs away while one lasts.

use super::{Document, StepDoc};

impl Document {
    /// What a run of it locks: the runbook's own, then those of its loops.
    pub fn every_lock(&self) -> impl Iterator<Item = &String> {
        self.locks.iter().chain(self.loop_locks())
    }

    /// What its loops lock.
    pub fn loop_locks(&self) -> impl Iterator<Item = &String> {
        let mut open: Vec<&StepDoc> = self.steps.iter().rev().collect();
        let steps = std::iter::from_fn(move || {
            let step = open.pop()?;
            open.extend(step.steps.iter().flatten().rev());
            Some(step)
        });
        steps.flat_map(|step| &step.locks)
    }
}

impl StepDoc {
    /// How many elements of a loop are under way at once; all, if that is not said. Those of a loop
    /// that locks something hold it one after the other.
    #[must_use]
    pub fn at_once(&self) -> Option<u32> {
        if self.locks.is_empty() { self.max_parallel } else { Some(1) }
    }
}
