//! `dr check`: every problem of every runbook.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;

use super::args::{Check, CheckFormat};
use super::exit::Exit;
use super::out::Out;
use crate::app::source::{self, Examined};
use crate::runbook::{self, Finding, Level};

pub(super) fn run(args: &Check, out: &Out) -> Exit {
    let paths = match source::runbooks(&args.paths) {
        Ok(paths) => paths,
        Err(message) => return out.refuse(&message, "check the path", Exit::Invalid),
    };
    if paths.is_empty() {
        return out.refuse(
            "there is no runbook here",
            "name a file, or a folder with YAML files that begin with `runbook:`",
            Exit::Usage,
        );
    }
    let examined: Result<Vec<_>, _> = paths.iter().map(|path| Examined::read(path)).collect();
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => return out.fail(&error, Exit::NotReady),
    };
    // The process ends with it: taking a large one apart first takes longer than showing it.
    let examined = ManuallyDrop::new(once(examined));
    let wrong = examined.iter().any(|file| {
        if args.strict { file.all_findings().next().is_some() } else { file.errors() > 0 }
    });
    match args.format {
        CheckFormat::Github => out.result(&runbook::github(&findings(&examined, args.strict))),
        CheckFormat::Sarif => {
            let found = findings(&examined, args.strict);
            let log = runbook::sarif(&found, env!("CARGO_PKG_VERSION"));
            out.result(&serde_json::to_string_pretty(&log).unwrap_or_default());
        }
        CheckFormat::Json => {
            let findings: Vec<_> = examined.iter().flat_map(Examined::all_findings).collect();
            let json = serde_json::to_string_pretty(&findings).unwrap_or_default();
            out.result(&json);
        }
        CheckFormat::Text => {
            for file in examined.iter() {
                if file.all_findings().next().is_none() {
                    let steps = file.runbook.as_ref().map_or(0, |(it, _)| it.document.steps.len());
                    let plural = if steps == 1 { "" } else { "s" };
                    out.result(&format!("{}: ok, {steps} step{plural}", file.file));
                } else {
                    show(file, out);
                }
            }
        }
    }
    if wrong { Exit::Invalid } else { Exit::Done }
}

/// Every file once: what was found in one that others include as well is told where it is named
/// itself, else by the first that includes it.
fn once(mut examined: Vec<Examined>) -> Vec<Examined> {
    let named = |file: &str| std::fs::canonicalize(file).unwrap_or_else(|_| file.into());
    let mut told: BTreeSet<_> = examined.iter().map(|file| named(&file.file)).collect();
    for file in &mut examined {
        file.parts.retain(|part| told.insert(named(&part.file)));
    }
    examined
}

/// Everything that was found. What makes the check fail is an error for whoever reads it.
fn findings(examined: &[Examined], strict: bool) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        examined.iter().flat_map(Examined::all_findings).cloned().collect();
    if strict {
        for finding in &mut found {
            finding.level = Level::Error;
        }
    }
    found
}

/// Prints what was found in a file.
pub(super) fn show(file: &Examined, out: &Out) {
    let width = out.error_screen().width.clamp(40, 120);
    for part in file.parts.iter().filter(|part| !part.findings.is_empty()) {
        out.remark(&runbook::render(&part.text, &part.findings, out.look(), width));
    }
    if !file.findings.is_empty() {
        out.remark(&runbook::render(&file.text, &file.findings, out.look(), width));
    }
}
