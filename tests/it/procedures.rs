//! Public procedures as runbooks: what their text numbers is there, as constructs of the language,
//! and every fault has a way on.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{dr, repository};

/// A runbook, what to give it, the environments it has, and what its procedure numbers.
struct Procedure {
    file: &'static str,
    inputs: &'static [&'static str],
    environments: [&'static str; 2],
    chapter: &'static str,
    numbers: &'static [&'static str],
}

const PROCEDURES: [Procedure; 1] = [Procedure {
    file: "velero-read-only-restore.yaml",
    inputs: &["backup=nightly-20261119010000"],
    environments: ["production", "drill"],
    chapter: "R-4",
    numbers: &["1", "2", "3", "4"],
}];

/// What a shipped runbook must be given.
pub(crate) fn inputs_of(file: &str) -> Vec<&'static str> {
    let inputs = PROCEDURES.iter().find(|it| it.file == file).map_or(&[][..], |it| it.inputs);
    inputs.iter().flat_map(|input| ["--input", input]).collect()
}

fn holds(file: &str) {
    let procedure = PROCEDURES.iter().find(|it| it.file == file).unwrap();
    let dr = dr().copy(repository(&format!("runbooks/{file}")));
    dr.args(["check", "--strict", file]).run().code(0);
    for environment in procedure.environments {
        let args = ["plan", file, "--history", "none", "--format", "json", "--env", environment];
        let planned = dr.args(args.into_iter().chain(inputs_of(file))).run().code(0);
        let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
        assert_eq!(plan["environment"], environment);
    }
    let text = std::fs::read_to_string(repository(&format!("runbooks/{file}"))).unwrap();
    let sources = sources(&dr, procedure);
    let named: BTreeSet<&str> = sources.iter().map(String::as_str).collect();
    let wanted: BTreeSet<String> =
        procedure.numbers.iter().map(|number| format!("{}.{number}", procedure.chapter)).collect();
    let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    assert_eq!(named, wanted, "{file}: every numbered step, and no other, is a construct");
    assert_eq!(hidden(&text), Vec::<String>::new(), "{file} hides logic in a shell");
    let args = ["rehearse", file, "--faults"];
    let rehearsed = dr.args(args.into_iter().chain(inputs_of(file))).run().code(0);
    assert!(rehearsed.stdout.contains("there is a defined way on"), "{rehearsed}");
}

/// Every source that a step of the plan names, whatever its phase.
fn sources(dr: &dr_testkit::Dr, procedure: &Procedure) -> Vec<String> {
    let args = ["plan", procedure.file, "--history", "none", "--format", "json"];
    let planned = dr.args(args.into_iter().chain(inputs_of(procedure.file))).run().code(0);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap().iter();
    let sources = steps.filter_map(|step| step["source"].as_array()).flatten();
    sources.map(|source| source.as_str().unwrap().to_owned()).collect()
}

/// Lines that start a shell, loop, wait or sort within a command.
fn hidden(runbook: &str) -> Vec<String> {
    let shell = ["script:", "sh, -c", "bash", "while ", "until [", "sleep,", "| sort", "$("];
    let lines = runbook.lines().filter(|line| !line.trim_start().starts_with('#'));
    let lines = lines.filter(|line| shell.iter().any(|word| line.contains(word)));
    lines.map(str::to_owned).collect()
}

#[test]
fn velero_read_only_restore() {
    holds("velero-read-only-restore.yaml");
}

/// Its three outcomes, and that the backups are writable again after each.
#[test]
fn velero_ends_in_three_ways() {
    let dr = dr().copy(repository("runbooks/velero-read-only-restore.yaml"));
    let base = ["rehearse", "velero-read-only-restore.yaml", "--input", "backup=a-20261119010000"];
    let partly = ["--set", "finished.phase=PartiallyFailed", "--set", "finished.errors=3"];
    let partly = dr.args(base.into_iter().chain(partly)).run().code(0);
    partly.prints("Restored in part, with 3 errors").prints("set_read_write: succeeded");
    let failed = r#"finished.result={exit_code: 0, stdout: '{"status": {"phase": "Failed"}}'}"#;
    let failed = dr.args(base.into_iter().chain(["--set", failed])).run().code(5);
    failed.prints("could not restore").prints("set_read_write: succeeded");
}

#[test]
fn a_source_is_shown_and_changes_nothing_that_is_done() {
    let runbook = "runbook: r
steps:
  - { id: a, source: [OPS-2.10, \"OPS-2.9 <i>\"], needs: [], uses: sim.action, effect: idempotent, with: {} }
  - { id: b, source: [OPS-2.9 <i>], needs: [a], expect: ['true'] }
";
    let dr = dr().runbook(runbook);
    let digest = |dr: &dr_testkit::Dr| {
        let planned = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0);
        serde_json::from_str::<Value>(&planned.stdout).unwrap()["digest"].clone()
    };
    let with = digest(&dr);
    dr.args(["plan", "runbook.yaml", "--format", "markdown"])
        .run()
        .code(0)
        .prints("## By the procedure\n\n- OPS-2.9 &lt;i&gt;: a, b\n- OPS-2.10: a\n");
    dr.args(["execute", "runbook.yaml"]).run().code(0);
    dr.args(["show", "last", "a"]).run().code(0).prints("source       OPS-2.10, OPS-2.9 <i>");
    dr.args(["report", "last", "--format", "markdown"])
        .run()
        .code(0)
        .prints("| OPS-2.9 &lt;i&gt; | a: succeeded; b: succeeded |")
        .prints("| OPS-2.10 | a: succeeded |");
    let page = dr.args(["report", "last", "--format", "html"]).run().code(0);
    page.prints("<td>OPS-2.9 &lt;i&gt;</td><td><code>a</code> succeeded, <code>b</code> succeeded");
    let bare = runbook.replace("source: [OPS-2.10, \"OPS-2.9 <i>\"], ", "");
    assert_eq!(digest(&dr.runbook(&bare)), with);
}
