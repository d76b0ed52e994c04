//! `dr schema` and `dr completions`.

use std::path::Path;

use clap::{CommandFactory as _, ValueEnum as _};
use serde_json::Value;

use super::args::{Cli, Schema, SchemaName};
use super::exit::Exit;
use super::out::Out;
use crate::app::plugins;
use crate::planner::diff;
use crate::{evidence, reference, schemas};

pub(super) fn run(args: &Schema, out: &Out) -> Exit {
    let mut wanted = Vec::new();
    if let Some(folder) = &args.all {
        wanted.push((folder, all()));
    }
    if let Some(folder) = &args.reference {
        wanted.push((folder, reference()));
    }
    if wanted.is_empty() {
        out.result(&pretty(&schema(args.name)));
    }
    for (folder, files) in wanted {
        if let Err(exit) = write_all(folder, files, out) {
            return exit;
        }
    }
    Exit::Done
}

fn write_all(folder: &Path, files: Vec<(String, String)>, out: &Out) -> Result<(), Exit> {
    for (name, text) in files {
        let path = folder.join(&name);
        if let Err(error) = write(&path, &text) {
            let message = format!("cannot write {}: {error}", path.display());
            return Err(out.refuse(&message, "name a folder that can be written", Exit::NotReady));
        }
    }
    Ok(())
}

pub(super) fn completions(shell: clap_complete::Shell, out: &Out) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dr", &mut script);
    out.result(&String::from_utf8_lossy(&script));
    Exit::Done
}

/// Every page of the reference by its path below the folder.
fn reference() -> Vec<(String, String)> {
    let manifests: Vec<Value> = plugins::catalog()
        .plugins()
        .map(|manifest| serde_json::to_value(manifest).unwrap_or_default())
        .collect();
    reference::pages(&schema(SchemaName::Runbook), &manifests)
}

/// Every generated file by its path below `schemas/`.
#[must_use]
pub(super) fn all() -> Vec<(String, String)> {
    let mut files: Vec<_> = SchemaName::value_variants()
        .iter()
        .copied()
        .map(|name| (file(name).to_owned(), pretty(&schema(name))))
        .collect();
    for manifest in plugins::catalog().plugins() {
        let json = serde_json::to_value(manifest).unwrap_or_default();
        files.push((format!("plugins/{}.json", manifest.name), pretty(&json)));
    }
    files
}

fn file(name: SchemaName) -> &'static str {
    match name {
        SchemaName::Runbook => "runbook.schema.json",
        SchemaName::Plan => "plan.schema.json",
        SchemaName::Event => "event.schema.json",
        SchemaName::Evidence => "evidence.schema.json",
        SchemaName::Diff => "diff.schema.json",
        SchemaName::Plugin => "plugin.schema.json",
    }
}

fn schema(name: SchemaName) -> Value {
    match name {
        SchemaName::Runbook => schemas::runbook_schema(plugins::catalog()),
        SchemaName::Plan => schemas::plan_schema(),
        SchemaName::Event => schemas::event_schema(),
        SchemaName::Evidence => schemars::schema_for!(evidence::Evidence).to_value(),
        SchemaName::Diff => schemars::schema_for!(diff::PlanDiff).to_value(),
        SchemaName::Plugin => schemas::plugin_schema(),
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}
