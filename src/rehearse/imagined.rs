//! What the systems of a rehearsal say, for tests that count what is done to them.

use std::collections::BTreeMap;

use dr_plugin::CallError;
use serde_json::Value;

use super::guess::{Goal, Guesser};
use super::results::Results;
use super::script::Script;
use crate::machine::tests::Says;
use crate::machine::{Launch, Machine};
use crate::plan::{Step, Uses};
use crate::time::Now;

/// Readings of a `repeat` that are "not yet".
const NOT_YET: u32 = 2;

/// Systems that say what lets a run go on.
pub(crate) struct Imagined {
    script: Script,
    guesser: Guesser,
    refusal: String,
}

impl Imagined {
    /// `refusal` is what a target says that refuses.
    pub(crate) fn new(script: Script, schemas: BTreeMap<Uses, Value>, refusal: &str) -> Self {
        Self { script, guesser: Guesser::new(schemas), refusal: refusal.to_owned() }
    }

    fn results(&self) -> Results<'_> {
        Results { script: &self.script, guesser: &self.guesser }
    }
}

impl Says for Imagined {
    fn works(&self, machine: &Machine, now: Now, launch: &Launch) -> Result<Value, CallError> {
        let step = called(machine, launch);
        match self.results().wanted(step, launch) {
            Some(error) => Err(error),
            None => Ok(self.results().guess(machine, now, step, launch, Goal::Holds).result),
        }
    }

    fn reading(&self, machine: &Machine, now: Now, launch: &Launch, number: u32) -> Value {
        let step = called(machine, launch);
        let guess = |goal| self.results().guess(machine, now, step, launch, goal);
        if number <= NOT_YET {
            let guess = guess(Goal::NotYet);
            if guess.is_not_yet() {
                return guess.result;
            }
        }
        guess(Goal::Holds).result
    }

    fn check(&self, machine: &Machine, now: Now, launch: &Launch, done: bool) -> Value {
        let (id, step) = (launch.step.as_str(), called(machine, launch));
        self.guesser.guess(machine, now, id, step, Goal::Check { done }, None).result
    }

    fn refusal(&self) -> String {
        self.refusal.clone()
    }
}

/// The step that is called, or the one that takes it back.
fn called<'m>(machine: &'m Machine, launch: &Launch) -> &'m Step {
    machine.plan().step_or_undo(launch.step.as_str()).expect("a step")
}
