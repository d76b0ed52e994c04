use crate::plan::{Lists, Network};
use crate::words::Class;

/// A project to be scheduled: steps by position, in the order of declaration.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Expected durations, milliseconds.
    pub durations: Vec<u64>,
    /// Units that each step takes while it runs, as `(pool, units)`; no pool twice, in order.
    pub demands: Lists<(u32, u32)>,
    /// What each step waits for.
    pub predecessors: Lists<u32>,
    /// What waits for each step.
    pub successors: Lists<u32>,
    /// Every step after all that it waits for.
    pub order: Vec<u32>,
    /// Units of each pool.
    pub capacities: Vec<u32>,
    /// Class and number of each step's own service; the last of both for a step without one.
    pub priorities: Vec<(Class, u32)>,
    /// What is to be reached, and by when.
    pub goals: Vec<Goal>,
}

/// A service, as far as the schedule knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// How urgent it is.
    pub class: Class,
    /// When it should be reached, milliseconds.
    pub due_ms: Option<u64>,
    /// It is reached when all of these are over.
    pub ends: Vec<u32>,
}

impl Instance {
    /// Derives `successors` and `order` from `predecessors`.
    ///
    /// # Panics
    /// If the edges have a cycle.
    pub fn link(&mut self) {
        self.successors = self.predecessors.reversed();
        let steps = self.durations.len();
        let mut waits: Vec<u32> =
            (0..steps).map(|step| self.predecessors.get(step).len() as u32).collect();
        let mut order: Vec<u32> =
            (0..steps as u32).filter(|step| waits[*step as usize] == 0).collect();
        let mut done = 0;
        while done < order.len() {
            let step = order[done] as usize;
            done += 1;
            for &next in self.successors.get(step) {
                waits[next as usize] -= 1;
                if waits[next as usize] == 0 {
                    order.push(next);
                }
            }
        }
        assert_eq!(order.len(), steps, "the edges have a cycle");
        self.order = order;
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.durations.len()
    }

    /// Whether there is no step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.durations.is_empty()
    }

    /// The same for a forward pass that starts steps in the order of `ranks`.
    #[must_use]
    pub fn network(&self, ranks: &[u32]) -> Network {
        Network {
            durations: self.durations.clone(),
            ranks: ranks.to_vec(),
            demands: self.demands.clone(),
            successors: self.successors.clone(),
            waits: (0..self.len()).map(|step| self.predecessors.get(step).len() as u32).collect(),
            capacities: self.capacities.clone(),
            yields: Vec::new(),
        }
    }

    /// When the last step ends.
    #[must_use]
    pub fn makespan_ms(&self, starts: &[u64]) -> u64 {
        starts
            .iter()
            .zip(&self.durations)
            .map(|(start, duration)| start + duration)
            .max()
            .unwrap_or(0)
    }

    /// When a goal is reached; `None` if nothing counts for it.
    #[must_use]
    pub fn reached_ms(&self, goal: &Goal, starts: &[u64]) -> Option<u64> {
        goal.ends.iter().map(|end| starts[*end as usize] + self.durations[*end as usize]).max()
    }
}
