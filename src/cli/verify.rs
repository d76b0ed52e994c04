//! `dr verify`: whether the evidence of a run holds.

use std::fmt::Write as _;
use std::path::Path;

use super::args::{ListFormat, Verify};
use super::exit::Exit;
use super::out::Out;
use crate::app::state::{StateDir, spoken};
use crate::app::verify::{Verification, verify};
use crate::journal::RunDir;

/// The evidence of a run does not hold.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the evidence of run {0} does not verify")]
#[diagnostic(
    code(DR4002),
    help("compare the folder with a copy, and the head with one that was kept elsewhere")
)]
struct Unverified(String);

/// The evidence of a run was never whole.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error(
    "the evidence of run {run} is not complete: {lacks} could not be written when its session ended"
)]
#[diagnostic(code(DR4003), help("{help}"))]
struct Incomplete {
    run: String,
    lacks: String,
    help: String,
}

pub(super) fn run(args: &Verify, state_dir: Option<&Path>, out: &Out) -> Exit {
    let path = Path::new(&args.run);
    let dir = if path.join("journal.jsonl").exists() || path.join("SHA256SUMS").exists() {
        // As it really is, so that `.` has a name.
        RunDir::new(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    } else {
        match StateDir::resolve(state_dir, Path::new(".")).find(&args.run) {
            Ok(dir) => dir,
            Err(error) => return out.fail(&error, Exit::Usage),
        }
    };
    let found = verify(&dir);
    match args.format {
        ListFormat::Json => out.result(&serde_json::to_string_pretty(&found).unwrap_or_default()),
        ListFormat::Text => out.result(&shown(&found)),
    }
    if found.verifies {
        return Exit::Done;
    }
    // Without sums nothing but plan and journal is vouched for, and these hold.
    if !found.lacks.contains(&"SHA256SUMS") {
        return out.fail(&Unverified(found.run), Exit::Unverified);
    }
    let incomplete =
        Incomplete { lacks: found.lacks.join(", "), help: completing(&dir), run: found.run };
    out.fail(&incomplete, Exit::Unverified)
}

/// What completes the evidence of a run: a copy of its folder is no run.
fn completing(dir: &RunDir) -> String {
    let is_run = dir.path().parent().and_then(Path::file_name).is_some_and(|name| name == "runs");
    if is_run {
        format!("`dr report {}` writes what is missing from plan and journal", spoken(dir))
    } else {
        "`dr report RUN` where the run was made writes what is missing; then copy its folder again"
            .to_owned()
    }
}

fn shown(found: &Verification) -> String {
    let mut text = format!("run {}\n", found.run);
    for check in &found.checks {
        let sign = if check.problems.is_empty() { '✓' } else { '✗' };
        let _ = writeln!(text, "  {sign} {}", check.what);
        for problem in &check.problems {
            let _ = writeln!(text, "      {}", crate::markup::clean_line(problem));
        }
    }
    if !found.head.is_empty() {
        let _ = writeln!(text, "  {} records, head {}", found.records, found.head);
    }
    for name in &found.unlisted {
        let name = crate::markup::clean_line(name);
        let _ = writeln!(text, "  note: {name} is no part of the evidence");
    }
    text
}
