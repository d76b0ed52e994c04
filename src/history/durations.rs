use std::collections::BTreeMap;

use super::{Past, Reader, Unreadable};
use crate::event::StepState;
use crate::id::StepId;
use crate::view::StepView;
use crate::words::Mode;

/// How long one step took in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// Milliseconds from its first attempt to its end. Waiting for people is not in it.
    pub took_ms: u64,
}

/// How long steps took in past runs, by runbook, environment and mode: what a drill takes says
/// little about the real thing, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    samples: BTreeMap<Key, BTreeMap<StepId, Vec<Sample>>>,
    runs: BTreeMap<Key, Vec<BTreeMap<StepId, u64>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    runbook: String,
    environment: String,
    mode: Mode,
}

/// The latest runs of a kind are enough, and old ones say less.
const LATEST: usize = 20;

impl Durations {
    /// Reads the latest runs of each kind. Runs that cannot be read are passed over and named.
    ///
    /// # Errors
    /// The folder of runs cannot be read.
    pub fn read(reader: &dyn Reader) -> Result<(Self, Vec<Unreadable>), String> {
        let mut durations = Self::default();
        let mut unreadable = Vec::new();
        let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
        let mut runs = reader.runs()?;
        runs.sort_by(|one, other| other.cmp(one));
        for run in runs {
            match reader.load(&run) {
                Ok(past) => {
                    let count = seen.entry(key(&past)).or_default();
                    if *count < LATEST {
                        *count += 1;
                        durations.add(&past);
                    }
                }
                Err(why) => unreadable.push(Unreadable { run, why }),
            }
        }
        Ok((durations, unreadable))
    }

    /// Takes a run in: every step of it that succeeded in one go.
    pub fn add(&mut self, past: &Past) {
        let view = past.view();
        let steps = self.samples.entry(key(past)).or_default();
        let mut run = BTreeMap::new();
        for step in view.steps() {
            if let Some(took_ms) = took(step) {
                steps.entry(step.id.clone()).or_default().push(Sample { took_ms });
                run.insert(step.id.clone(), took_ms);
            }
        }
        if !run.is_empty() {
            self.runs.entry(key(past)).or_default().push(run);
        }
    }

    /// What one step took, the latest run first.
    #[must_use]
    pub fn samples(&self, runbook: &str, environment: &str, mode: Mode, step: &str) -> &[Sample] {
        let key = Key { runbook: runbook.to_owned(), environment: environment.to_owned(), mode };
        self.samples.get(&key).and_then(|steps| steps.get(step)).map_or(&[], Vec::as_slice)
    }

    /// What each run took, step by step, in milliseconds, the latest run first.
    #[must_use]
    pub fn runs(&self, runbook: &str, environment: &str, mode: Mode) -> &[BTreeMap<StepId, u64>] {
        let key = Key { runbook: runbook.to_owned(), environment: environment.to_owned(), mode };
        self.runs.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The median of each step, in milliseconds: what a plan estimates with. Of an even number of
    /// runs, the longer of the two in the middle.
    #[must_use]
    pub fn medians(&self, runbook: &str, environment: &str, mode: Mode) -> BTreeMap<StepId, u64> {
        let key = Key { runbook: runbook.to_owned(), environment: environment.to_owned(), mode };
        let Some(steps) = self.samples.get(&key) else { return BTreeMap::new() };
        steps
            .iter()
            .filter_map(|(step, samples)| {
                let mut sorted = samples.clone();
                sorted.sort_unstable();
                sorted.get(sorted.len() / 2).map(|median| (step.clone(), median.took_ms))
            })
            .collect()
    }
}

fn key(past: &Past) -> Key {
    Key {
        runbook: past.plan.runbook.clone(),
        environment: past.plan.environment.clone(),
        mode: past.plan.mode,
    }
}

/// From the first attempt to the end of a step that did what it should by itself. One that a
/// person put back, answered for, or that was under way when `dr` was killed, says nothing.
fn took(step: &StepView) -> Option<u64> {
    if !matches!(step.state, StepState::Succeeded) || step.by.is_some() {
        return None;
    }
    if !step.resets.is_empty() || !step.questions.is_empty() {
        return None;
    }
    let first = step.attempts.first()?;
    let one_session = step
        .attempts
        .iter()
        .all(|attempt| attempt.session == first.session && attempt.launches <= 1);
    let ended = step.finished_ms?;
    one_session.then(|| ended.saturating_sub(first.started_ms))
}
