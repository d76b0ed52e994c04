use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use dr_plugin::{CallError, Checked, Keyed};
use serde_json::{Value, json};

use super::random::dice;
use crate::event::{Purpose, Question, RequestKind};
use crate::machine::{AttemptResult, Launch, LaunchKind, Machine};
use crate::plan::{Step, undone_by};
use crate::time::Now;
use crate::words::OnFailure;

/// What systems say, where what they do is said elsewhere.
pub(crate) trait Says {
    /// What a call gives that did what it should. An error where that is an error.
    fn works(&self, machine: &Machine, now: Now, launch: &Launch) -> Result<Value, CallError>;
    /// What reading number `number` gives.
    fn reading(&self, machine: &Machine, now: Now, launch: &Launch, number: u32) -> Value;
    /// What a step's `check` reads.
    fn check(&self, machine: &Machine, now: Now, launch: &Launch, done: bool) -> Value;
    /// What a target says when it refuses.
    fn refusal(&self) -> String;
}

/// What plans that are made up expect: numbers.
struct Numbers;

impl Says for Numbers {
    fn works(&self, _: &Machine, _: Now, _: &Launch) -> Result<Value, CallError> {
        Ok(json!({ "n": 1, "items": ["a", "b"] }))
    }
    fn reading(&self, _: &Machine, _: Now, _: &Launch, number: u32) -> Value {
        json!({ "n": number })
    }
    fn check(&self, _: &Machine, _: Now, _: &Launch, done: bool) -> Value {
        json!({ "done": done })
    }
    fn refusal(&self) -> String {
        "it said no".to_owned()
    }
}

/// How often things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Nothing can be relied on.
    Rough,
    /// Answers get lost and targets are busy, but what is asked is done in the end.
    Fair,
}

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
#[derive(Clone)]
pub(crate) struct World {
    seed: u64,
    weather: Weather,
    says: Rc<dyn Says>,
    /// A step that fails, whatever is tried.
    failing: Option<String>,
    /// How often each step's action was applied.
    pub(super) effects: BTreeMap<String, u32>,
    /// Steps that were taken back.
    pub(super) undone: BTreeSet<String>,
    /// What takes steps back and was done since they were.
    parts: BTreeSet<String>,
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
        Self::that_says(seed, Weather::Rough, Rc::new(Numbers), None)
    }

    pub(crate) fn that_says(
        seed: u64,
        weather: Weather,
        says: Rc<dyn Says>,
        failing: Option<String>,
    ) -> Self {
        Self {
            seed,
            weather,
            says,
            failing,
            effects: BTreeMap::new(),
            undone: BTreeSet::new(),
            parts: BTreeSet::new(),
            arrived: BTreeMap::new(),
            jobs: BTreeMap::new(),
            readings: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// Performs a call; says when it comes back, and with what.
    pub(super) fn perform(
        &mut self,
        machine: &Machine,
        now: Now,
        launch: &Launch,
    ) -> (u64, AttemptResult) {
        let ms = now.elapsed_ms;
        let id = launch.step.to_string();
        let key = (id.clone(), launch.attempt);
        let of = undone_by(&id).unwrap_or(&id);
        let plan = &machine.graph.plan;
        let step = plan.step(of).expect("a step");
        let says = Rc::clone(&self.says);
        let said = |works| {
            if works { says.works(machine, now, launch) } else { Err(refused(&*says)) }
        };
        match (launch.kind, launch.purpose) {
            (LaunchKind::Check, _) => {
                let found = match self.check(step, &id, &key, ms) {
                    Checked::Done(_) => Checked::Done(said(true).ok()),
                    found => found,
                };
                (ms + 20, AttemptResult::Checked(Ok(found)))
            }
            (_, Purpose::Check) => {
                let reads = self.says.check(machine, now, launch, self.is_done(of));
                (ms + 30, AttemptResult::Applied(Ok(reads)))
            }
            (_, Purpose::Repeat | Purpose::Validate) if self.fails(&id) => {
                (ms + 40, AttemptResult::Applied(said(false)))
            }
            (_, Purpose::Repeat | Purpose::Validate) => {
                let reading = self.readings.entry(id).or_default();
                *reading += 1;
                let reads = self.says.reading(machine, now, launch, *reading);
                (ms + 40, AttemptResult::Applied(Ok(reads)))
            }
            (_, Purpose::Undo) => {
                let back = ms + 100 + dice(self.seed, (&key, "takes"), 2_000);
                let works = dice(self.seed, (&id, "undo"), 8) > 0 && !self.fails(&id);
                let said = said(works);
                let own = plan.step_or_undo(&id).expect("a step");
                if works || own.on_failure == OnFailure::Warn {
                    self.parts.insert(id.clone());
                    let mut all = step
                        .undo_steps()
                        .filter(|undo| undo.uses.is_some() && undo.repeat.is_none());
                    if all.all(|undo| self.parts.contains(undo.id.as_str())) {
                        self.effects.remove(of);
                        self.undone.insert(of.to_owned());
                    }
                }
                (back, AttemptResult::Applied(said))
            }
            _ if step.keyed != Keyed::Never && self.jobs.contains_key(&key) => {
                let job = &self.jobs[&key];
                (job.ends_ms.max(ms + 10), AttemptResult::Applied(said(job.works)))
            }
            _ => {
                let (back, error) = self.apply(step, &key, ms);
                (back, AttemptResult::Applied(error.map_or_else(|| said(true), Err)))
            }
        }
    }

    /// When the call comes back, and its error if it does not say that all is well.
    fn apply(&mut self, step: &Step, key: &(String, u32), ms: u64) -> (u64, Option<CallError>) {
        let ends = ms + 100 + dice(self.seed, (key, "takes"), 4_000);
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
        let error = match fate {
            Fate::Done => None,
            Fate::Refused => Some(refused(&*self.says)),
            Fate::Busy => Some(CallError::transient("busy", "it is busy")),
            Fate::LostDone | Fate::LostNotDone => {
                Some(CallError::unknown("connection_lost", "the connection was lost"))
            }
        };
        let back = if fate == Fate::LostNotDone { ms + 500 } else { ends };
        (back, error)
    }

    fn fate(&self, step: &Step, key: &(String, u32), again: bool) -> Fate {
        if self.fails(&key.0) {
            return Fate::Refused;
        }
        let fate = match (self.weather, dice(self.seed, (key, "fate"), 20)) {
            (Weather::Rough, 0..=1) => Fate::Busy,
            (Weather::Rough, 2) => Fate::Refused,
            (Weather::Fair, 0..=2) if key.1 < step.retry.attempts => Fate::Busy,
            (_, 3..=4) => Fate::LostDone,
            (_, 5..=6) => Fate::LostNotDone,
            _ => Fate::Done,
        };
        match fate {
            // A further attempt, which such a step gets, would meet another fate.
            Fate::LostNotDone if step.effect.is_repeatable() => match self.weather {
                Weather::Rough => Fate::Busy,
                Weather::Fair => Fate::Done,
            },
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

    fn fails(&self, id: &str) -> bool {
        self.failing.as_deref() == Some(id)
    }

    fn check(&self, step: &Step, id: &str, key: &(String, u32), ms: u64) -> Checked {
        if self.is_forgetful(id) {
            return Checked::CannotTell("the host was restarted".to_owned());
        }
        if step.keyed == Keyed::Never {
            // It looks at its target, and not for a key.
            return if self.is_done(id) { Checked::Done(None) } else { Checked::NotDone };
        }
        match self.jobs.get(key) {
            None => Checked::NotDone,
            Some(job) if job.ends_ms > ms || !job.works => Checked::Running,
            Some(_) => Checked::Done(None),
        }
    }

    fn happen(&mut self, id: &str) {
        self.undone.remove(id);
        self.parts.retain(|part| undone_by(part) != Some(id));
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

    /// Whether the job or token of an attempt is known already.
    pub(super) fn has_job(&self, launch: &Launch) -> bool {
        self.jobs.contains_key(&(launch.step.to_string(), launch.attempt))
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        self.effects.get(id).is_some_and(|&count| count > 0)
    }

    /// What a person answers who has looked.
    pub(super) fn answer(&self, id: &str, question: Question) -> RequestKind {
        match question {
            _ if undone_by(id).is_some() => RequestKind::AssumeDone,
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
        let sides = if self.weather == Weather::Fair { 12 } else { 4 };
        dice(self.seed, (id, "gate"), sides) > 0
    }
}

fn refused(says: &dyn Says) -> CallError {
    CallError::permanent("exit_1", says.refusal())
}
