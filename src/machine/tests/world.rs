use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::{CallError, Checked, Keyed};
use serde_json::json;

use super::random::dice;
use crate::event::{Purpose, Question, RequestKind};
use crate::machine::{AttemptResult, Launch, LaunchKind};
use crate::plan::{Plan, Step};

/// What an attempt does to the world and what it says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Done, and said so.
    Done,
    /// Not done, and may work later.
    Busy,
    /// Not done, and never will be.
    Refused,
    /// Done, but the answer is lost.
    LostDone,
    /// Never arrived; the first time only.
    LostNotDone,
}

/// Systems that are recovered: they count what is done to them, know jobs and tokens by their
/// keys, and go on when `dr` dies.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    seed: u64,
    /// How often each step's action was applied.
    pub(super) effects: BTreeMap<String, u32>,
    /// Steps that were taken back.
    pub(super) undone: BTreeSet<String>,
    /// How often each attempt arrived.
    arrived: BTreeMap<(String, u32), u32>,
    /// Jobs and tokens: until when they run, and how they end.
    jobs: BTreeMap<(String, u32), Job>,
    readings: BTreeMap<String, u32>,
    /// What an attempt under way will have done at its end.
    pending: Vec<(u64, String, bool)>,
}

#[derive(Debug, Clone)]
struct Job {
    ends_ms: u64,
    works: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Performs a call; says when it comes back, and with what.
    pub(super) fn perform(
        &mut self,
        plan: &Plan,
        launch: &Launch,
        ms: u64,
    ) -> (u64, AttemptResult) {
        let id = launch.step.to_string();
        let key = (id.clone(), launch.attempt);
        let ends = ms + 100 + dice(self.seed, (&key, "takes"), 4_000);
        let of = id.strip_suffix("!undo").unwrap_or(&id);
        let step = plan.step(of).expect("a step");
        match (launch.kind, launch.purpose) {
            (LaunchKind::Check, _) => {
                (ms + 20, AttemptResult::Checked(Ok(self.check(&id, &key, ms))))
            }
            (_, Purpose::Check) => {
                let done = self.is_done(of);
                (ms + 30, AttemptResult::Applied(Ok(json!({ "done": done }))))
            }
            (_, Purpose::Repeat | Purpose::Validate) => {
                let reading = self.readings.entry(id).or_default();
                *reading += 1;
                (ms + 40, AttemptResult::Applied(Ok(json!({ "n": *reading }))))
            }
            (_, Purpose::Undo) => self.undo(step, &key, ms),
            _ if step.keyed != Keyed::Never && self.jobs.contains_key(&key) => {
                let job = self.jobs[&key].clone();
                (job.ends_ms.max(ms + 10), AttemptResult::Applied(answer(job.works)))
            }
            _ => self.apply(step, &key, ms, ends),
        }
    }

    /// Takes back whatever was done, however often.
    fn undo(&mut self, step: &Step, key: &(String, u32), ms: u64) -> (u64, AttemptResult) {
        let back = ms + 100 + dice(self.seed, (key, "takes"), 2_000);
        let works = dice(self.seed, (step.id.as_str(), "undo"), 8) > 0;
        if works {
            self.effects.remove(step.id.as_str());
            self.undone.insert(step.id.to_string());
        }
        (back, AttemptResult::Applied(answer(works)))
    }

    fn apply(
        &mut self,
        step: &Step,
        key: &(String, u32),
        ms: u64,
        ends: u64,
    ) -> (u64, AttemptResult) {
        let arrived = self.arrived.entry(key.clone()).or_default();
        *arrived += 1;
        let fate = self.fate(step, key, self.arrived[key] > 1);
        let done = matches!(fate, Fate::Done | Fate::LostDone);
        let lives_on = step.keyed != Keyed::Never;
        if lives_on && (done || fate == Fate::Refused) {
            self.jobs.insert(key.clone(), Job { ends_ms: ends, works: done });
        }
        if done {
            // Some systems change at the beginning, some at the end; a job changes in any case.
            if lives_on || dice(self.seed, (key, "early"), 2) == 0 {
                self.happen(&key.0);
            } else {
                let survives = dice(self.seed, (key, "survives"), 2) == 0;
                self.pending.push((ends, key.0.clone(), survives));
            }
        }
        let result = match fate {
            Fate::Done => answer(true),
            Fate::Refused => answer(false),
            Fate::Busy => Err(CallError::transient("busy", "it is busy")),
            Fate::LostDone | Fate::LostNotDone => {
                Err(CallError::unknown("connection_lost", "the connection was lost"))
            }
        };
        let back = if fate == Fate::LostNotDone { ms + 500 } else { ends };
        (back, AttemptResult::Applied(result))
    }

    fn fate(&self, step: &Step, key: &(String, u32), again: bool) -> Fate {
        let fate = match dice(self.seed, (key, "fate"), 20) {
            0..=1 => Fate::Busy,
            2 => Fate::Refused,
            3..=4 => Fate::LostDone,
            5..=6 => Fate::LostNotDone,
            _ => Fate::Done,
        };
        match fate {
            // A further attempt, which such a step gets, would meet another fate.
            Fate::LostNotDone if step.effect.is_repeatable() => Fate::Busy,
            Fate::LostNotDone if again => Fate::Done,
            // What is forgotten is launched under another key, and so meets another fate.
            Fate::Refused | Fate::Busy | Fate::LostNotDone
                if self.is_forgetful(step.id.as_str()) =>
            {
                Fate::Done
            }
            fate => fate,
        }
    }

    /// Whether the host of the step is one that forgets its jobs.
    fn is_forgetful(&self, id: &str) -> bool {
        dice(self.seed, (id, "forgetful"), 5) == 0
    }

    fn check(&self, id: &str, key: &(String, u32), ms: u64) -> Checked {
        if self.is_forgetful(id) {
            return Checked::CannotTell("the host was restarted".to_owned());
        }
        match self.jobs.get(key) {
            None => Checked::NotDone,
            Some(job) if job.ends_ms > ms || !job.works => Checked::Running,
            Some(_) => Checked::Done(Some(json!({ "n": 1 }))),
        }
    }

    fn happen(&mut self, id: &str) {
        self.undone.remove(id);
        *self.effects.entry(id.to_owned()).or_default() += 1;
    }

    /// Time passes: what was to be done by now is done.
    pub(super) fn settle(&mut self, ms: u64) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|(ends, ..)| *ends <= ms);
        self.pending = later;
        for (_, id, _) in due {
            self.happen(&id);
        }
    }

    /// `dr` dies: what depended on it dies with it, or goes on alone.
    pub(super) fn crash(&mut self) {
        for (_, id, survives) in std::mem::take(&mut self.pending) {
            if survives {
                self.happen(&id);
            }
        }
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        self.effects.get(id).is_some_and(|&count| count > 0)
    }

    /// What a person answers who has looked.
    pub(super) fn answer(&self, id: &str, question: Question) -> RequestKind {
        match question {
            _ if id.ends_with("!undo") => RequestKind::AssumeDone,
            Question::OutcomeUnknown if self.is_done(id) => RequestKind::AssumeDone,
            Question::OutcomeUnknown => RequestKind::AssumeNotDone,
            Question::Failed => {
                use RequestKind::{AssumeDone, Fail, Skip};
                [Fail, Skip, AssumeDone][dice(self.seed, (id, "failed"), 3) as usize]
            }
        }
    }

    /// What people say at the gate of a step.
    pub(super) fn opens(&self, id: &str) -> bool {
        dice(self.seed, (id, "gate"), 4) > 0
    }
}

fn answer(works: bool) -> Result<serde_json::Value, CallError> {
    if works { Ok(json!({ "n": 1 })) } else { Err(CallError::permanent("exit_1", "it said no")) }
}
