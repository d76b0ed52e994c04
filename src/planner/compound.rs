//! Groups and loops: what is inside them, and what their elements are called.

use std::collections::BTreeMap;

use dr_plugin::Host;
use serde_json::{Value, json};

use super::codes;
use super::names::KnownAt;
use super::steps::Maker;
use crate::id::StepId;
use crate::plan::{self, ANY, Step, begin_of};
use crate::runbook::{DocPath, ForEachDoc, Problem, StepDoc};
use crate::text::{Expr, Path, Templated, known_at_plan_time};
use crate::words::OnFailure;

/// The element of a loop that steps are being made for.
#[derive(Debug, Clone)]
pub(super) struct Element {
    /// Id of the loop, without elements of the loops around it.
    pub(super) id: StepId,
    /// What it is called in ids; [`ANY`] if it is not known yet.
    pub(super) key: String,
    /// What texts and decisions call it; empty for a round, which has no name.
    pub(super) name: String,
    /// Itself, if it is known.
    pub(super) value: Option<Value>,
}

/// What a loop goes over.
pub(super) enum Elements {
    /// By the names that they have in ids.
    Known(Vec<(String, Value)>),
    /// Only during the run.
    Unknown(Expr),
}

/// What a policy that stands with a group means for a step inside it: a halt need not wait for the
/// rest of the group.
fn inherited(written: OnFailure) -> (OnFailure, bool) {
    match written {
        OnFailure::Halt => (OnFailure::Halt, true),
        _ => (OnFailure::Continue, true),
    }
}

impl Maker<'_> {
    /// The id of something inside the loops around it: from `a/b`, what is `a@x/b` here.
    pub(super) fn placed(&self, id: &StepId) -> StepId {
        let mut placed: Option<String> = None;
        for element in self.around.iter().rev() {
            let text = placed.as_deref().unwrap_or(id.as_str());
            if let Some(rest) = text.strip_prefix(element.id.as_str())
                && rest.starts_with('/')
            {
                placed = Some(format!("{}@{}{rest}", element.id, element.key));
            }
        }
        placed.map_or_else(|| id.clone(), StepId::from)
    }

    /// The id of a loop's element that is being made; of another step, its own.
    pub(super) fn element_id(&self, index: usize) -> StepId {
        let id = self.outline.id(index);
        let placed = self.placed(&id);
        match self.around.iter().rfind(|element| element.id == id) {
            Some(element) => StepId::from(format!("{placed}@{}", element.key)),
            None => placed,
        }
    }

    /// The group, element or loop that a step belongs to: for a step that a loop repeats, the loop.
    pub(super) fn group_of(&self, index: usize) -> Option<StepId> {
        let declared = self.outline.get(index);
        if declared.is_repeated() && self.is_repeating(index) {
            return Some(self.placed(&self.outline.id(index)));
        }
        declared.parent.map(|parent| self.element_id(parent as usize))
    }

    /// Whether the elements of the loop at `index` are being made, not the loop itself.
    pub(super) fn is_repeating(&self, index: usize) -> bool {
        let id = self.outline.id(index);
        self.around.iter().any(|element| element.id == id)
    }

    /// What follows from a failure, and whether the group around decides it: the innermost policy
    /// that is written, else that of the runbook. An element of a loop only counts as failed.
    pub(super) fn policy(&self, index: usize) -> (OnFailure, bool) {
        let default = self.document.on_failure.unwrap_or(OnFailure::Halt);
        for (out, declared) in self.outline.outwards(index).enumerate() {
            if declared.is_repeated() && (out > 0 || self.is_repeating(index)) {
                return (OnFailure::Continue, true);
            }
            if let Some(written) = declared.doc.on_failure {
                return match (out, written) {
                    // Everything inside the group around it is taken back, and the group fails.
                    (0, OnFailure::Undo) => (written, self.stands_inside(index)),
                    (0, _) => (written, false),
                    // A halt need not wait for the rest of the group.
                    (_, OnFailure::Halt) => (OnFailure::Halt, true),
                    _ => (OnFailure::Continue, true),
                };
            }
        }
        if let Some(around) = self.around_policy {
            return match self.document.on_failure {
                None => around,
                Some(OnFailure::Halt) => (OnFailure::Halt, true),
                Some(_) => (OnFailure::Continue, true),
            };
        }
        let inner = self.outline.get(index).parent.is_some();
        match (inner, default) {
            (false, _) | (true, OnFailure::Halt) => (default, inner),
            (true, _) => (OnFailure::Continue, true),
        }
    }

    /// Whether a step stands in a group, in an element of a loop, or in an included runbook.
    fn stands_inside(&self, index: usize) -> bool {
        self.outline.get(index).parent.is_some() || self.around_policy.is_some()
    }

    /// What follows from a failure inside the group or included runbook at `index`, where nothing
    /// inside it says so.
    pub(super) fn policy_inside(&self, index: usize) -> (OnFailure, bool) {
        let default = self.document.on_failure.unwrap_or(OnFailure::Halt);
        for declared in self.outline.outwards(index) {
            if declared.is_repeated() {
                return (OnFailure::Continue, true);
            }
            if let Some(written) = declared.doc.on_failure {
                return inherited(written);
            }
        }
        self.around_policy.unwrap_or_else(|| inherited(default))
    }

    /// Whether `when` and `approve` of a step stand on the step itself: not where a loop asks once.
    pub(super) fn asks_here(&self, index: usize) -> bool {
        let declared = self.outline.get(index);
        !declared.is_repeated() || self.is_repeating(index) == self.asks_each(index)
    }

    /// Whether a loop decides and asks for each element: its `when` or its question reads it.
    pub(super) fn asks_each(&self, index: usize) -> bool {
        let declared = self.outline.get(index);
        if declared.has_rounds() {
            return false;
        }
        let name = declared.item();
        let reads = |paths: Vec<Path>| paths.iter().any(|path| path.root() == name);
        let when = declared.doc.when.as_deref().and_then(|when| Expr::parse(when).ok());
        let message = declared.doc.approve.as_ref().map(|gate| Value::from(gate.message.as_str()));
        let message = message.and_then(|message| Templated::parse(&message).ok());
        when.and_then(|when| when.paths().ok()).is_some_and(reads)
            || message.and_then(|message| message.paths().ok()).is_some_and(reads)
    }

    /// The elements around what is being made, by name.
    pub(super) fn bound(&self) -> BTreeMap<String, Value> {
        self.around
            .iter()
            .filter_map(|element| Some((element.name.clone(), element.value.clone()?)))
            .collect()
    }

    /// Whether a name has its value already.
    pub(super) fn knows(&self, path: &Path) -> bool {
        let root = path.root();
        if let Some(element) = self.around.iter().rev().find(|element| element.name == root) {
            element.value.is_some()
        } else {
            let asked = &self.environment.known.asked;
            let comes_later = root == "inputs"
                && path.field(1).map_or(!asked.is_empty(), |name| asked.contains(name));
            known_at_plan_time(path) && !(root == "host" && self.host_unknown) && !comes_later
        }
    }

    pub(super) fn is_known(&self, expr: &Expr) -> bool {
        expr.paths().is_ok_and(|paths| paths.iter().all(|path| self.knows(path)))
    }

    /// The host of a step, and whether one is named: by itself or, where its action takes one, by a
    /// group around it.
    pub(super) fn host_of<'d>(
        &mut self,
        index: usize,
        doc: &'d StepDoc,
        at: &DocPath,
    ) -> (Option<Host>, Option<&'d str>)
    where
        Self: 'd,
    {
        self.host_unknown = false;
        let own = doc.host.as_deref();
        let around = || self.outline.host(index).filter(|_| self.takes_host(doc));
        let Some(written) = own.or_else(|| around().map(|(host, _)| host)) else {
            return (None, None);
        };
        let unknown = |template: Templated| {
            template.paths().is_ok_and(|paths| {
                paths.iter().any(|path| {
                    self.around
                        .iter()
                        .any(|element| element.value.is_none() && element.name == path.root())
                })
            })
        };
        if Templated::parse(&Value::from(written)).is_ok_and(unknown) {
            self.host_unknown = true;
            return (None, Some(written));
        }
        (self.host(Some(written), &at.field("host")), Some(written))
    }

    fn takes_host(&self, doc: &StepDoc) -> bool {
        let uses = doc.uses.as_deref();
        uses.and_then(|uses| uses.split_once('.'))
            .and_then(|(plugin, action)| self.catalog.action(plugin, action))
            .is_some_and(|action| action.host != dr_plugin::HostNeed::None)
    }

    /// The step with which a group or loop begins.
    pub(super) fn begin(&mut self, index: usize, id: &StepId) -> Step {
        let declared = *self.outline.get(index);
        let (doc, at) = (declared.doc, self.outline.path(index));
        self.inside = declared.parent.map(|parent| parent as usize);
        let mut step = self.outer(index, begin_of(id));
        step.description = None;
        step.source.clear();
        step.opens = Some(id.clone());
        step.point_of_no_return = doc.point_of_no_return && declared.is_group();
        if self.asks_here(index) {
            self.decide_when(&mut step, doc, &at);
            step.approve = doc.approve.as_ref().map(|gate| self.gate(gate, None, &at));
        }
        step
    }

    /// What a loop goes over, as far as it is known.
    pub(super) fn elements(&mut self, index: usize) -> Elements {
        let declared = *self.outline.get(index);
        let doc = declared.doc;
        self.inside = declared.parent.map(|parent| parent as usize);
        let at = self.outline.path(index).field("for_each");
        let found = match &doc.for_each {
            None => Ok(Vec::new()),
            Some(ForEachDoc::List(items)) => {
                let list = self.template(Some(&Value::from(items.clone())), None, &at);
                if !list.is_known() {
                    self.problems.push(Problem::error(
                        codes::LOOP,
                        at,
                        "the elements that are written here must be known when planning",
                    ));
                    return Elements::Known(Vec::new());
                }
                plan::elements(list.as_value())
            }
            Some(ForEachDoc::Map(map)) => map
                .iter()
                .map(|(key, value)| {
                    let value = self.template(Some(value), None, &at.field(key));
                    let value = value.as_value().clone();
                    (key.clone(), json!({ "key": key, "value": value }))
                })
                .map(Ok)
                .collect(),
            Some(ForEachDoc::Expr(source)) => {
                let Some(expr) = self.expr(source, &at) else {
                    return Elements::Known(Vec::new());
                };
                if !self.is_known(&expr) {
                    return Elements::Unknown(expr);
                }
                let around = &self.around;
                let names = KnownAt { known: &self.environment.known, host: None, around };
                match expr.evaluate(&names) {
                    Ok(value) => plan::elements(&value),
                    Err(error) => {
                        self.text_problem(codes::LOOP, at, &error);
                        return Elements::Known(Vec::new());
                    }
                }
            }
        };
        let id = &doc.id.value;
        let mut wrong = |message: String, help: &str| {
            let problem = Problem::error(codes::LOOP, at.clone(), message);
            self.problems.push(problem.with_help(help));
        };
        match found {
            Ok(elements) if elements.is_empty() && !doc.allow_empty => {
                wrong(
                    format!("`{id}` goes over nothing here"),
                    "correct what it selects by, or say `allow_empty: true` if nothing is fine",
                );
                Elements::Known(elements)
            }
            Ok(elements) => Elements::Known(elements),
            Err(why) => {
                wrong(format!("`{id}`: {why}"), "give it a list of different elements, or a map");
                Elements::Known(Vec::new())
            }
        }
    }

    /// Around what is done for one element.
    pub(super) fn enter(&mut self, index: usize, key: &str, value: Option<Value>) {
        let declared = self.outline.get(index);
        self.around.push(Element {
            id: self.outline.id(index),
            key: if value.is_some() { key.to_owned() } else { ANY.to_owned() },
            name: if declared.has_rounds() { String::new() } else { declared.item().to_owned() },
            value,
        });
    }
}
