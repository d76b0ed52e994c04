//! What a rehearsal needs of a runbook beside its plan.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::id::StepId;
use crate::plan::{Plan, UNDO, Uses, undone_by};
use crate::runbook::Document;

/// Schemas of the results of the actions that a plan calls.
#[must_use]
pub fn results(plan: &Plan, catalog: &Catalog) -> BTreeMap<Uses, Value> {
    let of_step = |step: &crate::plan::Step| {
        let check = step.check.as_ref().map(|check| check.uses.clone());
        step.uses.clone().into_iter().chain(check).collect::<Vec<_>>()
    };
    let schema = |uses: Uses| {
        let action = catalog.action(&uses.plugin, &uses.action)?;
        let schema = action.output.as_value().clone();
        Some((uses, schema))
    };
    let undoing = plan.every_step().flat_map(crate::plan::Step::undo_steps);
    plan.every_step().chain(undoing).flat_map(of_step).filter_map(schema).collect()
}

/// Whether the runbook says what follows when nobody knows what became of a step.
#[must_use]
pub fn says_unknown(document: &Document, step: &StepId) -> bool {
    let of = undone_by(step.as_str());
    let id = of.unwrap_or(step.as_str());
    // Elements of loops are not written.
    let names = id.split('/').map(|name| name.split('@').next().unwrap_or(name));
    let mut steps = &document.steps;
    let mut found = None;
    for name in names {
        found = steps.iter().find(|it| it.id.value == name);
        steps = match found.and_then(|it| it.steps.as_ref()) {
            Some(inner) => inner,
            None => break,
        };
    }
    let Some(found) = found else { return false };
    let Some((of, undo)) = of.zip(found.undo.as_ref()) else { return found.on_unknown.is_some() };
    let part = step.as_str()[of.len() + UNDO.len()..].strip_prefix('/');
    let part = part.and_then(|part| undo.steps.iter().flatten().find(|it| it.id.value == part));
    part.map_or(undo.on_unknown, |part| part.on_unknown).is_some()
}
