//! What actions give in a rehearsal: what the script says, else something that lets the run go on.

use dr_plugin::{CallError, ErrorClass};
use serde_json::{Value, json};

use super::guess::{Goal, Guess, Guesser};
use super::script::Script;
use super::slots::literals;
use crate::machine::{Launch, Machine, Unmet, UnmetKind};
use crate::plan::Step;
use crate::text::{Expr, MapNames};
use crate::time::Now;

/// Errors that are tried for one that an action has to fail with.
const WANTED: usize = 4_000;

#[derive(Clone, Copy)]
pub(super) struct Results<'a> {
    pub(super) script: &'a Script,
    pub(super) guesser: &'a Guesser,
}

impl Results<'_> {
    /// The best result for a call of `step`.
    pub(super) fn guess(
        &self,
        machine: &Machine,
        now: Now,
        step: &Step,
        launch: &Launch,
        goal: Goal,
    ) -> Guess {
        let base = self.base(launch);
        self.guesser.guess(machine, now, launch.step.as_str(), step, goal, base.as_ref())
    }

    /// The error with which a call has to fail, if it has to.
    pub(super) fn wanted(&self, step: &Step, launch: &Launch) -> Option<CallError> {
        let scripted = self.script.step(launch.step.as_str());
        let says_nothing = scripted.is_none_or(|it| it.result.is_none());
        step.expect_error.as_ref().filter(|_| says_nothing).and_then(wanted_error)
    }

    /// What is said of a result: by the script, or by an action that takes its result as argument.
    fn base(&self, launch: &Launch) -> Option<Value> {
        let scripted = self.script.step(launch.step.as_str());
        let said = scripted.and_then(|scripted| scripted.result.clone());
        let simulated = || launch.input.get("result").cloned();
        said.or_else(|| simulated().filter(|_| launch.uses.plugin == "sim"))
    }
}

impl Guess {
    /// Whether all that it leaves unmet is that it has not come true yet.
    pub(super) fn is_not_yet(&self) -> bool {
        let plain = |it: &Unmet| it.why.is_none() && it.kind != UnmetKind::Output;
        !self.unmet.is_empty() && self.unmet.iter().all(plain)
    }
}

/// Made up of what the expression compares with.
fn wanted_error(expected: &Expr) -> Option<CallError> {
    use ErrorClass as Class;
    let words = literals(expected).into_iter().filter_map(|it| Some(it.as_str()?.to_owned()));
    let mut codes: Vec<String> = words.collect();
    codes.push("exit_1".to_owned());
    let classes = [Class::Permanent, Class::Denied, Class::Transient, Class::Unknown];
    let errors = codes.iter().flat_map(|code| {
        codes.iter().flat_map(move |message| {
            classes.map(|class| CallError::new(class, code.clone(), message.clone()))
        })
    });
    let mut errors = errors.take(WANTED);
    errors.find(|CallError { class, code, message, .. }| {
        let error = json!({ "class": class, "code": code, "message": message });
        expected.decide(&MapNames::new(json!({ "error": error }))).unwrap_or(false)
    })
}
