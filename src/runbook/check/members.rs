//! What hosts and steps have that others read.

use crate::runbook::{StepDoc, codes, nearest};
use crate::text::Path;

/// Members of a host that may be read.
const HOST: &[&str] = &["name", "address", "port", "user", "become", "labels", "job_dir"];

/// Code, message, way out.
pub(super) type Wrong = (&'static str, String, Option<String>);

/// An output that a step does not have.
pub(super) fn wrong_output_of(step: &StepDoc, id: &str, output: &str) -> Result<(), Wrong> {
    let told = step.approve.as_ref().is_some_and(|gate| gate.inputs.contains_key(output));
    if step.outputs.contains_key(output) || told {
        return Ok(());
    }
    let help = match nearest(output, step.outputs.keys().map(String::as_str)) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("add `outputs: {{ {output}: \"result…\" }}` to `{id}`"),
    };
    Err((codes::UNKNOWN_OUTPUT, format!("`{id}` has no output `{output}`"), Some(help)))
}

/// What is read of the step that is taken back or closed.
pub(super) fn wrong_self(own: &StepDoc, path: &Path) -> Result<(), Wrong> {
    let (Some("outputs"), Some(output)) = (path.field(1), path.field(2)) else { return Ok(()) };
    if own.outputs.contains_key(output) {
        return Ok(());
    }
    let id = &own.id.value;
    let help = match nearest(output, own.outputs.keys().map(String::as_str)) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("add `outputs: {{ {output}: \"result…\" }}` to `{id}`"),
    };
    Err((codes::UNKNOWN_OUTPUT, format!("`{id}` has no output `{output}`"), Some(help)))
}

/// A member of a host, at this position of the path.
pub(super) fn known_field(path: &Path, position: usize) -> Result<(), Wrong> {
    let Some(name) = path.field(position).filter(|name| !HOST.contains(name)) else {
        return Ok(());
    };
    let help = match nearest(name, HOST.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("a host has {}; free ones go into its `labels`", HOST.join(", ")),
    };
    Err((codes::UNKNOWN_NAME, format!("a host has no `{name}`"), Some(help)))
}
