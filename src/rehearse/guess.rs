//! Finds results that let a run go on: plausible by the action's schema, and such that outputs can
//! be computed and expectations hold. It tries what expressions compare with, and looks ahead with
//! the machine; nothing is known of an expression but what it says to a value.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sample::{sample, sample_around};
use super::shape::{Join, Part, Shape};
use super::slots::{Hint, Reading, literals, readings};
use crate::machine::{Machine, Unmet, UnmetKind};
use crate::plan::{Step, Uses};
use crate::text::{Expr, plain};
use crate::time::Now;

/// Properties of properties that are made up.
const DEPTH: u32 = 6;
/// Values tried for one part.
const CANDIDATES: usize = 48;
/// Looks ahead for one result.
const LOOKS: usize = 4_000;
/// Parts and values that are tried in pairs.
const PAIRED: (usize, usize) = (8, 14);

/// What a result is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    /// Everything holds.
    Holds,
    /// The condition of `repeat` does not hold yet.
    NotYet,
    /// The step's `check` says so.
    Check { done: bool },
}

/// A result, and what it leaves unmet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub(super) result: Value,
    pub(super) unmet: Vec<Unmet>,
}

/// Makes up results.
#[derive(Debug)]
pub(super) struct Guesser {
    /// Schemas of results by action.
    schemas: BTreeMap<Uses, Value>,
    /// What was found last for a step.
    known: RefCell<BTreeMap<(String, Goal), Vec<Value>>>,
}

impl Guesser {
    pub(super) fn new(schemas: BTreeMap<Uses, Value>) -> Self {
        Self { schemas, known: RefCell::default() }
    }

    /// The best result for `id` now; `base` is what is already said of it.
    pub(super) fn guess(
        &self,
        machine: &Machine,
        now: Now,
        id: &str,
        step: &Step,
        goal: Goal,
        base: Option<&Value>,
    ) -> Guess {
        let search = Search::new(self, machine, now, id, step, goal, base);
        let key = (id.to_owned(), goal);
        let known = self.known.borrow().get(&key).cloned();
        let known = known.filter(|known| known.len() == search.candidates.len());
        let chosen = search.run(known);
        let result = search.shape.value(&chosen);
        let unmet = search.unmet(&result);
        self.known.borrow_mut().insert(key, chosen);
        Guess { result, unmet }
    }
}

struct Search<'a> {
    machine: &'a Machine,
    now: Now,
    id: &'a str,
    goal: Goal,
    shape: Shape,
    /// For each choice, what it may be, the most likely first.
    candidates: Vec<Vec<Value>>,
}

impl<'a> Search<'a> {
    fn new(
        guesser: &Guesser,
        machine: &'a Machine,
        now: Now,
        id: &'a str,
        step: &Step,
        goal: Goal,
        base: Option<&Value>,
    ) -> Self {
        let (uses, exprs) = match goal {
            Goal::Check { .. } => {
                let check = step.check.as_ref();
                let running = check.and_then(|check| check.running.as_ref());
                let exprs = check.map(|check| &check.done).into_iter().chain(running).collect();
                (check.map(|check| &check.uses), exprs)
            }
            _ => (step.uses.as_ref(), exprs_of(step)),
        };
        let schema = uses.and_then(|uses| guesser.schemas.get(uses));
        let mut shape = match base {
            Some(base) => Shape::Fixed(base.clone()),
            None => schema.map_or(Shape::Fixed(Value::Null), |it| Shape::of_schema(it, DEPTH)),
        };
        let mut search = Self {
            machine,
            now,
            id,
            goal,
            shape: Shape::Fixed(Value::Null),
            candidates: Vec::new(),
        };
        if base.is_none() {
            let shared = search.shared(&exprs);
            let mut seen: Vec<Reading> = Vec::new();
            for expr in &exprs {
                let own = search.own(expr);
                for reading in readings(expr) {
                    search.slot(&mut shape, reading, &own, &shared, &mut seen);
                }
            }
        }
        search.shape = shape;
        search
    }

    /// Makes a choice of a part that an expression reads.
    fn slot(
        &mut self,
        shape: &mut Shape,
        reading: Reading,
        own: &[Value],
        shared: &[Value],
        seen: &mut Vec<Reading>,
    ) {
        if reading.hint == Hint::List {
            let (path, join) = match reading.path.split_last() {
                Some((Part::Line(0), path)) => (path, Join::Lines),
                Some((Part::Piece(by, 0), path)) => (path, Join::Split(by.clone())),
                _ => (&reading.path[..], Join::List),
            };
            if let Some(list) = shape.reach(path)
                && (join != Join::List || matches!(list, Shape::List(_) | Shape::Repeat(..)))
            {
                self.count(list, join, own);
                return;
            }
        }
        // A part of which parts are chosen is not chosen itself.
        let is_inner = seen.iter().any(|other| {
            other.path.len() > reading.path.len() && other.path.starts_with(&reading.path)
        });
        if is_inner {
            return;
        }
        let Some(place) = shape.reach(&reading.path) else { return };
        let hinted = self.hinted(&reading.hint);
        if let Shape::Slot(slot) = *place {
            let mut known = std::mem::take(&mut self.candidates[slot]);
            let at = usize::from(!known.is_empty());
            known.splice(at..at, hinted.into_iter().chain(own.iter().cloned()));
            self.candidates[slot] = distinct(known);
            return;
        }
        let usual = place.value(&[]);
        let mut values = hinted;
        if values.is_empty() {
            values.push(usual);
        } else {
            values.insert(1, usual);
        }
        let at = values.len().min(2);
        values.splice(at..at, own.iter().cloned());
        values.extend(shared.iter().cloned());
        *place = Shape::Slot(self.candidates.len());
        self.candidates.push(distinct(values));
        seen.push(reading);
    }

    /// Makes the number of a list's items a choice.
    fn count(&mut self, list: &mut Shape, join: Join, own: &[Value]) {
        let counts = |own: &[Value]| {
            let own = own.iter().filter(|value| value.as_u64().is_some_and(|n| n <= 64));
            let few = [1, 0, 2, 3].map(Value::from);
            few.into_iter().chain(own.cloned()).collect::<Vec<_>>()
        };
        if let Shape::Repeat(_, slot, _) = list {
            let mut known = std::mem::take(&mut self.candidates[*slot]);
            known.extend(counts(own));
            self.candidates[*slot] = distinct(known);
            return;
        }
        let item = match (&*list, &join) {
            (Shape::List(items) | Shape::Lines(items) | Shape::Split(_, items), _) => {
                items.first().cloned().unwrap_or_else(|| Shape::Fixed(json!({})))
            }
            _ => Shape::Fixed(json!("simulated")),
        };
        *list = Shape::Repeat(Box::new(item), self.candidates.len(), join);
        self.candidates.push(distinct(counts(own)));
    }

    fn hinted(&self, hint: &Hint) -> Vec<Value> {
        let ago = |seconds: i64| self.moment(-seconds * 1_000);
        match hint {
            Hint::Any | Hint::List => Vec::new(),
            Hint::Number => vec![json!("1")],
            Hint::Duration => vec![json!("1s")],
            Hint::Time => vec![json!(ago(5)), json!(ago(3_600)), json!(ago(30 * 86_400))],
            Hint::Pattern(pattern) => {
                let captured = ["1".to_owned(), "1s".to_owned(), ago(5), "true".to_owned()];
                let around = captured.iter().filter_map(|it| sample_around(pattern, it));
                std::iter::once(sample(pattern)).chain(around).map(Value::from).collect()
            }
            Hint::Format(format) => {
                let at =
                    crate::time::Timestamp::from_millisecond(self.now.at.as_millisecond() - 5_000);
                at.map(|at| json!(at.strftime(format).to_string())).into_iter().collect()
            }
        }
    }

    fn moment(&self, by_ms: i64) -> String {
        let ms = self.now.at.as_millisecond() + by_ms;
        crate::time::Timestamp::from_millisecond(ms).map(|at| at.to_string()).unwrap_or_default()
    }

    /// What an expression itself compares with: what it says, and what else it reads.
    fn own(&self, expr: &Expr) -> Vec<Value> {
        let mut values = literals(expr);
        for path in expr.paths().unwrap_or_default() {
            if !matches!(path.root(), "result" | "outputs")
                && let Some(value) = self.machine.value(self.now, self.id, &path)
            {
                let value = plain(&value);
                match &value {
                    Value::Array(items) => values.extend(items.iter().cloned()),
                    Value::Object(map) => values.extend(map.keys().map(|key| json!(key))),
                    _ => {}
                }
                values.push(value);
            }
        }
        // What is one more than another step's number, or the sum of two.
        let numbers: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
        let named = &numbers[literals(expr).iter().filter(|it| it.is_i64()).count()..];
        for (position, one) in named.iter().enumerate() {
            let with = numbers[..numbers.len() - named.len()].iter().chain(&named[position + 1..]);
            let sums = with.filter_map(|other| one.checked_add(*other)).map(Value::from);
            values.extend(sums.collect::<Vec<_>>());
        }
        let texts: Vec<Value> = values
            .iter()
            .filter(|value| value.is_number() || value.is_boolean())
            .map(|value| json!(value.to_string()))
            .collect();
        values.extend(texts);
        values
    }

    /// What all expressions of the step compare with, and what is always worth a try.
    fn shared(&self, exprs: &[&Expr]) -> Vec<Value> {
        let mut values: Vec<Value> = exprs.iter().flat_map(|expr| self.own(expr)).collect();
        values.extend([json!("1"), json!(1), json!(0), json!("0"), json!(true), json!(false)]);
        values.extend([-5_000, 0, -3_600_000, 3_600_000].map(|by| json!(self.moment(by))));
        values.extend([json!("ok"), json!("true"), json!(100), json!(1_000_000), json!("")]);
        if self.machine.feeds_a_loop(self.id) {
            values.insert(0, json!(["one", "two"]));
        }
        values.extend([Value::Null, json!([]), json!({})]);
        values
    }

    /// What a result leaves unmet.
    fn unmet(&self, result: &Value) -> Vec<Unmet> {
        match self.goal {
            Goal::Check { .. } => Vec::new(),
            _ => self
                .machine
                .foresee(self.now, self.id, result)
                .map_or_else(Vec::new, |foreseen| foreseen.unmet),
        }
    }

    /// How far a choice is from the goal: 0 reaches it.
    fn distance(&self, chosen: &[Value]) -> usize {
        let result = self.shape.value(chosen);
        match self.goal {
            Goal::Check { done } => match self.machine.foresee_check(self.now, self.id, &result) {
                None => 2,
                Some(found) => usize::from(found != (done, false)),
            },
            // Better done in this round, but that may not be this step's to decide.
            Goal::Holds => self.machine.foresee(self.now, self.id, &result).map_or(0, |foreseen| {
                2 * foreseen.unmet.len() + usize::from(foreseen.another_round)
            }),
            Goal::NotYet => {
                let unmet = self.unmet(&result);
                let until = |it: &&Unmet| it.kind == UnmetKind::Until && it.why.is_none();
                let wrong = |it: &&Unmet| it.kind == UnmetKind::Output || it.why.is_some();
                let holds = unmet.iter().filter(until).count() == 0;
                let validates = unmet.iter().any(|it| it.kind == UnmetKind::Expectation);
                usize::from(holds && !validates) + unmet.iter().filter(wrong).count()
            }
        }
    }

    fn run(&self, known: Option<Vec<Value>>) -> Vec<Value> {
        let first = |of: &Vec<Value>| of.first().cloned().unwrap_or_default();
        let start: Vec<Value> = self.candidates.iter().map(first).collect();
        if let Some(known) = known
            && self.distance(&known) == 0
        {
            return known;
        }
        let mut best = (self.distance(&start), start);
        let mut looks = 0;
        while best.0 > 0 && looks < LOOKS {
            let before = best.0;
            for slot in 0..self.candidates.len() {
                for value in &self.candidates[slot] {
                    looks += 1;
                    let mut other = best.1.clone();
                    other[slot] = value.clone();
                    let distance = self.distance(&other);
                    if distance < best.0 {
                        best = (distance, other);
                    }
                    if best.0 == 0 || looks >= LOOKS {
                        return best.1;
                    }
                }
            }
            if best.0 == before && !self.pairs(&mut best, &mut looks) {
                break;
            }
        }
        best.1
    }

    /// Tries two parts at once. Says whether that was any better.
    fn pairs(&self, best: &mut (usize, Vec<Value>), looks: &mut usize) -> bool {
        let slots = self.candidates.len().min(PAIRED.0);
        for one in 0..slots {
            for two in one + 1..slots {
                for left in self.candidates[one].iter().take(PAIRED.1) {
                    for right in self.candidates[two].iter().take(PAIRED.1) {
                        *looks += 1;
                        let mut other = best.1.clone();
                        other[one] = left.clone();
                        other[two] = right.clone();
                        let distance = self.distance(&other);
                        if distance < best.0 {
                            *best = (distance, other);
                            return true;
                        }
                        if *looks >= LOOKS {
                            return false;
                        }
                    }
                }
            }
        }
        false
    }
}

fn exprs_of(step: &Step) -> Vec<&Expr> {
    let until = step.repeat.as_ref().and_then(|repeat| repeat.until.as_ref());
    let outputs = step.outputs.iter().map(|output| &output.value);
    let expects = step.expect.iter().map(|expect| &expect.that);
    outputs.chain(until).chain(expects).chain(&step.recovery_point).collect()
}

fn distinct(values: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for value in values {
        if kept.len() < CANDIDATES && !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
