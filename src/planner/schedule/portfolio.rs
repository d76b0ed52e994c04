use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::compact::{Compact, Pools};
use super::objective::Value;
use super::profile::{Apart, Joint, Profile};
use super::random::Random;
use super::search::{Member, search};
use super::serial::Generator;
use super::{Bounds, Instance, Keys};
use crate::plan::list_schedule;
use crate::words::Class;

/// Steps above which only list schedules are made: a plan must not take longer than it saves.
const LARGE: usize = 2_000;

/// How much may be spent on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Schedules made at most, beside the first one. 0: dispatch order as it is. The candidates
    /// take about 60; the rest is spent on local search.
    pub schedules: usize,
    /// Whether local search follows the candidates.
    pub search: bool,
    /// Seed of the search: the same seed gives the same schedule.
    pub seed: u64,
}

impl Effort {
    /// What a plan gets unless it is asked for more: 5,000 schedules, fewer for large ones.
    #[must_use]
    pub fn standard(steps: usize, seed: u64) -> Self {
        const SCHEDULES: usize = 5_000;
        const PLACEMENTS: usize = 1_200_000;
        let schedules = SCHEDULES.min(PLACEMENTS / steps.max(1));
        Self { schedules, search: true, seed }
    }
}

/// The best schedule found: starts by position, and what it is worth.
///
/// Candidates by several priority rules, each generated serially and in parallel and justified;
/// then local search from the best. Deterministic.
#[must_use]
pub fn optimise(
    instance: &Instance,
    keys: &Keys,
    bounds: &Bounds,
    effort: Effort,
) -> (Vec<u64>, Value) {
    let starts = list_schedule(&instance.network(&keys.ranks));
    let value = Value::new(instance, &starts);
    let bound = bound(instance, bounds);
    if value <= bound || effort.schedules == 0 || instance.len() > LARGE {
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
fn bound(instance: &Instance, bounds: &Bounds) -> Value {
    let mut value = Value { lateness: [0; 4], makespan: bounds.makespan_ms, recovery: 0 };
    for (goal, bound) in instance.goals.iter().zip(&bounds.goals) {
        if let Some((least, _)) = bound {
            if let Some(due) = goal.due_ms {
                value.lateness[goal.class as usize] += least.saturating_sub(due);
            }
            value.recovery += least;
        }
    }
    value
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
    let mut list = Vec::with_capacity(compact.len());
    let mut best: Vec<u64> = compact.original.iter().map(|step| first[*step as usize]).collect();
    let mut best_value = generator.value(&best);
    let mut starts = best.clone();
    generator.justify(&mut starts, &mut list);
    let mut members: Vec<Member> = Vec::new();
    let mut consider = |generator: &Generator<'_, P>, starts: &[u64]| {
        let value = generator.value(starts);
        if value < best_value {
            best_value = value;
            best.clear();
            best.extend_from_slice(starts);
        }
        best_value <= *bound
    };
    let mut done = consider(&generator, &starts);
    for ranks in rules(instance, keys) {
        for parallel in [true, false] {
            if done || generator.made + 3 > effort.schedules {
                break;
            }
            if parallel {
                generator.made += 1;
                let all = list_schedule(&instance.network(&ranks));
                for (start, step) in starts.iter_mut().zip(&compact.original) {
                    *start = all[*step as usize];
                }
            } else {
                topological(compact, &ranks, &mut list);
                generator.forward(&list, &mut starts);
            }
            done = consider(&generator, &starts);
            generator.justify(&mut starts, &mut list);
            done |= consider(&generator, &starts);
            generator.list_of(&starts, &mut list);
            members.push((generator.value(&starts), list.clone()));
        }
    }
    for order in from_the_end(instance, keys) {
        if done || generator.made + 4 > effort.schedules {
            break;
        }
        for (start, step) in starts.iter_mut().zip(&compact.original) {
            *start = order[*step as usize];
        }
        for _ in 0..2 {
            generator.justify(&mut starts, &mut list);
            done |= consider(&generator, &starts);
        }
        generator.list_of(&starts, &mut list);
        members.push((generator.value(&starts), list.clone()));
    }
    if effort.search && !done {
        let mut random = Random::new(effort.seed);
        search(&mut generator, &mut best, members, bound, effort.schedules, &mut random);
    }
    let mut starts = vec![0; compact.len()];
    for (step, start) in compact.original.iter().zip(&best) {
        starts[*step as usize] = *start;
    }
    let value = Value::new(instance, &starts);
    (starts, value)
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
