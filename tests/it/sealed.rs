//! Sealed plans: what was reviewed is what is executed, once.

use serde_json::{Value, json};

use crate::dr;

const RUNBOOK: &str = "
runbook: shop
inputs:
  loss: { type: duration, default: 5m }
environments: { production: { default: true }, drill: {} }
steps:
  - { id: one, needs: [], uses: local.command, with: { argv: [./one.sh] }, effect: idempotent }
  - { id: two, needs: [one], uses: sim.action, effect: idempotent }
";

fn folder() -> dr_testkit::Dr {
    use std::os::unix::fs::PermissionsExt as _;
    let dr = dr().runbook(RUNBOOK).file("one.sh", "#!/bin/sh\necho one\n");
    let script = dr.path("one.sh");
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
    dr
}

fn sealed() -> dr_testkit::Dr {
    let dr = folder();
    dr.args(["plan", "runbook.yaml", "-o", "plan.json"]).run().code(0).says("dr execute plan.json");
    dr
}

fn edit(dr: &dr_testkit::Dr, pointer: &str, value: Value) {
    let mut plan: Value = serde_json::from_str(&dr.read("plan.json")).unwrap();
    *plan.pointer_mut(pointer).unwrap() = value;
    std::fs::write(dr.path("plan.json"), plan.to_string()).unwrap();
}

#[test]
fn a_sealed_plan_is_carried_out_once() {
    let dr = sealed();
    let plan: Value = serde_json::from_str(&dr.read("plan.json")).unwrap();
    assert_eq!(plan["seal"]["sources"][0]["path"], "runbook.yaml");
    assert_eq!(plan["files"][0]["path"], "./one.sh");
    let ended = dr.args(["execute", "plan.json", "--format", "json"]).run().code(0);
    assert_eq!(ended.events()[0]["seal"], json!({ "id": plan["seal"]["id"] }));
    assert_eq!(ended.events()[0]["plan_digest"], plan["digest"]);
    let run = dr.last_run();
    assert!(run.join("runbook/runbook.yaml").exists());
    let kept: Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("plan.json")).unwrap()).unwrap();
    assert_eq!(kept, plan);

    let again = dr.args(["execute", "plan.json"]).run().code(2);
    let again = again.says("DR2205").says("was executed before");
    assert!(again.stderr.contains(run.file_name().unwrap().to_str().unwrap()), "{again}");
    let again = ["execute", "plan.json", "--again", "the weekly drill", "--format", "json"];
    let again = dr.args(again).run().code(0).events();
    // Runs of one second are in no order: `last` might be the other.
    let report = dr.args(["report", again[0]["run"].as_str().unwrap()]).run().code(0);
    report.prints("executed again: the weekly drill").prints("executed the sealed plan once more");
    // The same plan, sealed again, is another one.
    dr.args(["plan", "runbook.yaml", "-o", "plan.json"]).run().code(0);
    dr.args(["execute", "plan.json"]).run().code(0);
}

#[test]
fn it_is_executed_exactly_as_it_was_sealed() {
    let dr = sealed();
    for (options, says) in [
        (&["--env", "drill"][..], "environment `production`, not `drill`"),
        (&["--mode", "drill"], "sealed as live, not drill"),
        (&["--style", "ungraceful"], "sealed as graceful, not ungraceful"),
        (&["--input", "loss=6m"], "input `loss`"),
        (&["--input", "lost=6m"], "no input `lost`"),
        (&["--phase", "failback"], "phases"),
        (&["--parallelism", "3"], "parallelism"),
        (&["--skip", "three"], "no step `three`"),
    ] {
        dr.args(["execute", "plan.json"].iter().chain(options)).run().code(2).says(says);
    }
    assert!(!dr.path(".dr/seals").exists(), "nothing was started");
    let same = ["--env", "production", "--mode", "live", "--input", "loss=300s"];
    dr.args(["execute", "plan.json", "--skip", "two", "--reason", "not today"].iter().chain(&same))
        .run()
        .code(0);
    dr.args(["report"]).run().prints("not today");
    dr.args(["execute", "runbook.yaml", "--again", "x"]).run().code(2).says("sealed plans");
}

#[test]
fn what_was_changed_is_refused() {
    for (pointer, value) in [
        ("/steps/1/with", json!({ "delay": "1s" })),
        ("/environment", json!("drill")),
        ("/steps/0/effect", json!("pure")),
        ("/digest", json!("sha256:00")),
    ] {
        let dr = sealed();
        edit(&dr, pointer, value);
        dr.args(["execute", "plan.json"]).run().code(3).says("DR2202");
        dr.args(["plan", "plan.json"]).run().code(3).says("DR2202");
        assert!(!dr.path(".dr/runs").exists());
    }
    // What says nothing about what would be done may change.
    let dr = sealed();
    edit(&dr, "/steps/1/estimate_ms", json!(7));
    dr.args(["execute", "plan.json"]).run().code(0);

    let dr = folder();
    let plan = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0);
    std::fs::write(dr.path("plan.json"), plan.stdout).unwrap();
    dr.args(["execute", "plan.json"]).run().code(3).says("DR2203");
    std::fs::write(dr.path("cut.json"), &sealed().read("plan.json")[..900]).unwrap();
    dr.args(["execute", "cut.json"]).run().code(3).says("DR2201");
}

#[test]
fn what_it_was_made_from_is_compared() {
    let dr = sealed();
    std::fs::write(dr.path("runbook.yaml"), "runbook: other\nsteps: []\n").unwrap();
    let ended = dr.args(["execute", "plan.json"]).run().code(0);
    ended.says("./runbook.yaml has changed since the plan was sealed");
    assert!(!dr.last_run().join("runbook/runbook.yaml").exists());

    let dr = sealed();
    std::fs::write(dr.path("one.sh"), "#!/bin/sh\nrm -rf /\n").unwrap();
    dr.args(["execute", "plan.json"]).run().code(4).says("DR2206").says("step `one`");

    let dr = sealed();
    edit(&dr, "/plugins/sim/manifest", json!("sha256:0"));
    dr.args(["execute", "plan.json"]).run().code(3).says("DR2202");

    let dr = folder();
    dr.args(["plan", "runbook.yaml", "-o", "plan.json", "--expires", "24h"]).run().code(0);
    edit(&dr, "/seal/expires", json!("2020-01-01T00:00:00Z"));
    dr.args(["execute", "plan.json"]).run().code(3).says("DR2204").says("2020-01-01");
}

#[test]
fn a_sealed_plan_is_shown_as_it_is() {
    let dr = folder();
    let ended = dr.args(["plan", "runbook.yaml", "--expires", "24h"]).run().code(2);
    ended.says("--out");
    dr.args(["plan", "runbook.yaml", "-o", "x/plan.json"]).run().code(4).says("DR2207");
    dr.args(["plan", "runbook.yaml", "-o", "p.json", "--expires", "soon"]).run().code(2);
    dr.args(["plan", "runbook.yaml", "-o", "plans.d", "--expires", "24h"]).run().code(0);
    let shown = dr.args(["plan", "plans.d"]).run().code(0);
    shown.prints("sealed ").prints(", expires ");
    dr.args(["plan", "plans.d", "-o", "other.json"]).run().code(2).says("sealed already");
}

#[test]
fn only_a_sealed_plan_is_written_over() {
    let dr = folder().file("notes.txt", "mine").file("empty", "");
    let plan = |file: &str| dr.args(["plan", "runbook.yaml", "-o", file]).run();
    for file in ["runbook.yaml", "one.sh", "notes.txt", "/dev/null", "."] {
        plan(file).code(2).says("no sealed plan").says("-o plan.json");
    }
    assert_eq!(dr.read("runbook.yaml"), RUNBOOK);
    assert_eq!(dr.read("notes.txt"), "mine");
    let shown = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().code(0);
    std::fs::write(dr.path("shown.json"), &shown.stdout).unwrap();
    plan("shown.json").code(2).says("no sealed plan");
    plan("empty").code(0);
    plan("plan.json").code(0);
    plan("plan.json").code(0);
}

#[test]
fn a_seal_lasts_for_a_while() {
    let dr = folder();
    for lasts in ["0s", "0m", "soon"] {
        let ended = dr.args(["plan", "runbook.yaml", "-o", "plan.json", "--expires", lasts]).run();
        ended.code(2).says("--expires");
    }
    assert!(!dr.path("plan.json").exists());
}
