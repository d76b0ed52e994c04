//! What a run will probably take: many simulated runs with durations that vary as past runs did.

mod quantile;
mod sample;
mod spread;
#[cfg(test)]
mod tests;

pub use sample::{Sampled, quantile, sample};
pub use spread::{PastRun, Spread};

use std::collections::BTreeMap;

use super::problem::instance;
use super::timing::seed;
use crate::plan::{EstimateSource, Forecast, Plan};

/// Simulated runs of a plan at most.
const SAMPLES: usize = 10_000;
/// Steps of all simulated runs together at most, unless more are asked for: a plan must not take
/// longer than it is worth. Of larger plans than this nothing is simulated.
const STEPS: usize = 2_000_000;
const LARGE: usize = 2_000;

/// How many runs are simulated of a plan with so many steps.
#[must_use]
pub fn standard_samples(steps: usize) -> usize {
    if steps > LARGE { 0 } else { SAMPLES.min(STEPS / steps.max(1)) }
}

/// Fills the plan's forecast, from past runs of the same runbook in the same environment and mode.
pub fn forecast(plan: &mut Plan, past: &[PastRun], samples: usize) {
    if samples == 0 || plan.steps.is_empty() {
        return;
    }
    let spread = Spread::learn(past);
    let instance = instance(plan);
    let mut order: Vec<u32> = (0..plan.steps.len() as u32).collect();
    order.sort_by_key(|step| (plan.steps[*step as usize].urgency, *step));
    let mut ranks = vec![0; order.len()];
    for (rank, step) in order.iter().enumerate() {
        ranks[*step as usize] = rank as u32;
    }
    let typical: Vec<Option<f64>> = plan
        .steps
        .iter()
        .map(|step| {
            let takes_time = step.skip.is_none()
                && (step.estimate_ms > 0 || step.estimate_source == EstimateSource::History);
            takes_time.then(|| spread.typical(&step.id, step.estimate_ms))
        })
        .collect();
    let sampling = sample(&instance, &ranks, &typical, &spread, samples, seed(&plan.digest));
    let mut chances = BTreeMap::new();
    for (service, reached) in plan.services.iter_mut().zip(&sampling.goals) {
        service.p50_ms = quantile(reached, 0.5);
        service.p90_ms = quantile(reached, 0.9);
        service.p95_ms = quantile(reached, 0.95);
        if let Some(rto) = service.rto_ms
            && !reached.is_empty()
        {
            let met = reached.partition_point(|ms| *ms <= rto);
            chances.insert(service.name.clone(), rounded(met as f64 / reached.len() as f64));
        }
    }
    let all = |share| quantile(&sampling.makespans, share).unwrap_or(0);
    plan.forecast = Some(Forecast {
        samples: samples as u32,
        past_runs: spread.runs as u32,
        run_spread: rounded(spread.run),
        step_spread: rounded(spread.step),
        p50_ms: all(0.5),
        p90_ms: all(0.9),
        p95_ms: all(0.95),
        rto_chance: chances,
        criticality: plan
            .steps
            .iter()
            .zip(&sampling.criticality)
            .filter(|(_, share)| **share > 0.0)
            .map(|(step, share)| (step.id.clone(), rounded(*share)))
            .collect(),
    });
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}
