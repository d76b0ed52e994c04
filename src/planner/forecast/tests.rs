use super::*;
use crate::id::StepId;
use crate::plan::list_schedule;
use crate::planner::schedule::{Instance, Keys, Random};
use crate::words::Class;

/// Twenty steps in four chains that share a pool of three.
fn project() -> (Instance, Vec<u32>) {
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

/// One run in a world with these effects: logarithms are sums of what is typical, of the run and of
/// the step.
fn run(instance: &Instance, random: &mut Random, of_run: f64, of_step: f64) -> Vec<u64> {
    let mut normal = || quantile::normal((random.below(1 << 20) as f64 + 0.5) / f64::from(1 << 20));
    let effect = normal() * of_run;
    instance
        .durations
        .iter()
        .map(|ms| (*ms as f64 * quantile::exp(effect + normal() * of_step)) as u64)
        .collect()
}

fn past(durations: &[u64]) -> PastRun {
    durations.iter().enumerate().map(|(step, ms)| (id(step), *ms)).collect()
}

/// Share of trials in which the run took no longer than the quantile that was forecast from ten runs.
fn coverage(trials: usize, share: f64) -> f64 {
    let (instance, ranks) = project();
    let mut random = Random::new(7);
    let mut held = 0;
    for trial in 0..trials {
        let runs: Vec<PastRun> =
            (0..10).map(|_| past(&run(&instance, &mut random, 0.2, 0.3))).collect();
        let spread = Spread::learn(&runs);
        let typical: Vec<Option<f64>> =
            (0..20).map(|step| Some(spread.typical(&id(step), 0))).collect();
        let sampled = sample(&instance, &ranks, &typical, &spread, 400, trial as u64);
        let truth = run(&instance, &mut random, 0.2, 0.3);
        let mut network = instance.network(&ranks);
        network.durations.clone_from(&truth);
        let starts = list_schedule(&network);
        let took = starts.iter().zip(&truth).map(|(start, ms)| start + ms).max().unwrap_or(0);
        held += usize::from(Some(took) <= super::quantile(&sampled.makespans, share));
    }
    held as f64 / trials as f64
}

#[test]
fn ninety_percent_is_about_nine_of_ten() {
    let p90 = coverage(200, 0.9);
    assert!((0.85..=0.95).contains(&p90), "{p90}");
}

#[test]
fn spread_is_learned_or_stated() {
    let (instance, _) = project();
    let mut random = Random::new(3);
    let mut runs = Vec::new();
    for _ in 0..2 {
        runs.push(past(&run(&instance, &mut random, 0.2, 0.1)));
    }
    assert!(Spread::learn(&runs).is_stated());
    for _ in 0..198 {
        runs.push(past(&run(&instance, &mut random, 0.2, 0.1)));
    }
    let spread = Spread::learn(&runs);
    assert!((spread.run - 0.2).abs() < 0.03 && (spread.step - 0.1).abs() < 0.01, "{spread:?}");
    assert!((spread.typical(&id(0), 5) - 1_000_f64.ln()).abs() < 0.1);
    // What was never seen is taken as estimated.
    assert!((spread.typical(&StepId::from("new"), 5) - 5_f64.ln()).abs() < 1e-9);
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
    let typical = [Some(11.0), Some(11.0), Some(0.0)];
    let spread = Spread::learn(&[]);
    let one = sample(&instance, &[0, 1, 2], &typical, &spread, 500, 1);
    assert_eq!(one.criticality, [1.0, 1.0, 0.0]);
    assert_eq!(one, sample(&instance, &[0, 1, 2], &typical, &spread, 500, 1));
    assert!(one.makespans.is_sorted() && one.makespans[0] > 30_000);
}
