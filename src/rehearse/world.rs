//! Systems as a rehearsal imagines them: actions take their time and do what they should, except
//! where the script or a fault says otherwise. They know jobs by their keys and go on when `dr`
//! dies.

use std::collections::BTreeMap;

use dr_plugin::{CallError, Checked, Keyed};
use serde_json::Value;

use super::guess::{Goal, Guesser};
use super::results::Results;
use super::script::{Failure, How, Script};
use crate::event::Purpose;
use crate::id::StepId;
use crate::machine::{AttemptResult, Launch, LaunchKind, Machine, Unmet};
use crate::plan::{Plan, Step};
use crate::time::Now;

/// What a probe takes, at most: longer ones are read again and again.
const READING_MS: u64 = 1_000;
/// Readings of a `repeat` that are "not yet", at most: an estimate may be hours, read every second.
const NOT_YET: u64 = 1_000;
/// The same where many runs are played, and how long each takes does not matter.
pub(super) const FEW_NOT_YET: u64 = 20;
/// What a check takes.
const CHECK_MS: u64 = 200;
/// How long after its limit an attempt is given up that does not end by itself.
const OVERTIME_MS: u64 = 30_000;

/// An attempt's end: when, or never; and with what.
pub(super) type Return = (Option<u64>, AttemptResult);

/// A result that could not be made up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unguessed {
    pub(super) step: StepId,
    /// What no plausible result satisfied.
    pub(super) unmet: Vec<Unmet>,
}

pub(super) struct World<'a> {
    plan: &'a Plan,
    script: &'a Script,
    results: Results<'a>,
    /// A failure of one step, until it is mended.
    pub(super) fault: Option<(StepId, Failure)>,
    /// Readings of a `repeat` that are "not yet", at most.
    pub(super) not_yet: u64,
    done: BTreeMap<String, bool>,
    jobs: BTreeMap<(String, u32), Job>,
    /// When the readings of a step began, and how many there were.
    readings: BTreeMap<String, (u64, u64)>,
    /// Results that satisfy nothing, in the order in which they were needed.
    pub(super) unguessed: Vec<Unguessed>,
}

struct Job {
    ends_ms: u64,
    result: Result<Value, CallError>,
}

impl<'a> World<'a> {
    pub(super) fn new(plan: &'a Plan, script: &'a Script, guesser: &'a Guesser) -> Self {
        Self {
            plan,
            script,
            results: Results { script, guesser },
            fault: None,
            not_yet: NOT_YET,
            done: BTreeMap::new(),
            jobs: BTreeMap::new(),
            readings: BTreeMap::new(),
            unguessed: Vec::new(),
        }
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        self.done.get(id).copied().unwrap_or(false)
    }

    /// The step of the plan that a step of the run comes from.
    pub(super) fn step(&self, id: &str) -> Option<&'a Step> {
        self.plan.origin(id)
    }

    /// Performs a call.
    pub(super) fn perform(&mut self, machine: &Machine, now: Now, launch: &Launch) -> Return {
        let ms = now.elapsed_ms;
        let id = launch.step.as_str();
        let key = (id.to_owned(), launch.attempt);
        let Some(step) = self.step(id) else {
            return (Some(ms), AttemptResult::Applied(Ok(Value::Null)));
        };
        match (launch.kind, launch.purpose) {
            (LaunchKind::Check, _) => {
                let found = self.look(machine, now, step, &key);
                (Some(ms + CHECK_MS), AttemptResult::Checked(Ok(found)))
            }
            (_, Purpose::Check) => {
                let goal = Goal::Check { done: self.is_done(id) };
                let guess = self.results.guesser.guess(machine, now, id, step, goal, None);
                (Some(ms + CHECK_MS), AttemptResult::Applied(Ok(guess.result)))
            }
            (LaunchKind::Undo, _) | (_, Purpose::Undo) => {
                let undone = self.apply(machine, now, step, launch, key);
                if self.is_done(id) {
                    // One of several that take it back changes it already.
                    let of = crate::plan::undone_by(id).unwrap_or(id);
                    self.done.insert(of.to_owned(), false);
                }
                undone
            }
            (_, Purpose::Repeat | Purpose::Validate) => self.read(machine, now, step, launch),
            (_, Purpose::Apply) => self.apply(machine, now, step, launch, key),
        }
    }

    fn apply(
        &mut self,
        machine: &Machine,
        now: Now,
        step: &Step,
        launch: &Launch,
        key: (String, u32),
    ) -> Return {
        let ms = now.elapsed_ms;
        if let Some(job) = self.jobs.get(&key) {
            let ends = job.ends_ms.max(ms + CHECK_MS);
            return (Some(ends), AttemptResult::Applied(job.result.clone()));
        }
        let (ends, error) = self.fate(launch, ms, self.takes(step, launch));
        let how = self.failure(launch).map(|failure| failure.how);
        let is_job = step.keyed == Keyed::Job;
        if error.is_none()
            && let Some(error) = self.results.wanted(step, launch)
        {
            return (ends, AttemptResult::Applied(Err(error)));
        }
        let Some(error) = error else {
            self.done.insert(key.0.clone(), true);
            let guess = self.results.guess(machine, now, step, launch, Goal::Holds);
            if !guess.unmet.is_empty() {
                self.unguessed.push(Unguessed { step: launch.step.clone(), unmet: guess.unmet });
            }
            let result = Ok(guess.result);
            if step.keyed != Keyed::Never {
                let ends_ms = ends.unwrap_or(ms);
                self.jobs.insert(key, Job { ends_ms, result: result.clone() });
            }
            return (ends, AttemptResult::Applied(result));
        };
        self.done.insert(key.0.clone(), how == Some(How::UnknownDone));
        if is_job && how == Some(How::UnknownDone) {
            let guess = self.results.guess(machine, now, step, launch, Goal::Holds);
            let result = Ok(guess.result);
            let ends_ms = ms + self.takes(step, launch);
            self.jobs.insert(key, Job { ends_ms, result });
        } else if is_job && error.code == "timeout" && how != Some(How::Hang) {
            // At its limit a job is ended.
            let ended = CallError::permanent("killed", "it was ended at its limit");
            self.jobs.insert(key, Job { ends_ms: ends.unwrap_or(ms), result: Err(ended) });
        }
        (ends, AttemptResult::Applied(Err(error)))
    }

    /// A probe that is read until something holds: "not yet" until its estimate is over.
    fn read(&mut self, machine: &Machine, now: Now, step: &Step, launch: &Launch) -> Return {
        let ms = now.elapsed_ms;
        let id = launch.step.as_str();
        let takes = self.takes(step, launch);
        let (began, count) = {
            let entry = self.readings.entry(id.to_owned()).or_insert((ms, 0));
            entry.1 += 1;
            *entry
        };
        let each = takes.clamp(1, READING_MS);
        // The estimate is that of all readings, a limit that of each.
        let (ends, error) = self.fate(launch, ms, each);
        if let Some(error) = error {
            let ends = ends.map(|ends| ends.min(ms + each.max(CHECK_MS)).max(ms + 1));
            return (ends, AttemptResult::Applied(Err(error)));
        }
        let late = ms + each >= began + takes || count > self.not_yet;
        let goal = if late { Goal::Holds } else { Goal::NotYet };
        let mut guess = self.results.guess(machine, now, step, launch, goal);
        if late && !guess.unmet.is_empty() {
            let known = self.unguessed.iter().any(|it| it.step == launch.step);
            if !known {
                let unmet = guess.unmet.clone();
                self.unguessed.push(Unguessed { step: launch.step.clone(), unmet });
            }
        }
        if !late && !guess.is_not_yet() {
            // It holds whatever is read, or cannot be read otherwise: then at its end.
            guess = self.results.guess(machine, now, step, launch, Goal::Holds);
            self.readings.insert(id.to_owned(), (began, self.not_yet));
            let ends = (began + takes).max(ms + 1);
            return (Some(ends), AttemptResult::Applied(Ok(guess.result)));
        }
        (Some(ms + each), AttemptResult::Applied(Ok(guess.result)))
    }

    fn failure(&self, launch: &Launch) -> Option<&Failure> {
        let fault = self.fault.as_ref().filter(|(step, _)| *step == launch.step);
        let script = self.script.step(launch.step.as_str());
        fault.map(|(_, failure)| failure).or_else(|| script?.fails.as_ref())
    }

    fn takes(&self, step: &Step, launch: &Launch) -> u64 {
        let scripted = self.script.step(launch.step.as_str());
        scripted.and_then(|scripted| scripted.takes).map_or(step.estimate_ms, |takes| takes.0)
    }

    /// When an attempt that takes so long ends, and its error if it fails.
    fn fate(&self, launch: &Launch, ms: u64, takes: u64) -> (Option<u64>, Option<CallError>) {
        let Some(failure) = self.failure(launch) else {
            return match launch.timeout_ms {
                Some(limit) if limit < takes => {
                    let error = CallError::unknown("timeout", "it ran out of time");
                    (Some(ms + limit), Some(error))
                }
                _ => (Some(ms + takes), None),
            };
        };
        let Some(error) = failure.of_attempt(launch.attempt) else {
            return (Some(ms + takes), None);
        };
        let ends = match failure.how {
            How::Timeout => Some(ms + launch.timeout_ms.unwrap_or(takes)),
            How::Hang => launch.timeout_ms.map(|limit| ms + limit + OVERTIME_MS),
            _ => Some(ms + takes),
        };
        (ends, Some(error))
    }

    /// What the action itself says about an attempt.
    fn look(&self, machine: &Machine, now: Now, step: &Step, key: &(String, u32)) -> Checked {
        if let Some(job) = self.jobs.get(key) {
            return match &job.result {
                _ if job.ends_ms > now.elapsed_ms => Checked::Running,
                Ok(result) => Checked::Done(Some(result.clone())),
                // Whoever joins a job that failed is told how.
                Err(_) => Checked::Running,
            };
        }
        if self.is_done(&key.0) {
            let guesser = self.results.guesser;
            let guess = guesser.guess(machine, now, &key.0, step, Goal::Holds, None);
            return Checked::Done(Some(guess.result));
        }
        Checked::NotDone
    }
}
