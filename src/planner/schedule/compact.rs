use super::Instance;
use super::keys::NEVER;
use crate::plan::Lists;

/// Pools that fit into the lanes of one word.
const LANES: usize = 4;
/// The highest bit of each lane: a lane that could not be subtracted from loses it.
const GUARDS: u64 = 0x8000_8000_8000_8000;

/// An instance renumbered and packed for many schedules: steps in topological order, only pools
/// that can bind, demands as lanes of words.
#[derive(Debug, Clone)]
pub(super) struct Compact {
    /// Original position of each step.
    pub(super) original: Vec<u32>,
    pub(super) durations: Vec<u64>,
    pub(super) predecessors: Lists<u32>,
    pub(super) successors: Lists<u32>,
    pub(super) pools: Pools,
    /// Goals with the steps that end them: class, objective, ends.
    pub(super) goals: Vec<(usize, u64, Vec<u32>)>,
}

/// Demands in the form that suits their number.
#[derive(Debug, Clone)]
pub(super) enum Pools {
    /// Up to four pools in one word.
    One(Packed<1>),
    /// Up to eight pools in two words.
    Two(Packed<2>),
    /// More pools, of which each step takes few.
    Many { capacities: Vec<u32>, demands: Lists<(u32, u32)> },
}

/// Demands as lanes of 15 bits.
#[derive(Debug, Clone)]
pub(super) struct Packed<const W: usize> {
    pub(super) capacity: [u64; W],
    pub(super) demands: Vec<[u64; W]>,
}

impl Compact {
    pub(super) fn new(instance: &Instance) -> Self {
        let original = instance.order.clone();
        let mut place = vec![0_u32; instance.len()];
        for (position, step) in original.iter().enumerate() {
            place[*step as usize] = position as u32;
        }
        let mut predecessors = Lists::default();
        for step in &original {
            let before = instance.predecessors.get(*step as usize).iter();
            predecessors.push(before.map(|other| place[*other as usize]));
        }
        let goals = instance
            .goals
            .iter()
            .filter(|goal| !goal.ends.is_empty())
            .map(|goal| {
                let ends = goal.ends.iter().map(|end| place[*end as usize]).collect();
                (goal.class as usize, goal.due_ms.unwrap_or(NEVER as u64), ends)
            })
            .collect();
        Self {
            durations: original.iter().map(|step| instance.durations[*step as usize]).collect(),
            successors: predecessors.reversed(),
            predecessors,
            pools: pack(instance, &original),
            goals,
            original,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.durations.len()
    }
}

/// Keeps the pools of which all steps together want more than there is.
fn pack(instance: &Instance, original: &[u32]) -> Pools {
    let mut wanted = vec![0_u64; instance.capacities.len()];
    for step in 0..instance.len() {
        for (pool, units) in instance.demands.get(step) {
            wanted[*pool as usize] += u64::from(*units);
        }
    }
    let binding: Vec<usize> = (0..wanted.len())
        .filter(|pool| wanted[*pool] > u64::from(instance.capacities[*pool]))
        .collect();
    let small = binding.iter().all(|pool| instance.capacities[*pool] < 0x8000);
    match binding.len() {
        0..=4 if small => Pools::One(lanes(instance, original, &binding)),
        5..=8 if small => Pools::Two(lanes(instance, original, &binding)),
        _ => {
            let mut new = vec![None; wanted.len()];
            for (position, pool) in binding.iter().enumerate() {
                new[*pool] = Some(position as u32);
            }
            let mut demands = Lists::default();
            for step in original {
                let all = instance.demands.get(*step as usize).iter();
                demands.push(all.filter_map(|(pool, units)| Some((new[*pool as usize]?, *units))));
            }
            let capacities = binding.iter().map(|pool| instance.capacities[*pool]).collect();
            Pools::Many { capacities, demands }
        }
    }
}

fn lanes<const W: usize>(instance: &Instance, original: &[u32], binding: &[usize]) -> Packed<W> {
    let lane = |position: usize, units: u32| u64::from(units) << (16 * (position % LANES));
    let mut capacity = [0; W];
    for (position, pool) in binding.iter().enumerate() {
        capacity[position / LANES] |= lane(position, instance.capacities[*pool]);
    }
    let demands = original
        .iter()
        .map(|step| {
            let mut packed = [0; W];
            for (pool, units) in instance.demands.get(*step as usize) {
                if let Some(position) = binding.iter().position(|one| *one == *pool as usize) {
                    packed[position / LANES] |= lane(position, *units);
                }
            }
            packed
        })
        .collect();
    Packed { capacity, demands }
}

/// Whether every lane of `free` holds the lane of `wanted`.
#[inline]
pub(super) fn fits<const W: usize>(free: &[u64; W], wanted: &[u64; W]) -> bool {
    (0..W).all(|word| ((free[word] | GUARDS) - wanted[word]) & GUARDS == GUARDS)
}

/// Takes the lanes of `taken` off.
#[inline]
pub(super) fn take<const W: usize>(free: &mut [u64; W], taken: &[u64; W]) {
    *free = std::array::from_fn(|word| free[word] - taken[word]);
}

/// Gives the lanes of `taken` back.
#[inline]
pub(super) fn give<const W: usize>(free: &mut [u64; W], taken: &[u64; W]) {
    *free = std::array::from_fn(|word| free[word] + taken[word]);
}
