use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::compact::{Compact, Pools};
use super::generator::Generator;
use super::objective::Value;
use super::profile::{Apart, Joint, Profile};
use super::random::Random;
use super::search::search;
use super::{Bounds, Instance, Keys};
use crate::plan::list_schedule;
use crate::words::Class;

/// Steps above which only list schedules are made: a plan must not take longer than it saves.
const LARGE: usize = 2_000;

/// How much may be spent on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Schedules made at most, beside the first one: fixed candidates, then local search. 0: only
    /// the candidates and what can be blended from them, without anything random.
    pub schedules: usize,
    /// Seed of the search: the same seed gives the same schedule.
    pub seed: u64,
}

/// Placements of a step that a default plan may try: 5,000 schedules of 240 steps.
const PLACEMENTS: usize = 1_200_000;

impl Effort {
    /// What a plan gets unless it is asked for more: 5,000 schedules, fewer for large ones.
    #[must_use]
    pub fn standard(steps: usize, seed: u64) -> Self {
        Self { schedules: 5_000.min(PLACEMENTS / steps.max(1)), seed }
    }
}

/// Moments are sorted together with the number of a step, in one word: of what might take longer than two
/// thousand years no better schedule is sought.
const MOMENT_BITS: u32 = 46;

/// The best schedule found: starts by position, and what it is worth.
///
/// Candidates by several priority rules, each generated serially and in parallel and justified;
/// then local search from them, or, without search, blends of them. Deterministic.
#[must_use]
pub fn optimise(
    instance: &Instance,
    keys: &Keys,
    bounds: &Bounds,
    effort: Effort,
) -> (Vec<u64>, Value) {
    let starts = list_schedule(&instance.network(&keys.ranks));
    optimise_from(instance, keys, bounds, effort, starts)
}

/// The same from the schedule that the keys give.
pub(in crate::planner) fn optimise_from(
    instance: &Instance,
    keys: &Keys,
    bounds: &Bounds,
    effort: Effort,
    starts: Vec<u64>,
) -> (Vec<u64>, Value) {
    let value = Value::new(instance, &starts);
    let bound = bound(instance, bounds);
    let longest = instance.durations.iter().try_fold(0_u64, |sum, it| sum.checked_add(*it));
    if value <= bound
        || instance.len() > LARGE
        || longest.is_none_or(|longest| longest >> MOMENT_BITS > 0)
    {
        return (starts, value);
    }
    let compact = Compact::new(instance);
    match &compact.pools {
        Pools::One(packed) => {
            improve(instance, keys, &compact, Joint::new(packed), &starts, &bound, effort)
        }
        Pools::Two(packed) => {
            improve(instance, keys, &compact, Joint::new(packed), &starts, &bound, effort)
        }
        Pools::Many { capacities, demands } => {
            let profile = Apart::new(capacities, demands);
            improve(instance, keys, &compact, profile, &starts, &bound, effort)
        }
    }
}

/// What no schedule beats: reaching it ends the search.
///
/// In the best schedules no step can start earlier by itself, so each starts with the project or at
/// the end of another: all times are multiples of what divides every duration.
fn bound(instance: &Instance, bounds: &Bounds) -> Value {
    let unit = instance.durations.iter().copied().fold(0, gcd).max(1);
    let whole = |least: u64| least.next_multiple_of(unit);
    let mut value = Value { lateness: [0; 4], makespan: whole(bounds.makespan_ms), recovery: 0 };
    for (goal, bound) in instance.goals.iter().zip(&bounds.goals) {
        if let Some((least, _)) = bound {
            let least = whole(*least);
            if let Some(due) = goal.due_ms {
                value.lateness[goal.class as usize] += least.saturating_sub(due);
            }
            value.recovery += least;
        }
    }
    value
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

fn improve<P: Profile>(
    instance: &Instance,
    keys: &Keys,
    compact: &Compact,
    profile: P,
    first: &[u64],
    bound: &Value,
    effort: Effort,
) -> (Vec<u64>, Value) {
    let mut generator = Generator::new(compact, profile);
    let first: Vec<u64> = compact.original.iter().map(|step| first[*step as usize]).collect();
    let mut found = Candidates::new(&generator, first, *bound);
    let most = match effort.schedules {
        0 => BLENDED.min(PLACEMENTS / compact.len().max(1)),
        schedules => schedules,
    };
    found.by_rules(&mut generator, instance, keys, most);
    if effort.schedules == 0 {
        found.blends(&mut generator, most);
    } else if !found.done() {
        let mut random = Random::new(effort.seed);
        let Candidates { best, all, .. } = &mut found;
        search(&mut generator, best, all, bound, effort.schedules, &mut random);
    }
    let mut starts = vec![0; compact.len()];
    for (step, start) in compact.original.iter().zip(&found.best) {
        starts[*step as usize] = *start;
    }
    let value = Value::new(instance, &starts);
    (starts, value)
}

/// Schedules that are made in a fixed way.
struct Candidates {
    best: Vec<u64>,
    value: Value,
    bound: Value,
    /// All of them, justified.
    all: Vec<Vec<u64>>,
    /// Scratch.
    starts: Vec<u64>,
    list: Vec<u32>,
}

/// Schedules without search at most, and how many of the best are blended with each other.
const BLENDED: usize = 600;
const PARENTS: usize = 10;

impl Candidates {
    fn new<P: Profile>(generator: &Generator<'_, P>, first: Vec<u64>, bound: Value) -> Self {
        let (value, starts) = (generator.value(&first), first.clone());
        Self { best: first, value, bound, all: Vec::new(), starts, list: Vec::new() }
    }

    fn done(&self) -> bool {
        self.value <= self.bound
    }

    /// Looks at the schedule at hand.
    fn consider<P: Profile>(&mut self, generator: &Generator<'_, P>) {
        let value = generator.value(&self.starts);
        if value < self.value {
            self.value = value;
            self.best.copy_from_slice(&self.starts);
        }
    }

    /// Justifies the schedule at hand, and keeps it.
    fn add<P: Profile>(&mut self, generator: &mut Generator<'_, P>) {
        self.consider(generator);
        generator.justify(&mut self.starts, &mut self.list);
        self.consider(generator);
        self.all.push(self.starts.clone());
    }

    /// By priority rules, in parallel and serially; then by filling the time from its end.
    fn by_rules<P: Profile>(
        &mut self,
        generator: &mut Generator<'_, P>,
        instance: &Instance,
        keys: &Keys,
        most: usize,
    ) {
        let compact = generator.compact;
        if most < 3 {
            return;
        }
        self.add(generator);
        for ranks in rules(instance, keys) {
            for parallel in [true, false] {
                if self.done() || generator.made() + 3 > most {
                    return;
                }
                if parallel {
                    generator.count_one();
                    let all = list_schedule(&instance.network(&ranks));
                    for (start, step) in self.starts.iter_mut().zip(&compact.original) {
                        *start = all[*step as usize];
                    }
                } else {
                    topological(compact, &ranks, &mut self.list);
                    generator.forward(&self.list, &mut self.starts);
                }
                self.add(generator);
            }
        }
        for order in from_the_end(instance, keys) {
            if self.done() || generator.made() + 4 > most {
                return;
            }
            for (start, step) in self.starts.iter_mut().zip(&compact.original) {
                *start = order[*step as usize];
            }
            generator.justify(&mut self.starts, &mut self.list);
            self.add(generator);
        }
    }

    /// Each two of the best, blended: steps in the order of the sums of their starts. Blends are
    /// blended again, as long as there are new pairs.
    fn blends<P: Profile>(&mut self, generator: &mut Generator<'_, P>, most: usize) {
        let mut blended = BTreeSet::new();
        loop {
            let mut pairs = self.pairs(generator);
            pairs.retain(|pair| blended.insert(*pair));
            if pairs.is_empty() {
                return;
            }
            for (one, two) in pairs {
                if self.done() || generator.made() + 3 > most {
                    return;
                }
                let sums = self.all[one].iter().zip(&self.all[two]).map(|(one, two)| one + two);
                let sums: Vec<u64> = sums.collect();
                generator.list_by_start(&sums, &mut self.list);
                generator.forward(&self.list, &mut self.starts);
                self.add(generator);
            }
        }
    }

    /// Pairs of the best.
    fn pairs<P: Profile>(&self, generator: &Generator<'_, P>) -> Vec<(usize, usize)> {
        let values = self.all.iter().map(|starts| generator.value(starts));
        let mut ranked: Vec<(Value, usize)> = values.zip(0..).collect();
        ranked.sort_unstable();
        let mut best: Vec<usize> = Vec::new();
        for (_, one) in ranked {
            if best.len() == PARENTS {
                break;
            }
            if best.iter().all(|other| self.all[*other] != self.all[one]) {
                best.push(one);
            }
        }
        best.sort_unstable();
        let smaller = |one: usize| best.iter().copied().take_while(move |two| *two < one);
        best.iter().flat_map(|one| smaller(*one).map(|two| (*one, two))).collect()
    }
}

/// Orders of dispatch to try, as ranks.
fn rules(instance: &Instance, keys: &Keys) -> Vec<Vec<u32>> {
    let steps = instance.len();
    let class = |step: usize| keys.urgency[step].0;
    let latest = |step: usize| keys.latest_starts[step];
    let tail = |step: usize| Reverse(keys.tails[step]);
    let by_edges = |step: usize| keys.critical_ms as i64 - keys.tails[step] as i64;
    let capacity_used: Vec<u64> = (0..steps)
        .map(|step| {
            let shares = instance.demands.get(step).iter().map(|(pool, units)| {
                u64::from(*units) * 1_000 / u64::from(instance.capacities[*pool as usize].max(1))
            });
            shares.sum::<u64>() * instance.durations[step]
        })
        .collect();
    let mut follow_ups = vec![0_u64; steps];
    let mut work = capacity_used.clone();
    for step in instance.order.iter().rev().map(|step| *step as usize) {
        let next = || instance.successors.get(step).iter().map(|next| *next as usize);
        follow_ups[step] = next().map(|next| follow_ups[next] + 1).sum();
        work[step] += next().map(|next| work[next]).max().unwrap_or(0);
    }
    let positional = |step: usize| {
        let next = instance.successors.get(step).iter();
        Reverse(
            instance.durations[step] + next.map(|n| instance.durations[*n as usize]).sum::<u64>(),
        )
    };
    let float = |step: usize| by_edges(step) - keys.heads[step] as i64;
    let latest_finish = |step: usize| by_edges(step) + instance.durations[step] as i64;
    let mut all = vec![
        keys.ranks.clone(),
        ranked(steps, latest),
        ranked(steps, |step| (class(step), tail(step))),
        ranked(steps, tail),
        ranked(steps, latest_finish),
        ranked(steps, |step| (class(step), latest_finish(step))),
        ranked(steps, |step| (float(step), by_edges(step))),
        ranked(steps, |step| Reverse(work[step])),
        ranked(steps, |step| (class(step), Reverse(work[step]))),
        ranked(steps, |step| Reverse(follow_ups[step])),
        ranked(steps, positional),
        ranked(steps, |step| Reverse(capacity_used[step])),
        ranked(steps, |step| keys.heads[step] as i64 + by_edges(step)),
        ranked(steps, |step| Reverse(keys.tails[step] + instance.durations[step])),
    ];
    all.dedup();
    all
}

/// Orders in which to fill the time from its end: starts that respect the edges, so late that
/// whatever comes of them fits before.
fn from_the_end(instance: &Instance, keys: &Keys) -> Vec<Vec<u64>> {
    let late: u64 = instance.durations.iter().sum();
    let starts = |of: &dyn Fn(usize) -> u64| (0..instance.len()).map(|s| late + of(s)).collect();
    let by_edges = |step: usize| keys.critical_ms - keys.tails[step];
    vec![
        starts(&|step| keys.heads[step]),
        starts(&by_edges),
        starts(&|step| keys.heads[step].midpoint(by_edges(step))),
        starts(&|step| (3 * keys.heads[step] + by_edges(step)) / 4),
        starts(&|step| (keys.heads[step] + 3 * by_edges(step)) / 4),
    ]
}

fn ranked<K: Ord>(steps: usize, key: impl Fn(usize) -> K) -> Vec<u32> {
    let mut order: Vec<u32> = (0..steps as u32).collect();
    order.sort_by_key(|step| (key(*step as usize), *step));
    let mut ranks = vec![0; steps];
    for (rank, step) in order.iter().enumerate() {
        ranks[*step as usize] = rank as u32;
    }
    ranks
}

/// The list in which each step comes as soon as its rank and its edges allow.
fn topological(compact: &Compact, ranks: &[u32], list: &mut Vec<u32>) {
    let rank = |step: u32| ranks[compact.original[step as usize] as usize];
    let mut waits: Vec<u32> =
        (0..compact.len()).map(|step| compact.predecessors.get(step).len() as u32).collect();
    let mut ready: BinaryHeap<Reverse<(u32, u32)>> = (0..compact.len() as u32)
        .filter(|step| waits[*step as usize] == 0)
        .map(|step| Reverse((rank(step), step)))
        .collect();
    list.clear();
    while let Some(Reverse((_, step))) = ready.pop() {
        list.push(step);
        for next in compact.successors.get(step as usize) {
            waits[*next as usize] -= 1;
            if waits[*next as usize] == 0 {
                ready.push(Reverse((rank(*next), *next)));
            }
        }
    }
}

const _: () = assert!(Class::ALL.len() == 4, "one slot of lateness a class");
