//! `dr verify`: whether the evidence of a run holds.

use std::fmt::Write as _;
use std::path::Path;

use super::args::{ListFormat, Verify};
use super::exit::Exit;
use super::out::Out;
use crate::app::state::StateDir;
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
    out.fail(&Unverified(found.run), Exit::Unverified)
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
