//! What a rehearsal needs of a runbook beside its plan.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::id::StepId;
use crate::plan::{Plan, Uses};
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
    plan.every_step().flat_map(of_step).filter_map(schema).collect()
}

/// Whether the runbook says what follows when nobody knows what became of a step.
#[must_use]
pub fn says_unknown(document: &Document, step: &StepId) -> bool {
    // Elements of loops are not written.
    let names = step.as_str().split('/').map(|name| name.split('@').next().unwrap_or(name));
    let mut steps = &document.steps;
    let mut found = None;
    for name in names {
        found = steps.iter().find(|it| it.id.value == name);
        steps = match found.and_then(|it| it.steps.as_ref()) {
            Some(inner) => inner,
            None => break,
        };
    }
    found.is_some_and(|it| it.on_unknown.is_some())
}
