use std::collections::BTreeMap;

use super::{Past, Reader, Unreadable};
use crate::event::StepState;
use crate::id::{RunId, StepId};
use crate::view::StepView;
use crate::words::Mode;

/// How long steps took in past runs, by runbook, environment and mode: what a drill takes says
/// little about the real thing, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    runs: BTreeMap<Key, Vec<RunDurations>>,
}

/// A run, and what each of its steps took, in milliseconds from its first attempt to its end. Waiting
/// for people is not in it.
pub type RunDurations = (RunId, BTreeMap<StepId, u64>);

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
                        durations.add(run, &past);
                    }
                }
                Err(why) => unreadable.push(Unreadable { run, why }),
            }
        }
        Ok((durations, unreadable))
    }

    /// Takes a run in: every step of it that succeeded in one go.
    pub fn add(&mut self, run: RunId, past: &Past) {
        let view = past.view();
        let steps = view.steps().iter();
        let steps: BTreeMap<StepId, u64> =
            steps.filter_map(|step| Some((step.id.clone(), took(step)?))).collect();
        if !steps.is_empty() {
            self.runs.entry(key(past)).or_default().push((run, steps));
        }
    }

    /// What each run took, step by step, the latest run first.
    #[must_use]
    pub fn runs(&self, runbook: &str, environment: &str, mode: Mode) -> &[RunDurations] {
        let key = Key { runbook: runbook.to_owned(), environment: environment.to_owned(), mode };
        self.runs.get(&key).map_or(&[], Vec::as_slice)
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
