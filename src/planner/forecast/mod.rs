//! What a run will probably take: many simulated runs with durations that vary as past runs did.

mod quantile;
mod sample;
mod spread;
#[cfg(test)]
mod tests;

pub(in crate::planner) use quantile::{exp, ln};
pub use sample::{Project, Sampled, Usual, quantile, sample};
pub use spread::{ENOUGH, PastRun, Spread};

use std::collections::{BTreeMap, HashMap};

use super::Estimates;
use super::problem::instance;
use super::timing::seed;
use crate::id::{Digest, StepId};
use crate::plan::{EstimateSource, Forecast, Plan, Step};

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

/// Fills the plan's forecast: each step varies about what the plan expects of it, as much as past
/// runs of the same runbook in the same environment and mode varied. Chance begins with `like`:
/// the plan's own digest, or that of another plan which it is compared with.
pub fn forecast(plan: &mut Plan, estimates: &Estimates, samples: usize, like: Option<&Digest>) {
    if samples == 0 || plan.steps.is_empty() {
        return;
    }
    let spread = Spread::learn(estimates.past());
    let instance = instance(plan);
    let positions: HashMap<&StepId, u32> =
        plan.steps.iter().zip(0..).map(|(step, position)| (&step.id, position)).collect();
    let yields = plan.yields(&|id| positions.get(id).copied());
    let clock = plan.steps.iter().zip(0..);
    let clock = clock.filter(|(step, _)| step.incident && step.skip.is_none());
    let project = Project {
        instance: &instance,
        ranks: &plan.ranks(),
        yields: &yields,
        clock: &clock.map(|(_, position)| position).collect::<Vec<u32>>(),
        usual: &plan.steps.iter().map(|step| usual(step, estimates)).collect::<Vec<_>>(),
    };
    let sampling = sample(&project, &spread, samples, seed(like.unwrap_or(&plan.digest)));
    let mut chances = BTreeMap::new();
    for (service, reached) in plan.services.iter_mut().zip(&sampling.goals) {
        service.p50_ms = quantile(reached, 0.5);
        service.p90_ms = quantile(reached, 0.9);
        service.p95_ms = quantile(reached, 0.95);
        if let Some(rto) = service.rto_ms
            && !reached.is_empty()
        {
            chances.insert(service.name.clone(), rounded(share_within(reached, rto)));
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
        makespan_chance: rounded(share_within(&sampling.makespans, plan.makespan_ms)),
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

/// What the plan expects of a step. A wait for a time that is written takes that time.
fn usual(step: &Step, estimates: &Estimates) -> Usual {
    let ms = step.expected_ms();
    let history = step.estimate_source == EstimateSource::History;
    match () {
        () if ms == 0 => Usual::Fixed { ms: 0 },
        () if step.sleep.is_some() && !history => Usual::Fixed { ms },
        () => {
            let runs = estimates.taken(&step.id).filter(|_| history).map_or(0, |it| it.runs);
            Usual::About { ms, runs }
        }
    }
}

fn share_within(sorted: &[u64], limit: u64) -> f64 {
    sorted.partition_point(|ms| *ms <= limit) as f64 / sorted.len().max(1) as f64
}

fn rounded(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}
