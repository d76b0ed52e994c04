use super::Spread;
use super::quantile::{exp, normal};
use crate::plan::Dispatcher;
use crate::planner::schedule::{Instance, Random};

/// Quantiles of a step's effect that are told apart.
const BINS: usize = 4096;
/// Samples from which it is counted how often each step is on the critical chain, at least.
const CHAINS: usize = 1_000;

/// What many simulated runs took.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// From start to end, milliseconds, sorted.
    pub makespans: Vec<u64>,
    /// To each goal, in the order of the instance, sorted; empty if nothing counts for it.
    pub goals: Vec<Vec<u64>>,
    /// For each step the share of runs in which it was on the chain that decided the end.
    pub criticality: Vec<f64>,
}

/// Runs the project so many times, dispatched by rank, with durations drawn from the spread.
/// `typical` are logarithms of milliseconds; `None`: the step takes no time.
#[must_use]
pub fn sample(
    instance: &Instance,
    ranks: &[u32],
    typical: &[Option<f64>],
    spread: &Spread,
    samples: usize,
    seed: u64,
) -> Sampled {
    let network = instance.network(ranks);
    let mut dispatcher = Dispatcher::new(&network);
    let mut random = Random::new(seed);
    let runs = spread.runs.max(1) as f64;
    // What is typical is itself known from few runs only.
    let unsure = if spread.is_stated() { 1.0 } else { (1.0 + 1.0 / runs).sqrt() };
    let normals: Vec<f64> = (0..BINS).map(|bin| normal((bin as f64 + 0.5) / BINS as f64)).collect();
    let effects: Vec<f64> = normals.iter().map(|it| exp(it * spread.step * unsure)).collect();
    let usual: Vec<f64> = typical.iter().map(|it| it.map_or(0.0, exp)).collect();
    let mut durations = vec![0_u64; instance.len()];
    let mut makespans = Vec::with_capacity(samples);
    let mut goals = vec![Vec::with_capacity(samples); instance.goals.len()];
    let mut on_chain = vec![0_u32; instance.len()];
    let every = (samples / CHAINS).max(1);
    let mut chains = 0_u32;
    for number in 0..samples {
        let of_run = exp(student(&mut random, &normals, spread) * spread.run * unsure);
        for (durations, usual) in durations.chunks_mut(4).zip(usual.chunks(4)) {
            let mut bits = random.next();
            for (duration, usual) in durations.iter_mut().zip(usual) {
                let effect = effects[(bits & (BINS as u64 - 1)) as usize];
                bits >>= 16;
                *duration = (usual * (of_run * effect) + 0.5) as u64;
            }
        }
        let starts = dispatcher.run(&durations);
        let end = |step: usize| starts[step] + durations[step];
        makespans.push((0..starts.len()).map(end).max().unwrap_or(0));
        for (reached, goal) in goals.iter_mut().zip(&instance.goals) {
            reached.extend(goal.ends.iter().map(|step| end(*step as usize)).max());
        }
        if number % every == 0 {
            chains += 1;
            mark_chain(instance, starts, &durations, &mut on_chain);
        }
    }
    makespans.sort_unstable();
    for reached in &mut goals {
        reached.sort_unstable();
    }
    let share = |count: u32| f64::from(count) / f64::from(chains.max(1));
    Sampled { makespans, goals, criticality: on_chain.into_iter().map(share).collect() }
}

/// Student's t with one degree of freedom less than there were runs; of a stated spread, normal.
fn student(random: &mut Random, normals: &[f64], spread: &Spread) -> f64 {
    let mut draw = || normals[random.below(normals.len())];
    let value = draw();
    if spread.is_stated() {
        return value;
    }
    let free = spread.runs - 1;
    let squares: f64 = (0..free).map(|_| draw()).map(|it| it * it).sum();
    value * (free as f64 / squares.max(1e-9)).sqrt()
}

/// Walks back from the last end: to the step whose end let the next one start, by an edge or else by a
/// pool that both take.
fn mark_chain(instance: &Instance, starts: &[u64], durations: &[u64], on_chain: &mut [u32]) {
    let end = |step: usize| starts[step] + durations[step];
    let mut at = (0..starts.len()).max_by_key(|step| (end(*step), usize::MAX - step));
    let mut left = starts.len();
    while let Some(step) = at
        && left > 0
    {
        left -= 1;
        on_chain[step] += 1;
        let start = starts[step];
        if start == 0 {
            return;
        }
        let before = instance.predecessors.get(step).iter().map(|other| *other as usize);
        let by_edge = before.clone().find(|other| end(*other) == start && durations[*other] > 0);
        let shares = |other: usize| {
            let mine = instance.demands.get(step);
            instance
                .demands
                .get(other)
                .iter()
                .any(|(pool, _)| mine.iter().any(|(own, _)| own == pool))
        };
        at = by_edge.or_else(|| before.clone().find(|other| end(*other) == start)).or_else(|| {
            (0..starts.len())
                .find(|other| durations[*other] > 0 && end(*other) == start && shares(*other))
        });
    }
}

/// The value that a share of sorted samples does not exceed.
#[must_use]
pub fn quantile(sorted: &[u64], share: f64) -> Option<u64> {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied()
}
