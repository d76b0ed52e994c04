//! Looking before leaping: `dr plan --observe` and the preflight of `dr execute`.

use serde_json::json;

use crate::dr;

const RUNBOOK: &str = "
runbook: look
hosts: { web: { address: 127.0.0.1 } }
steps:
  - { id: fine, needs: [], uses: local.command, with: { argv: [sh, -c, touch touched] }, effect: idempotent }
  - { id: typo, needs: [], uses: local.command, with: { argv: [systemctll] }, effect: idempotent, on_failure: continue }
  - { id: start, needs: [], host: web, uses: sim.action, effect: idempotent }
  - { id: away, needs: [], uses: sim.action, with: { preview: unreachable }, effect: idempotent }
  - { id: same, needs: [], uses: sim.action, with: { preview: already_so }, effect: idempotent }
  - { id: text, needs: [start], uses: sim.action, with: { output: '{{ steps.start.status }}' }, effect: idempotent }
";

#[test]
fn what_the_targets_say_is_shown_and_nothing_is_touched() {
    let dr = dr().runbook(RUNBOOK);
    let ended = dr.args(["plan", "runbook.yaml", "--observe"]).run().code(0);
    let table = ended.stdout.split("PREFLIGHT").nth(1).unwrap();
    insta::assert_snapshot!(table);
    let json = dr.args(["plan", "runbook.yaml", "--observe", "--format", "json"]).run().json();
    let observed = &json["observed"];
    assert_eq!(observed["ready"], true);
    assert_eq!(observed["unseen"], json!(["text"]));
    let status: Vec<_> = observed["steps"].as_array().unwrap().iter().collect();
    assert_eq!(status[0]["status"], "ok");
    assert_eq!(status[1]["status"], "failed");
    assert_eq!(json["steps"].as_array().unwrap().len(), 6, "and the plan itself");
    assert!(!dr.path("touched").exists() && !dr.path(".dr").exists());
    let plain = dr.args(["plan", "runbook.yaml", "--format", "json"]).run().json();
    assert_eq!(plain["digest"], json["digest"]);
    assert!(plain.get("observed").is_none());
}

#[test]
fn unreachable_targets_never_stop_a_recovery() {
    let dr = dr().runbook(RUNBOOK);
    let ended = dr.args(["execute", "runbook.yaml"]).run().code(5);
    let ended = ended.says("unreachable").says("would fail").says("`systemctll` was not found");
    assert!(dr.path("touched").exists(), "{ended}");
    dr.args(["report"]).run().prints("Found before the start");
}

#[test]
fn a_refusal_stops_it_before_anything_is_done() {
    let runbook = RUNBOOK.replace("preview: unreachable", "preview: denied");
    let dr = dr().runbook(&runbook);
    dr.args(["plan", "runbook.yaml", "--observe"]).run().code(4).says("away refuse us");
    let ended = dr.args(["execute", "runbook.yaml"]).run().code(4);
    ended.says("denied").says("nothing was done");
    assert!(!dr.path("touched").exists());
    dr.args(["execute", "runbook.yaml", "--skip-preflight"]).run().code(5);
    assert!(dr.path("touched").exists());
}

#[test]
fn a_missing_secret_is_found_before() {
    let dr = dr().runbook(
        "
runbook: secret
secrets: { pw: [{ env: NO_SUCH_VARIABLE }] }
steps:
  - { id: one, needs: [], uses: local.command, with: { argv: [env], env: { PW: '{{ secrets.pw }}' } }, effect: pure }
",
    );
    dr.args(["plan", "runbook.yaml", "--observe"]).run().code(4).says("NO_SUCH_VARIABLE");
    let json = dr.args(["plan", "runbook.yaml", "--observe", "--format", "json"]).run().code(4);
    assert_eq!(json.json()["observed"]["missing_secrets"], json!(["pw"]));
}
