use std::collections::BTreeMap;

use dr_plugin::{ActionManifest, Effect};

use super::ancestors::Ancestors;
use super::arguments::Schemas;
use crate::catalog::Catalog;
use crate::runbook::{
    DocPath, Document, Graph, Outline, Part, Problem, Runbook, StepDoc, codes, nearest,
};
use crate::text::Vocabulary;
use crate::text::has_braces;

/// Everything that is wrong or risky about a runbook, in the order of the checks. Run
/// [`crate::runbook::normalize`] first, or texts without quotes are taken for numbers.
#[must_use]
pub fn check(runbook: &Runbook, catalog: &Catalog) -> Vec<Problem> {
    let document = &runbook.document;
    let outline = Outline::new(document);
    let (graph, problems) = runbook.graph(&outline);
    let mut problems = problems.clone();
    for problem in &mut problems {
        if problem.help.is_none() {
            let section = if problem.code == codes::UNKNOWN_SERVICE { "services" } else { "steps" };
            problem.help = Some(format!("add it to `{section}`, or correct the name"));
        }
    }
    let mut checker = Checker {
        document,
        catalog,
        graph,
        problems,
        vocabulary: vocabulary(runbook, &outline),
        ancestors: Ancestors::default(),
        outline,
        parts: &runbook.parts,
        schemas: Schemas::default(),
    };
    checker.names();
    checker.inputs();
    checker.environments();
    checker.services();
    checker.plugins();
    checker.spans();
    for index in 0..checker.outline.len() {
        let step = checker.outline.get(index).doc;
        let at = checker.outline.path(index);
        checker.step_shape(index, step, &at);
        checker.step_calls(index, step, &at);
        checker.step_numbers(index, step, &at);
        checker.step_loop(index, &at);
        checker.step_reads(index, step, &at);
        checker.step_ends(index, step, &at);
    }
    checker.lints();
    checker.problems
}

pub(super) struct Checker<'a> {
    pub(super) document: &'a Document,
    pub(super) catalog: &'a Catalog,
    pub(super) graph: &'a Graph,
    /// Every declared step, those inside groups included.
    pub(super) outline: Outline<'a>,
    /// Included runbooks, by path as they are named.
    pub(super) parts: &'a BTreeMap<String, Part>,
    pub(super) problems: Vec<Problem>,
    /// What texts and decisions can name.
    pub(super) vocabulary: Vocabulary,
    pub(super) ancestors: Ancestors,
    pub(super) schemas: Schemas,
}

impl<'a> Checker<'a> {
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// An error and the way out.
    pub(super) fn help(
        &mut self,
        code: &'static str,
        at: DocPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Problem::error(code, at, message).with_help(help));
    }

    /// Keys that say nothing where they stand, each with the way out. `why`: what the step is, or is
    /// not.
    pub(super) fn meaningless<H: Into<String>>(
        &mut self,
        at: &DocPath,
        why: std::fmt::Arguments<'_>,
        keys: impl Iterator<Item = (&'static str, H)>,
    ) {
        for (key, help) in keys {
            let message = format!("`{key}` means nothing here: {why}");
            self.help(codes::STEP_SHAPE, at.field(key), message, help);
        }
    }

    /// A warning and the way out.
    pub(super) fn warn(
        &mut self,
        code: &'static str,
        at: DocPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Problem::warning(code, at, message).with_help(help));
    }

    /// A name that is none of `known`.
    pub(super) fn unknown<'k>(
        &mut self,
        code: &'static str,
        at: DocPath,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let known: Vec<_> = known.into_iter().collect();
        let message = format!("there is no {what} `{name}`");
        let help = match nearest(name, known.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None if known.is_empty() => {
                format!("the runbook has no {what}s: add it, or remove this")
            }
            None => format!("there {}", list(&known)),
        };
        self.help(code, at, message, help);
    }

    /// Whether the node `of` waits for the step `ancestor`.
    pub(super) fn waits(&self, ancestor: &str, of: &str) -> bool {
        self.ancestors.waits(self.graph, ancestor, of)
    }

    /// The action that a step calls, if both exist.
    pub(super) fn action_of(&self, step: &StepDoc) -> Option<&'a ActionManifest> {
        self.action_named(step.uses.as_deref()?)
    }

    pub(super) fn action_named(&self, uses: &str) -> Option<&'a ActionManifest> {
        let (plugin, action) = uses.split_once('.')?;
        self.catalog.action(plugin, action)
    }

    /// What repeating the step would do, as far as it is known.
    pub(super) fn effect_of(&self, step: &StepDoc) -> Option<Effect> {
        step.effect.or_else(|| Some(self.action_of(step)?.effect_with(step.with.as_ref())))
    }
}

/// What the runbook declares, in any of its environments.
fn vocabulary(runbook: &Runbook, outline: &Outline<'_>) -> Vocabulary {
    let document = &runbook.document;
    // What an include gives is computed of the steps inside it.
    let inside = runbook.parts.values().filter_map(|part| match part {
        Part::Runbook(part) => Some(&part.document.steps),
        Part::Unread(_) | Part::Nothing(_) => None,
    });
    let inside = inside.flatten().map(|step| step.id.value.clone());
    let undoing =
        outline.steps().filter_map(|step| step.doc.undo.as_ref()?.steps.as_ref()).flatten();
    let environments = || document.environments.values();
    let names = |own: &mut dyn Iterator<Item = &String>| own.cloned().collect();
    Vocabulary {
        values: names(
            &mut document.values.keys().chain(environments().flat_map(|e| e.values.keys())),
        ),
        inputs: names(&mut document.inputs.keys()),
        hosts: names(&mut document.hosts.keys().chain(environments().flat_map(|e| e.hosts.keys()))),
        secrets: names(
            &mut document.secrets.keys().chain(environments().flat_map(|e| e.secrets.keys())),
        ),
        steps: outline
            .steps()
            .map(|step| step.doc.id.value.clone())
            .chain(undoing.map(|step| step.id.value.clone()))
            .chain(inside)
            .collect(),
        ..Vocabulary::default()
    }
}

/// "is A", "are A, B and 3 more".
fn list(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(8).map(|name| format!("`{name}`")).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let more = names.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{verb} {}{rest}", shown.join(", "))
}

/// The texts of a value that may hold templates, with their places.
pub(super) fn texts<'v>(
    value: &'v serde_json::Value,
    at: &DocPath,
    found: &mut Vec<(DocPath, &'v str)>,
) {
    if !may_hold_template(value) {
        return;
    }
    match value {
        serde_json::Value::String(text) => found.push((at.clone(), text)),
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, &at.index(index), found);
            }
        }
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                texts(value, &at.field(key), found);
            }
        }
        _ => {}
    }
}

pub(super) fn may_hold_template(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => has_braces(text),
        serde_json::Value::Array(items) => items.iter().any(may_hold_template),
        serde_json::Value::Object(map) => map.values().any(may_hold_template),
        _ => false,
    }
}
