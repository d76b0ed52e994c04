use super::Instance;
use super::keys::{heads, tails};

/// What no schedule can beat, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// For the whole project, milliseconds.
    pub makespan_ms: u64,
    /// For each goal; `None` if nothing counts for it.
    pub goals: Vec<Option<(u64, Proof)>>,
}

/// Why a goal cannot be reached earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The longest chain of steps that ends here; [`Chains`](super::Chains) name them.
    Chain {
        /// The last of them.
        last: u32,
    },
    /// What comes before the goal keeps this pool busy that long.
    Pool {
        /// The pool.
        pool: u32,
        /// Work of the pool's units, milliseconds times units.
        work: u64,
    },
}

/// Goals that are looked at in one pass.
const BATCH: usize = 64;

/// Lower bounds: the longest chain, or the work of everything that must come before in one pool.
#[must_use]
pub fn bounds(instance: &Instance) -> Bounds {
    let heads = heads(instance);
    let mut goals = Vec::with_capacity(instance.goals.len());
    for batch in 0..instance.goals.len().div_ceil(BATCH) {
        bounds_of_batch(instance, &heads, batch * BATCH, &mut goals);
    }
    let tails = tails(instance);
    let mut pools = vec![PoolLoad::default(); instance.capacities.len()];
    let mut least_after = vec![u64::MAX; instance.capacities.len()];
    for step in 0..instance.len() {
        for &(pool, units) in instance.demands.get(step) {
            let pool = pool as usize;
            pools[pool].add(heads[step], instance.durations[step] * u64::from(units));
            let after = tails[step] - instance.durations[step];
            least_after[pool] = least_after[pool].min(after);
        }
    }
    let by_pools = pools
        .iter()
        .enumerate()
        .filter(|(_, load)| load.work > 0)
        .map(|(pool, load)| load.bound(instance.capacities[pool]) + least_after[pool]);
    let makespan_ms = by_pools.max().unwrap_or(0).max(instance.makespan_ms(&heads));
    Bounds { makespan_ms, goals }
}

/// What must pass through one pool.
#[derive(Clone, Copy)]
struct PoolLoad {
    earliest: u64,
    work: u64,
}

impl Default for PoolLoad {
    fn default() -> Self {
        Self { earliest: u64::MAX, work: 0 }
    }
}

impl PoolLoad {
    fn add(&mut self, head: u64, work: u64) {
        if work > 0 {
            self.earliest = self.earliest.min(head);
            self.work += work;
        }
    }

    fn bound(self, capacity: u32) -> u64 {
        self.earliest.saturating_add(self.work.div_ceil(u64::from(capacity.max(1))))
    }
}

fn bounds_of_batch(
    instance: &Instance,
    heads: &[u64],
    first: usize,
    found: &mut Vec<Option<(u64, Proof)>>,
) {
    let goals = &instance.goals[first..instance.goals.len().min(first + BATCH)];
    // Which goals of the batch each step comes before, as bits.
    let mut serves = vec![0_u64; instance.len()];
    for (bit, goal) in goals.iter().enumerate() {
        for end in &goal.ends {
            serves[*end as usize] |= 1 << bit;
        }
    }
    for &step in instance.order.iter().rev() {
        for &next in instance.successors.get(step as usize) {
            serves[step as usize] |= serves[next as usize];
        }
    }
    let pools = instance.capacities.len();
    let mut loads = vec![PoolLoad::default(); goals.len() * pools];
    for step in 0..instance.len() {
        let mut bits = serves[step];
        while bits != 0 {
            let goal = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            for &(pool, units) in instance.demands.get(step) {
                loads[goal * pools + pool as usize]
                    .add(heads[step], instance.durations[step] * u64::from(units));
            }
        }
    }
    for (position, goal) in goals.iter().enumerate() {
        let finish = |step: u32| heads[step as usize] + instance.durations[step as usize];
        let Some(last) = goal.ends.iter().copied().max_by_key(|end| (finish(*end), u32::MAX - end))
        else {
            found.push(None);
            continue;
        };
        let by_pool = (0..pools)
            .filter(|pool| loads[position * pools + pool].work > 0)
            .map(|pool| (loads[position * pools + pool].bound(instance.capacities[pool]), pool))
            .max_by_key(|(bound, pool)| (*bound, usize::MAX - pool));
        found.push(Some(match by_pool {
            Some((bound, pool)) if bound > finish(last) => {
                let work = loads[position * pools + pool].work;
                (bound, Proof::Pool { pool: pool as u32, work })
            }
            _ => (finish(last), Proof::Chain { last }),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::schedule::{Chains, Goal};
    use crate::words::Class;

    #[test]
    fn a_goal_is_bound_by_its_chain_or_by_a_pool() {
        let mut instance = Instance { capacities: vec![4, 1], ..Instance::default() };
        for (duration, before) in
            [(10, vec![]), (20, vec![0]), (30, vec![]), (30, vec![]), (5, vec![])]
        {
            instance.durations.push(duration);
            instance.predecessors.push(before);
            instance.demands.push([(0, 1), (1, 1)]);
            instance.priorities.push((Class::Medium, 63));
        }
        let goal = |ends: &[u32]| Goal { class: Class::Medium, due_ms: None, ends: ends.to_vec() };
        instance.goals = vec![goal(&[1]), goal(&[2, 3]), goal(&[])];
        instance.link();
        let bounds = bounds(&instance);
        assert_eq!(
            bounds.goals,
            [
                Some((30, Proof::Chain { last: 1 })),
                Some((60, Proof::Pool { pool: 1, work: 60 })),
                None,
            ]
        );
        assert_eq!(Chains::new(&instance).to(1), [0, 1]);
        assert_eq!(bounds.makespan_ms, 95);
    }
}
