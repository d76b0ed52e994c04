use super::Spread;
use super::quantile::{exp, normal};
use crate::plan::{Dispatcher, Network, Yield};
use crate::planner::schedule::{Instance, Random};

/// Quantiles of a step's effect that are told apart.
const BINS: usize = 4096;
/// Samples from which it is counted how often each step is on the critical chain, at least.
const CHAINS: usize = 1_000;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Project<'a> {
    /// The steps and what they share.
    pub instance: &'a Instance,
    /// Their order of dispatch.
    pub ranks: &'a [u32],
    /// Steps that let others start first.
    pub yields: &'a [Yield],
    /// Goals are measured from the end of the last of these; from the start if there are none.
    pub clock: &'a [u32],
    /// What is expected of each step.
    pub usual: &'a [Usual],
}

/// How long a step takes in a run like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// Always so long, milliseconds.
    Fixed {
        /// Milliseconds.
        ms: u64,
    },
    /// In half of all runs less than that.
    About {
        /// Milliseconds.
        ms: u64,
        /// Past runs that this was learned from; 0: it was declared.
        runs: u32,
    },
}

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
///
/// A duration that was learned from `n` runs is itself known only as well as their mean, so it is
/// drawn with 1 + 1/n of the variance. Of steps that run side by side the slowest decides, which
/// makes any uncertainty look like delay: once because the means are off, and once more because they
/// are drawn as if they were. Both shifts are of one size, which is seen by drawing without the
/// uncertainty, and both are taken off: the bootstrap's correction for bias (Efron and Tibshirani,
/// *An Introduction to the Bootstrap*, 1993, chapter 10).
#[must_use]
pub fn sample(project: &Project<'_>, spread: &Spread, samples: usize, seed: u64) -> Sampled {
    let mut runs = simulate(project, spread, true, samples, seed);
    let learned = project.usual.iter().any(|it| matches!(it, Usual::About { runs: 1.., .. }));
    if learned && !spread.is_stated() {
        let few = (samples / CORRECTION).max(CORRECTED_BY).min(samples);
        let certain = simulate(project, spread, false, few, seed);
        correct(&mut runs.makespans, &certain.makespans);
        for (runs, certain) in runs.goals.iter_mut().zip(&certain.goals) {
            correct(runs, certain);
        }
    }
    let mut makespans = runs.makespans;
    let mut goals = runs.goals;
    makespans.sort_unstable();
    for reached in &mut goals {
        reached.sort_unstable();
    }
    let share = |count: u32| f64::from(count) / f64::from(runs.chains.max(1));
    Sampled { makespans, goals, criticality: runs.on_chain.into_iter().map(share).collect() }
}

/// One sample in so many is drawn again without the uncertainty of what is usual, and at least
/// [`CORRECTED_BY`].
const CORRECTION: usize = 10;
const CORRECTED_BY: usize = 400;

/// Takes off twice the shift between the samples and those with the same draws but without
/// uncertainty.
fn correct(samples: &mut [u64], certain: &[u64]) {
    let median = |samples: &[u64]| {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        quantile(&sorted, 0.5).filter(|ms| *ms > 0)
    };
    let Some(drawn) = samples.get(..certain.len()).and_then(median) else { return };
    let Some(certain) = median(certain) else { return };
    let ratio = certain as f64 / drawn as f64;
    for ms in samples {
        *ms = (*ms as f64 * (ratio * ratio) + 0.5) as u64;
    }
}

/// Samples in the order in which they were drawn.
struct Runs {
    makespans: Vec<u64>,
    goals: Vec<Vec<u64>>,
    on_chain: Vec<u32>,
    chains: u32,
}

/// Effects of a step, by [`BINS`] of their distribution, for what was learned from so many runs.
struct Effects {
    normals: Vec<f64>,
    /// By the number of runs; empty where no step was learned from so many.
    tables: Vec<Vec<f64>>,
}

impl Effects {
    fn new(project: &Project<'_>, spread: &Spread, uncertain: bool) -> Self {
        let bin = |bin: usize| normal((bin as f64 + 0.5) / BINS as f64);
        let normals: Vec<f64> = (0..BINS).map(bin).collect();
        let mut tables: Vec<Vec<f64>> = Vec::new();
        for usual in project.usual {
            let runs = usual.runs() as usize;
            if tables.len() <= runs {
                tables.resize(runs + 1, Vec::new());
            }
            if tables[runs].is_empty() {
                let unsure = match runs {
                    1.. if uncertain && !spread.is_stated() => (1.0 + 1.0 / runs as f64).sqrt(),
                    _ => 1.0,
                };
                tables[runs] = normals.iter().map(|it| exp(it * spread.step * unsure)).collect();
            }
        }
        Self { normals, tables }
    }
}

impl Usual {
    fn runs(self) -> u32 {
        match self {
            Self::Fixed { .. } => 0,
            Self::About { runs, .. } => runs,
        }
    }
}

fn simulate(
    project: &Project<'_>,
    spread: &Spread,
    uncertain: bool,
    samples: usize,
    seed: u64,
) -> Runs {
    let Project { instance, ranks, yields, clock, usual } = *project;
    let network = Network { yields: yields.to_vec(), ..instance.network(ranks) };
    let mut dispatcher = Dispatcher::new(&network);
    let mut random = Random::new(seed);
    // How slow the typical run was is known from few runs only, too.
    let unsure = if spread.is_stated() { 1.0 } else { (1.0 + 1.0 / spread.runs as f64).sqrt() };
    let Effects { normals, tables } = Effects::new(project, spread, uncertain);
    let tables: Vec<&[f64]> = usual.iter().map(|it| &tables[it.runs() as usize][..]).collect();
    let about = |usual: &Usual| match usual {
        Usual::Fixed { .. } => 0.0,
        Usual::About { ms, .. } => *ms as f64,
    };
    let usual_ms: Vec<f64> = usual.iter().map(about).collect();
    let fixed = |(position, usual): (usize, &Usual)| match usual {
        Usual::Fixed { ms: 1.. } => Some(position),
        _ => None,
    };
    let fixed: Vec<usize> = usual.iter().enumerate().filter_map(fixed).collect();
    let mut durations = vec![0_u64; instance.len()];
    let mut runs = Runs {
        makespans: Vec::with_capacity(samples),
        goals: vec![Vec::with_capacity(samples); instance.goals.len()],
        on_chain: vec![0_u32; instance.len()],
        chains: 0,
    };
    let every = (samples / CHAINS).max(1);
    for number in 0..samples {
        let of_run = exp(student(&mut random, &normals, spread) * spread.run * unsure);
        let usual = usual_ms.chunks(4).zip(tables.chunks(4));
        for (durations, (usual, tables)) in durations.chunks_mut(4).zip(usual) {
            let mut bits = random.next();
            for ((duration, usual), table) in durations.iter_mut().zip(usual).zip(tables) {
                let effect = table[(bits & (BINS as u64 - 1)) as usize];
                bits >>= 16;
                *duration = (usual * (of_run * effect) + 0.5) as u64;
            }
        }
        for step in &fixed {
            durations[*step] = instance.durations[*step];
        }
        let starts = dispatcher.run(&durations);
        let end = |step: usize| starts[step] + durations[step];
        runs.makespans.push((0..starts.len()).map(end).max().unwrap_or(0));
        let from = clock.iter().map(|step| end(*step as usize)).max().unwrap_or(0);
        for (reached, goal) in runs.goals.iter_mut().zip(&instance.goals) {
            let last = goal.ends.iter().map(|step| end(*step as usize)).max();
            reached.extend(last.map(|last| last.saturating_sub(from)));
        }
        if number % every == 0 {
            runs.chains += 1;
            mark_chain(instance, starts, &durations, &mut runs.on_chain);
        }
    }
    runs
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
