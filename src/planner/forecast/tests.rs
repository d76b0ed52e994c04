use super::*;
use crate::id::{RunId, StepId};
use crate::plan::list_schedule;
use crate::planner::schedule::{Instance, Keys, Random};
use crate::words::Class;

/// Twenty steps in four chains that share a pool of three.
fn twenty() -> (Instance, Vec<u32>) {
    let mut instance = Instance { capacities: vec![3], ..Instance::default() };
    for step in 0..20_u32 {
        instance.durations.push(1_000 + u64::from(step * 7_919 % 9) * 1_000);
        instance.predecessors.push((step >= 4).then(|| step - 4));
        instance.demands.push([(0, 1)]);
        instance.priorities.push((Class::Medium, 63));
    }
    instance.link();
    let ranks = Keys::new(&instance).ranks;
    (instance, ranks)
}

fn id(step: usize) -> StepId {
    StepId::from(format!("s{step}"))
}

/// How durations come about.
#[derive(Debug, Clone, Copy)]
enum World {
    /// Effects of runs and of steps are normal, as the forecast takes them to be.
    AsModelled,
    /// Both have heavy tails (Student's t, 3 degrees of freedom, of the same spread), and 3 % of the
    /// steps take four σ more.
    HeavyTails,
    /// Each run is 3 % slower than the one before.
    Drift,
}

impl World {
    /// One run: its number, and the spread of its effect and of those of its steps.
    fn run(self, instance: &Instance, random: &mut Random, (number, run, step): Turn) -> Vec<u64> {
        let effect = self.effect(random) * run
            + if let Self::Drift = self { f64::from(number) * ln(1.03) } else { 0.0 };
        let slow = |random: &mut Random| match self {
            Self::HeavyTails if random.below(100) < 3 => 4.0 * step,
            _ => 0.0,
        };
        let mut duration = |ms: &u64| {
            let of_step = self.effect(random) * step + slow(random);
            (*ms as f64 * exp(effect + of_step)) as u64
        };
        instance.durations.iter().map(&mut duration).collect()
    }

    /// An effect with a spread of 1.
    fn effect(self, random: &mut Random) -> f64 {
        let mut normal =
            || quantile::normal((random.below(1 << 20) as f64 + 0.5) / f64::from(1 << 20));
        let value = normal();
        if !matches!(self, Self::HeavyTails) {
            return value;
        }
        let squares: f64 = (0..3).map(|_| normal()).map(|it| it * it).sum();
        // Of 3 degrees of freedom the variance is 3.
        value / (squares / 3.0).sqrt() / 3.0_f64.sqrt()
    }
}

type Turn = (i32, f64, f64);

fn past(durations: &[u64]) -> PastRun {
    durations.iter().enumerate().map(|(step, ms)| (id(step), *ms)).collect()
}

fn estimates(runs: Vec<PastRun>) -> Estimates {
    Estimates::of(runs.into_iter().map(|run| (RunId::from("r"), run)))
}

/// For each share of `SHARES`, how often a run took no longer than the quantile that was forecast
/// from `k` runs.
fn coverage(world: World, k: i32, trials: usize) -> [f64; 3] {
    let (instance, ranks) = twenty();
    let mut network = instance.network(&ranks);
    let mut random = Random::new(7);
    let mut held = [0_u32; 3];
    for trial in 0..trials {
        let turn = |number| (number, 0.2, 0.3);
        let runs = (0..k).map(|number| past(&world.run(&instance, &mut random, turn(number))));
        let estimates = estimates(runs.collect());
        let usual = |step: usize| {
            let taken = estimates.taken(&id(step)).expect("a run");
            Usual::About { ms: taken.typical_ms, runs: taken.runs }
        };
        let usual: Vec<Usual> = (0..20).map(usual).collect();
        let spread = Spread::learn(estimates.past());
        let project =
            Project { instance: &instance, ranks: &ranks, yields: &[], clock: &[], usual: &usual };
        let sampled = sample(&project, &spread, 400, trial as u64);
        let truth = world.run(&instance, &mut random, turn(k));
        network.durations.clone_from(&truth);
        let starts = list_schedule(&network);
        let took = starts.iter().zip(&truth).map(|(start, ms)| start + ms).max();
        for (held, share) in held.iter_mut().zip(SHARES) {
            *held += u32::from(took <= super::quantile(&sampled.makespans, share));
        }
    }
    held.map(|held| f64::from(held) / trials as f64)
}

const SHARES: [f64; 3] = [0.5, 0.9, 0.95];

/// `DR_TEST_CASES=full` takes the table of docs/performance.md again.
#[expect(clippy::print_stdout, reason = "numbers for docs/performance.md")]
#[test]
fn quantiles_hold_as_often_as_they_say() {
    let size = dr_testkit::cases(1, 10);
    let trials = if size == 1 { 200 } else { 2_000 };
    let runs = match size {
        1 => &[10][..],
        10 => &[3, 10],
        _ => &[3, 5, 10, 20],
    };
    for k in runs.iter().copied() {
        let [p50, p90, p95] = coverage(World::AsModelled, k, trials);
        println!("as modelled, {k} runs: {:.1} {:.1} {:.1} %", p50 * 1e2, p90 * 1e2, p95 * 1e2);
        let near = |found: f64, wanted: f64, off: f64| (found - wanted).abs() <= off;
        let off = if size == 1 { 0.05 } else { 0.02 };
        assert!(near(p50, 0.5, 2.0 * off) && near(p90, 0.9, off) && near(p95, 0.95, off), "{k}");
    }
    if size > 10 {
        for (world, k) in [World::HeavyTails, World::Drift]
            .into_iter()
            .flat_map(|world| runs.iter().map(move |k| (world, *k)))
        {
            let found = coverage(world, k, trials).map(|share| format!("{:.1}", share * 1e2));
            println!("{world:?}, {k} runs: {} %", found.join(" "));
        }
    }
}

#[test]
fn spread_is_learned_or_stated() {
    let (instance, _) = twenty();
    let mut random = Random::new(3);
    let mut runs = Vec::new();
    let mut run = || past(&World::AsModelled.run(&instance, &mut random, (0, 0.2, 0.1)));
    for _ in 0..2 {
        runs.push(run());
    }
    assert!(Spread::learn(&runs).is_stated());
    for _ in 0..198 {
        runs.push(run());
    }
    let spread = Spread::learn(&runs);
    assert!((spread.run - 0.2).abs() < 0.03 && (spread.step - 0.1).abs() < 0.01, "{spread:?}");
    let taken = estimates(runs).taken(&id(0)).expect("a run");
    assert!((900..1_100).contains(&taken.typical_ms) && taken.runs == 200, "{taken:?}");
    // Runs that have nothing in common with each other.
    let apart: Vec<PastRun> = (0..4).map(|n| PastRun::from([(id(n), 5)])).collect();
    assert!(Spread::learn(&apart).is_stated());
}

#[test]
fn the_longest_chain_is_critical_in_every_run() {
    let mut instance = Instance { capacities: vec![1], ..Instance::default() };
    for (duration, before) in [(60_000, vec![]), (60_000, vec![0]), (1, vec![])] {
        instance.durations.push(duration);
        instance.predecessors.push(before);
        instance.demands.push([]);
        instance.priorities.push((Class::Medium, 63));
    }
    instance.link();
    let usual = [60_000, 60_000, 1].map(|ms| Usual::About { ms, runs: 0 });
    let project =
        Project { instance: &instance, ranks: &[0, 1, 2], yields: &[], clock: &[], usual: &usual };
    let spread = Spread::learn(&[]);
    let one = sample(&project, &spread, 500, 1);
    assert_eq!(one.criticality, [1.0, 1.0, 0.0]);
    assert_eq!(one, sample(&project, &spread, 500, 1));
    assert!(one.makespans.is_sorted() && one.makespans[0] > 30_000);
    // What always takes its time.
    let usual = [60_000, 60_000, 1].map(|ms| Usual::Fixed { ms });
    let fixed = sample(&Project { usual: &usual, ..project }, &spread, 50, 1);
    assert_eq!((fixed.makespans[0], fixed.makespans[49]), (120_000, 120_000));
}

#[test]
fn goals_count_from_the_clock() {
    let mut instance = Instance { capacities: vec![1], ..Instance::default() };
    for (duration, before) in [(60_000, vec![]), (10_000, vec![0])] {
        instance.durations.push(duration);
        instance.predecessors.push(before);
        instance.demands.push([]);
        instance.priorities.push((Class::Medium, 63));
    }
    instance.goals =
        vec![crate::planner::schedule::Goal { class: Class::Medium, due_ms: None, ends: vec![1] }];
    instance.link();
    let usual = [60_000, 10_000].map(|ms| Usual::Fixed { ms });
    let project =
        Project { instance: &instance, ranks: &[0, 1], yields: &[], clock: &[0], usual: &usual };
    let sampled = sample(&project, &Spread::learn(&[]), 10, 1);
    assert_eq!((sampled.makespans[0], sampled.goals[0][0]), (70_000, 10_000));
}
