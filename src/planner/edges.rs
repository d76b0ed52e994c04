use std::collections::HashMap;

use crate::id::StepId;
use crate::plan::Step;

/// What the steps of a plan wait for, by position.
pub(super) struct Edges {
    /// For each step, what it waits for.
    pub(super) before: Vec<Vec<usize>>,
    /// Positions in an order in which every step follows what it waits for.
    pub(super) order: Vec<usize>,
}

impl Edges {
    pub(super) fn new(steps: &[Step]) -> Self {
        let positions: HashMap<&StepId, usize> =
            steps.iter().enumerate().map(|(position, step)| (&step.id, position)).collect();
        let waits_for = |step: &Step| {
            let edges = step.needs.iter().chain(&step.after);
            edges.filter_map(|id| positions.get(id).copied()).collect()
        };
        let before: Vec<Vec<usize>> = steps.iter().map(waits_for).collect();
        let mut waits: Vec<usize> = before.iter().map(Vec::len).collect();
        let mut next = vec![Vec::new(); steps.len()];
        for (position, before) in before.iter().enumerate() {
            for other in before {
                next[*other].push(position);
            }
        }
        let mut order: Vec<usize> = (0..steps.len()).filter(|step| waits[*step] == 0).collect();
        let mut done = 0;
        while let Some(position) = order.get(done).copied() {
            done += 1;
            for after in &next[position] {
                waits[*after] -= 1;
                if waits[*after] == 0 {
                    order.push(*after);
                }
            }
        }
        Self { before, order }
    }
}
