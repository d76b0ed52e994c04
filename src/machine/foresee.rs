//! What the machine would make of a result, without taking it in: rehearsals look for results that
//! let a run go on.

use std::collections::BTreeMap;

use serde_json::Value;

use super::graph::Index;
use super::machine::Machine;
use super::names::Scope;
use super::rules::finish;
use crate::plan::{self, Items, Step};
use crate::text::{Expr, Names as _, Path, Segment, secret_value};
use crate::time::Now;

/// What would follow from a result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Foreseen {
    /// The outputs that can be computed.
    pub outputs: BTreeMap<String, Value>,
    /// What would be wrong, in the order in which it would be found; nothing if all is well.
    pub unmet: Vec<Unmet>,
    /// Whether a group around it would go into another round, as far as that can be told.
    pub another_round: bool,
}

/// Something that a result does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What kind of thing it is.
    pub kind: UnmetKind,
    /// The expression as it is written.
    pub source: String,
    /// Why it could not be decided; absent if it is plainly false.
    pub why: Option<String>,
}

/// What a result may fail to satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmetKind {
    /// An output cannot be computed.
    Output,
    /// The condition of `repeat` does not hold.
    Until,
    /// An expectation does not hold.
    Expectation,
    /// The recovery point is not known.
    RecoveryPoint,
    /// A loop that goes over an output would have nothing to do.
    Elements,
}

impl Machine {
    /// What would follow if the action of `step` gave `result` now. Nothing for an unknown step.
    #[must_use]
    pub fn foresee(&self, now: Now, step: &str, result: &Value) -> Option<Foreseen> {
        let position = self.graph.find(step)?;
        let plan = self.graph.step(position);
        let scope = Scope { result: Some(result), ..self.scope(now, position) };
        let mut foreseen = Foreseen::default();
        for output in &plan.outputs {
            let scope = Scope { outputs: Some(&foreseen.outputs), ..scope };
            match output.value.evaluate(&scope) {
                Ok(_) if output.secret => {
                    let name = format!("{}.{}", plan.id, output.name);
                    foreseen.outputs.insert(output.name.clone(), secret_value(&name));
                }
                Ok(value) => {
                    foreseen.outputs.insert(output.name.clone(), value);
                }
                Err(error) => foreseen.unmet.push(Unmet {
                    kind: UnmetKind::Output,
                    source: output.value.source().to_owned(),
                    why: Some(error.to_string()),
                }),
            }
        }
        for (source, why) in self.loops_without_elements(step, &foreseen.outputs) {
            foreseen.unmet.push(Unmet { kind: UnmetKind::Elements, source, why: Some(why) });
        }
        let scope = Scope { outputs: Some(&foreseen.outputs), ..scope };
        for (kind, condition) in conditions(plan) {
            let why = match condition.decide(&scope) {
                Ok(true) => continue,
                Ok(false) => None,
                Err(error) => Some(error.to_string()),
            };
            foreseen.unmet.push(Unmet { kind, source: condition.source().to_owned(), why });
        }
        if let Some(point) = &plan.recovery_point
            && let Err(why) = finish::at(point, &scope)
        {
            let (kind, source) = (UnmetKind::RecoveryPoint, point.source().to_owned());
            foreseen.unmet.push(Unmet { kind, source, why: Some(why) });
        }
        foreseen.another_round = self.goes_on(now, position, &foreseen.outputs);
        Some(foreseen)
    }

    /// Whether the round that a step is in would not be the last one if the step gave these outputs.
    fn goes_on(&self, now: Now, step: Index, outputs: &BTreeMap<String, Value>) -> bool {
        let around = |end: &Index| self.graph.node(*end).inside;
        std::iter::successors(around(&step), around).any(|round| {
            let Some(group) = around(&round) else { return false };
            let repeat = self.graph.step(group).repeat.as_ref();
            let Some(until) = repeat.and_then(|repeat| repeat.until.as_ref()) else { return false };
            let scope = Scope { foreseen: Some((step, outputs)), ..self.scope(now, round) };
            let mut given = BTreeMap::new();
            for output in &self.graph.step(round).outputs {
                let scope = Scope { outputs: Some(&given), ..scope };
                if let Ok(value) = output.value.evaluate(&scope) {
                    given.insert(output.name.clone(), value);
                }
            }
            let rounds = self.graph.inside(group);
            let so_far = rounds.iter().position(|other| *other == round).map_or(0, |at| at + 1);
            until.decide(&self.after_round(&rounds[..so_far], &given, scope)) == Ok(false)
        })
    }

    /// Whether a loop goes over what this step gives.
    #[must_use]
    pub fn feeds_a_loop(&self, step: &str) -> bool {
        self.graph.plan.every_step().any(|end| fed(end, step).is_some())
    }

    /// Loops that go over an output of this step and cannot, with the reason.
    fn loops_without_elements(
        &self,
        step: &str,
        outputs: &BTreeMap<String, Value>,
    ) -> Vec<(String, String)> {
        let fed = self.graph.plan.every_step().filter_map(|end| fed(end, step));
        let wrong = fed.filter_map(|(items, output)| {
            let why = match plan::elements(outputs.get(output)?) {
                Ok(found) if found.is_empty() && !items.allow_empty => "it is empty".to_owned(),
                Ok(found) if found.len() > items.max_items as usize => "it is too long".to_owned(),
                Ok(_) => return None,
                Err(why) => why,
            };
            Some((items.from.source().to_owned(), why))
        });
        wrong.collect()
    }

    /// What the `check` of `step` would say to `result`: whether it was done, and whether it is
    /// still going. Nothing for a step without a check, or if it could not tell.
    #[must_use]
    pub fn foresee_check(&self, now: Now, step: &str, result: &Value) -> Option<(bool, bool)> {
        let position = self.graph.find(step)?;
        let check = self.graph.step(position).check.as_ref()?;
        let scope = Scope { result: Some(result), ..self.scope(now, position) };
        let done = check.done.decide(&scope).ok()?;
        let running = check.running.as_ref().map(|running| running.decide(&scope));
        Some((done, running.transpose().ok()?.unwrap_or(false)))
    }

    /// The value that `path` has for `step` now, if it has one; nothing of a result.
    #[must_use]
    pub fn value(&self, now: Now, step: &str, path: &Path) -> Option<Value> {
        let scope = self.scope(now, self.graph.find(step)?);
        let mut value = match path.field(1).and_then(|member| scope.get(path.root(), Some(member)))
        {
            Some(value) if !matches!(path.root(), "host") => descend(value, path.0.get(2..)?)?,
            _ => descend(scope.get(path.root(), None)?, path.0.get(1..)?)?,
        };
        Some(value.take())
    }

    fn scope(&self, now: Now, step: Index) -> Scope<'_> {
        let poll = self.session.polls.get(&step);
        Scope {
            iteration: poll.map(|poll| poll.iteration),
            previous: poll.and_then(|poll| poll.previous.as_ref()),
            ..Scope::new(&self.graph, &self.state, now, step)
        }
    }
}

/// What a loop goes over, if it is an output of this step as it is.
fn fed<'a>(end: &'a Step, step: &str) -> Option<(&'a Items, &'a str)> {
    let items = end.each()?.items.as_ref()?;
    let name = step.rsplit('/').next()?;
    let source = items.from.source().trim().strip_prefix("steps.")?;
    let output = source.strip_prefix(name)?.strip_prefix(".outputs.")?;
    output.chars().all(|c| c.is_alphanumeric() || c == '_').then_some((items, output))
}

fn conditions(plan: &Step) -> impl Iterator<Item = (UnmetKind, &Expr)> {
    let until = plan.repeat.as_ref().and_then(|repeat| repeat.until.as_ref());
    let expects = plan.expect.iter().map(|expect| (UnmetKind::Expectation, &expect.that));
    until.map(|until| (UnmetKind::Until, until)).into_iter().chain(expects)
}

fn descend(mut value: Value, path: &[Segment]) -> Option<Value> {
    for segment in path {
        value = match segment {
            Segment::Field(name) => value.get_mut(name)?.take(),
            Segment::Index(index) => value.get_mut(index)?.take(),
            Segment::Dynamic => return None,
        };
    }
    Some(value)
}
