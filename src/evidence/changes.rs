use std::collections::BTreeMap;

use dr_plugin::Change;
use serde_json::Value;

use super::markdown::row;
use super::model::{Evidence, StepEvidence};
use crate::markup::escape_markdown as escape;

/// The output in which steps keep what they changed.
const OUTPUT: &str = "changes";

/// What a step says that it changed, if it says so in the form of plugins.
pub(super) fn of_outputs(outputs: &BTreeMap<String, Value>) -> Vec<Change> {
    let changes = outputs.get(OUTPUT).cloned().unwrap_or_default();
    serde_json::from_value(changes).unwrap_or_default()
}

/// Whether an output is shown among the changes.
pub(super) fn is_shown(name: &str, value: &Value) -> bool {
    name == OUTPUT && serde_json::from_value::<Vec<Change>>(value.clone()).is_ok()
}

/// All changes, in the order of the steps.
pub(super) fn of_run(evidence: &Evidence) -> impl Iterator<Item = (&StepEvidence, Change)> {
    evidence
        .steps
        .iter()
        .flat_map(|step| of_outputs(&step.outputs).into_iter().map(move |change| (step, change)))
}

/// The table of all changes, in Markdown.
pub(super) fn changes(out: &mut String, evidence: &Evidence) {
    let changes: Vec<_> = of_run(evidence).collect();
    if changes.is_empty() {
        return;
    }
    out.push_str("## Changes\n\n| Step | What | Before | After |\n|---|---|---|---|\n");
    for (step, change) in changes {
        let text = |state: Option<&String>| state.map_or_else(|| "–".to_owned(), |it| escape(it));
        row(
            out,
            &[
                &escape(step.id.as_str()),
                &escape(&change.what),
                &text(change.before.as_ref()),
                &text(change.after.as_ref()),
            ],
        );
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_the_form_of_changes_is_one() {
        let change = json!([{ "what": "A a", "before": null, "after": "10.0.0.1" }]);
        assert!(is_shown("changes", &change));
        assert!(!is_shown("changes", &json!("many")));
        assert!(!is_shown("other", &change));
        let outputs = BTreeMap::from([("changes".to_owned(), change)]);
        assert_eq!(of_outputs(&outputs)[0].to_string(), "A a: made, 10.0.0.1");
    }
}
