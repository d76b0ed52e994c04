use std::collections::{BTreeMap, HashMap};

use super::quantile::ln;
use crate::id::StepId;

/// What one past run took, step by step, milliseconds.
pub type PastRun = BTreeMap<StepId, u64>;

/// Past runs below which nothing is said about spread.
pub const ENOUGH: usize = 3;
/// The spread that is stated when there is no history: of a whole run, and of one step in it, as
/// standard deviations of the logarithm (about 20 % and 30 %).
const STATED_RUN: f64 = 0.2;
const STATED_STEP: f64 = 0.3;
/// Shorter than the clock can tell: 1 ms.
const SHORTEST: f64 = 1.0;

/// How durations vary: `log d = m + a + e`, with a typical duration for each step, an effect of the
/// whole run, and one of each step in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Past runs that it was learned from; fewer than three: it is stated.
    pub runs: usize,
    /// Standard deviation of the run's effect.
    pub run: f64,
    /// Standard deviation of a step's effect.
    pub step: f64,
}

impl Spread {
    /// Learns from past runs of the same runbook in the same environment, or states a spread.
    #[must_use]
    pub fn learn(past: &[PastRun]) -> Self {
        let stated = Self { runs: 0, run: STATED_RUN, step: STATED_STEP };
        if past.len() < ENOUGH {
            return stated;
        }
        let logs: Vec<HashMap<&StepId, f64>> = past
            .iter()
            .map(|run| {
                run.iter().map(|(step, ms)| (step, ln((*ms as f64).max(SHORTEST)))).collect()
            })
            .collect();
        let mut seen: BTreeMap<&StepId, (f64, usize)> = BTreeMap::new();
        for (run, logs) in past.iter().zip(&logs) {
            for step in run.keys() {
                let (sum, count) = seen.entry(step).or_default();
                *sum += logs[step];
                *count += 1;
            }
        }
        // Steps that were seen only once say nothing about spread.
        let means: BTreeMap<&StepId, f64> =
            seen.iter().map(|(step, (sum, count))| (*step, sum / *count as f64)).collect();
        let counts = |step: &StepId| seen[step].1 > 1;
        let mut effects = Vec::with_capacity(past.len());
        for (run, logs) in past.iter().zip(&logs) {
            let about: Vec<f64> = run
                .keys()
                .filter(|step| counts(step))
                .map(|step| logs[step] - means[step])
                .collect();
            effects.push((about.iter().sum::<f64>() / about.len().max(1) as f64, about.len()));
        }
        if effects.iter().any(|(_, steps)| *steps == 0) {
            return stated;
        }
        let (mut squares, mut observations) = (0.0, 0);
        for ((run, logs), (effect, _)) in past.iter().zip(&logs).zip(&effects) {
            for step in run.keys().filter(|step| counts(step)) {
                let rest = logs[step] - means[step] - effect;
                squares += rest * rest;
                observations += 1;
            }
        }
        let steps = seen.values().filter(|(_, count)| *count > 1).count();
        let free = (observations + 1_usize).saturating_sub(steps + past.len()).max(1);
        let step = squares / free as f64;
        let between = effects.iter().map(|(effect, _)| effect * effect).sum::<f64>();
        let between = between / (past.len() - 1) as f64;
        // The mean over the steps of a run varies by their own effects too.
        let steps_of_run = observations as f64 / past.len() as f64;
        Self {
            runs: past.len(),
            run: (between - step / steps_of_run).max(0.0).sqrt(),
            step: step.sqrt(),
        }
    }

    /// Whether it is stated, for want of past runs.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.runs < ENOUGH
    }
}
