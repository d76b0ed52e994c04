//! Files on this machine that the steps of a plan send or execute: part of what is reviewed.

use std::path::Path;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::id::Digest;
use crate::plan::{Plan, PlanNames, Step, UsedFile, digest};
use crate::plugin;

/// Marks an argument in the schema of an action: `true` for a path on this machine, `"first"` for a
/// list whose first item is a program, which counts if its path is relative.
const MARK: &str = "x-local-file";

/// Adds to a plan the files that its steps use, as far as they can be known by now, and the digest
/// that follows from them. Only reads.
pub fn add(plan: &mut Plan, catalog: &Catalog) {
    let mut files = Vec::new();
    let taken = plan.every_step().filter(|step| step.skip.is_none());
    for step in taken.flat_map(|step| std::iter::once(step).chain(step.undo_steps())) {
        files.extend(paths(plan, step, catalog).into_iter().map(|path| UsedFile {
            step: step.id.clone(),
            sha256: digest_of(&path),
            path,
        }));
    }
    if !files.is_empty() {
        plan.files = files;
        plan.digest = digest(plan);
    }
}

/// Files whose content is not what was planned with, each with what it was and what it is.
#[must_use]
pub fn changed(plan: &Plan) -> Vec<(&UsedFile, Option<Digest>)> {
    // What was not there is made by the run itself.
    let planned = plan.files.iter().filter(|file| file.sha256.is_some());
    planned
        .map(|file| (file, digest_of(&file.path)))
        .filter(|(file, now)| file.sha256 != *now)
        .collect()
}

fn digest_of(path: &str) -> Option<Digest> {
    let path = Path::new(path);
    // A pipe or a device would never end.
    if !path.metadata().is_ok_and(|data| data.is_file()) {
        return None;
    }
    plugin::digest(path).ok()
}

/// Paths that the arguments of a step name, as far as they do not depend on the run.
fn paths(plan: &Plan, step: &Step, catalog: &Catalog) -> Vec<String> {
    let Some(action) = step.uses.as_ref().and_then(|it| catalog.action(&it.plugin, &it.action))
    else {
        return Vec::new();
    };
    let Some(properties) = action.input.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    let names = PlanNames { plan, host: step.host.as_deref() };
    let known = || step.with.paths().is_ok_and(|paths| paths.iter().all(PlanNames::knows));
    let rendered =
        if step.with.is_known() || !known() { None } else { step.with.render(&names).ok() };
    let with = rendered.as_ref().unwrap_or_else(|| step.with.as_value());
    let mut found = Vec::new();
    for (name, schema) in properties {
        let value = match (schema.get(MARK), with.get(name)) {
            (Some(Value::Bool(true)), Some(value)) => value.as_str(),
            (Some(Value::String(first)), Some(value)) if first == "first" => {
                let program = value.get(0).and_then(Value::as_str);
                // What the system offers differs between machines; what lies here was reviewed.
                program.filter(|path| path.contains('/') && !path.starts_with('/'))
            }
            _ => None,
        };
        let Some(path) = value.filter(|path| !path.is_empty() && !path.contains("{{")) else {
            continue;
        };
        found.push(match with.get("cwd").and_then(Value::as_str) {
            Some(cwd) if !cwd.contains("{{") && schema.get(MARK) != Some(&Value::Bool(true)) => {
                Path::new(cwd).join(path).display().to_string()
            }
            _ => path.to_owned(),
        });
    }
    found
}
