//! Clocks that start only when a step of the run has made the incident happen.

use super::schedule::{Goal, Instance};
use crate::plan::Plan;

/// The steps that make the incident happen, and what follows from them.
pub(super) struct Incident {
    /// Their positions.
    steps: Vec<u32>,
    /// The earliest moment at which all of them can be over, milliseconds.
    earliest_ms: u64,
    /// For each of them, the longest chain from its end to the end of each step that follows it.
    after: Vec<Vec<Option<u64>>>,
}

impl Incident {
    pub(super) fn new(plan: &Plan, instance: &Instance) -> Self {
        let incidents = plan.steps.iter().enumerate();
        let incidents = incidents.filter(|(_, step)| step.incident && step.skip.is_none());
        let steps: Vec<u32> = incidents.map(|(position, _)| position as u32).collect();
        let mut ends = vec![0; instance.len()];
        let mut after = vec![vec![None; instance.len()]; steps.len()];
        if !steps.is_empty() {
            for &step in &instance.order {
                let step = step as usize;
                let lasts = instance.durations[step];
                let before = || instance.predecessors.get(step).iter().map(|at| *at as usize);
                ends[step] = before().map(|at| ends[at]).max().unwrap_or(0) + lasts;
                for (incident, chains) in steps.iter().zip(&mut after) {
                    let chain = |at: usize| {
                        if at == *incident as usize { Some(0) } else { chains[at] }
                    };
                    let longest = before().filter_map(chain).max();
                    chains[step] = longest.map(|chain| chain + lasts);
                }
            }
        }
        let earliest_ms = steps.iter().map(|at| ends[*at as usize]).max().unwrap_or(0);
        Self { steps, earliest_ms, after }
    }

    /// Whether the run makes it happen.
    pub(super) fn happens(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Objectives count from the incident.
    pub(super) fn shift_goals(&self, instance: &mut Instance) {
        for goal in &mut instance.goals {
            goal.due_ms = goal.due_ms.map(|due| due + self.earliest_ms);
        }
    }

    /// The least recovery time of a service, counted from its clock: `from_start` is the least
    /// counted from the start of the run.
    pub(super) fn lower_bound(&self, from_start: u64, goal: &Goal) -> u64 {
        let after = |chains: &Vec<Option<u64>>| {
            goal.ends.iter().filter_map(|end| chains[*end as usize]).max().unwrap_or(0)
        };
        // Whichever of them is over last starts the clock.
        self.after.iter().map(after).min().unwrap_or(from_start)
    }
}
