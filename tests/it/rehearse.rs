//! `dr rehearse`: whole runbooks on simulated time, and what faults find.

use crate::{dr, repository};

#[test]
fn the_quickstart_runs_through_and_every_fault_has_a_way_on() {
    let dr = dr().copy(repository("runbooks/quickstart.yaml"));
    insta::assert_snapshot!(dr.args(["rehearse", "quickstart.yaml", "--faults"]).run().code(0));
    assert!(!dr.path(".dr").exists(), "a rehearsal leaves nothing behind");
}

#[test]
fn the_failover_has_a_way_on_after_every_fault() {
    let dr = dr().copy(repository("runbooks/postgres-failover.yaml"));
    let args = ["rehearse", "postgres-failover.yaml", "--faults"];
    for inputs in [&[][..], &["--input", "ask=false"][..]] {
        let args = args.into_iter().chain(inputs.iter().copied());
        dr.args(args).run().code(0).prints("after each of them there is a defined way on");
    }
}

const LAG: &str = "runbook: lag
inputs: { max_lag: { type: duration, default: 30s } }
services: { shop: { rto: 10m } }
hosts: { db: { address: db1 } }
steps:
  - id: lag
    needs: []
    service: shop
    uses: local.command
    effect: pure
    with: { argv: [lag] }
    outputs: { lag: \"duration(extract(result.stdout, 'behind by (.+)'))\" }
  - { id: guard, needs: [lag], service: shop, expect: ['steps.lag.outputs.lag < inputs.max_lag'] }
  - id: promote
    needs: [guard]
    service: shop
    uses: ssh.command
    host: db
    with: { argv: [promote] }
    timeout: 5m
    estimate: 1m
    approve: { message: 'Promote?', approvers: 2, timeout: 30m }
  - id: writable
    needs: [promote]
    service: shop
    uses: local.command
    effect: pure
    with: { argv: [state] }
    estimate: 20s
    repeat: { until: \"json(result.stdout).state == 'primary'\", every: 2s, timeout: 5m, stable: 2 }
  - id: rows
    needs: [writable]
    service: shop
    phase: validate
    uses: postgres.query
    with: { sql: 'select' }
    expect: ['result.rows.all(r, r.ok == true)', 'size(result.rows) >= 2']
";

#[test]
fn hours_pass_in_milliseconds() {
    let dr = dr().runbook(LAG);
    insta::assert_snapshot!(dr.args(["rehearse", "runbook.yaml"]).run().code(0));
}

/// The estimate of what is read until it is so is that of all readings; the limit is that of each.
#[test]
fn readings_may_last_longer_than_the_limit_of_one() {
    let dr = dr().runbook(
        "runbook: restore
steps:
  - id: finished
    needs: []
    uses: local.command
    effect: pure
    timeout: 1m
    estimate: 40m
    with: { argv: [restore, status], exit_codes: [0, 1] }
    repeat: { until: \"result.exit_code == 0 && json(result.stdout).status.phase in ['Completed', 'Failed']\", every: 10s, timeout: 80m }
    outputs: { phase: json(result.stdout).status.phase }
    expect: [\"outputs.phase == 'Completed'\"]
",
    );
    dr.args(["rehearse", "runbook.yaml"]).run().code(0).prints("finished: succeeded in 40m");
    let failed = r#"finished.result={exit_code: 0, stdout: '{"status": {"phase": "Failed"}}'}"#;
    dr.args(["rehearse", "runbook.yaml", "--set", failed])
        .run()
        .code(5)
        .prints("finished: failed in 1.0s");
}

/// What must fail does, and a number may have to be the sum of others.
#[test]
fn what_is_wanted_is_made_up() {
    let dr = dr().runbook(
        "runbook: wanted
values: { bump: 1000 }
steps:
  - { id: refused, needs: [], uses: local.command, effect: pure, with: { argv: [nc] }, expect_error: \"error.class == 'permanent' && error.code in ['exit_7', 'exit_28']\" }
  - { id: before, needs: [refused], uses: local.command, effect: pure, with: { argv: [cat] }, outputs: { number: int(result.stdout) } }
  - { id: after, needs: [before], uses: local.command, effect: pure, with: { argv: [cat] }, expect: ['int(result.stdout) >= steps.before.outputs.number + values.bump', 'int(result.stdout) != 0'] }
",
    );
    dr.args(["rehearse", "runbook.yaml", "--faults"]).run().code(0);
    let succeeds = ["rehearse", "runbook.yaml", "--set", "refused.result={exit_code: 0}"];
    dr.args(succeeds).run().code(5).prints("it must fail");
}

#[test]
fn what_steps_give_can_be_said() {
    let dr = dr().runbook(LAG);
    let late = dr.args(["rehearse", "runbook.yaml", "--set", "lag.lag=5m"]).run();
    insta::assert_snapshot!("a_guard_that_does_not_hold", late.code(5));
    dr.args(["rehearse", "runbook.yaml", "--set", "lag.lag=20s"]).run().code(0);
    let result = "lag.result={stdout: behind by 1h}";
    dr.args(["rehearse", "runbook.yaml", "--set", result]).run().code(5).prints("guard: failed");
    dr.args(["rehearse", "runbook.yaml", "--set", "lag.lagg=1"])
        .run()
        .code(2)
        .says("did you mean `lag`?");
    dr.args(["rehearse", "runbook.yaml", "--set", "promot.x=1"])
        .run()
        .code(2)
        .says("did you mean `promote`?");
}

#[test]
fn a_script_lets_steps_fail_and_people_wait() {
    let script = "people: 2m
steps:
  lag: { outputs: { lag: 10s } }
  promote: { takes: 4m, people: 3m, fails: { how: unknown_done } }
  writable: { fails: { how: transient, times: 3 } }
";
    let dr = dr().runbook(LAG).file("script.yaml", script);
    let args = ["rehearse", "runbook.yaml", "--script", "script.yaml"];
    insta::assert_snapshot!("scripted", dr.args(args).run().code(0));
    let slow = dr.file("script.yaml", "steps: { promote: { takes: 20m } }\n");
    insta::assert_snapshot!("a_step_that_runs_out_of_time", slow.args(args).run());
    let silent = slow.file("script.yaml", "steps: { promote: { gate: silence } }\n");
    silent.args(args).run().code(5).prints("rejected by itself");
    let wrong = silent.file("script.yaml", "steps: { promote: { gat: silence } }\n");
    insta::assert_snapshot!("a_script_that_is_wrong", wrong.args(args).run().code(2));
}

#[test]
fn a_result_that_cannot_be_made_up_is_asked_for() {
    let dr = dr().runbook(
        "runbook: secretive
steps:
  - id: look
    needs: []
    uses: local.command
    effect: pure
    with: { argv: [look] }
    outputs: { word: 'lines(result.stdout)[0]' }
    expect: [\"outputs.word.contains('a') && outputs.word.contains('zebra') && size(outputs.word) == 17\"]
",
    );
    insta::assert_snapshot!(dr.args(["rehearse", "runbook.yaml"]).run().code(5));
    dr.args(["rehearse", "runbook.yaml", "--set", "look.word=an average zebra"]).run().code(5);
    dr.args(["rehearse", "runbook.yaml", "--set", "look.word=an average zebra."]).run().code(0);
}

/// Runbooks that are allowed and leave somebody on call without a way on: one of each kind.
const UNKNOWN: &str = "runbook: unknown
steps:
  - { id: create, needs: [], uses: sim.action, effect: once, timeout: 1m, with: { result: vm-1 } }
";
const NO_WAY_FORWARD: &str = "runbook: forward
steps:
  - { id: promote, needs: [], point_of_no_return: true, approve: { message: 'Promote?' }, uses: sim.action, effect: idempotent, timeout: 1m, with: {} }
  - { id: repoint, needs: [promote], uses: sim.action, effect: idempotent, timeout: 1m, with: {} }
";
const NEVER_CLOSED: &str = "runbook: open
steps:
  - { id: mute, needs: [], phase: failover, uses: sim.action, effect: idempotent, timeout: 1m, with: {} }
  - { id: work, needs: [mute], phase: failover, uses: sim.action, effect: idempotent, timeout: 1m, with: {} }
  - { id: unmute, closes: mute, after: [work], when: 'run.mode == \"drill\"', uses: sim.action, effect: idempotent, timeout: 1m, with: {} }
";
const NO_COMMAND: &str = "runbook: endless
steps:
  - id: wait
    needs: []
    uses: sim.probe
    with: { result: 1 }
    repeat: { until: 'result == 1', every: 1s, tolerate: 'true' }
";

#[test]
fn what_has_no_defined_way_on_is_reported() {
    for (name, text) in [
        ("undefined_unknown_outcome", UNKNOWN),
        ("undefined_no_way_forward", NO_WAY_FORWARD),
        ("undefined_never_closed", NEVER_CLOSED),
        ("undefined_no_command", NO_COMMAND),
    ] {
        let dr = dr().runbook(text);
        dr.args(["rehearse", "runbook.yaml"]).run().code(0);
        let found = dr.args(["rehearse", "runbook.yaml", "--faults"]).run();
        insta::assert_snapshot!(name, found.code(3));
    }
}

#[test]
fn what_goes_back_and_what_is_closed_is_rehearsed() {
    let page = std::fs::read_to_string(repository("docs/guide/going-back.md")).unwrap();
    let text = page.split("```yaml\n").nth(1).unwrap().split_once("```").unwrap().0;
    let dr = dr().runbook(text).file("fails.yaml", "steps: { switch: { fails: {} } }\n");
    dr.args(["rehearse", "runbook.yaml", "--faults"]).run().code(0);
    let back = dr.args(["rehearse", "runbook.yaml", "--script", "fails.yaml"]).run();
    insta::assert_snapshot!("going_back", back.code(5));
}

#[test]
fn what_is_said_about_unknown_outcomes_is_a_way_on() {
    for said in [
        "on_unknown: ask",
        "on_unknown: retry",
        "effect: idempotent",
        "check: { uses: sim.probe, with: { result: true }, done: 'result' }",
    ] {
        let text = UNKNOWN.replace("timeout: 1m", &format!("timeout: 1m, {said}"));
        let text =
            if said.starts_with("effect") { text.replace("effect: once, ", "") } else { text };
        let dr = dr().runbook(&text);
        dr.args(["rehearse", "runbook.yaml", "--faults"]).run().code(0);
    }
}

#[test]
fn the_example_of_the_guide_does_what_it_says() {
    let page = std::fs::read_to_string(repository("docs/guide/rehearsals.md")).unwrap();
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .collect();
    let dr = dr().file("move.yaml", blocks[0]).file("bad-day.yaml", blocks[1]);
    dr.args(["rehearse", "move.yaml"]).run().code(0);
    dr.args(["rehearse", "move.yaml", "--faults"]).run().code(0);
    dr.args(["rehearse", "move.yaml", "--set", "lag.behind=10m"]).run().code(5);
    dr.args(["rehearse", "move.yaml", "--script", "bad-day.yaml"]).run().code(0);
}

#[test]
fn rounds_and_elements_of_the_run_are_rehearsed() {
    let reads = "effect: idempotent\n        outputs: { said: 'lines(result.stdout)[0]' }\n        with: { argv: [sh";
    let book = crate::groups::DRAIN.replace("effect: idempotent\n        with: { argv: [sh", reads);
    assert!(book.contains("said"), "an output of an element is read as well");
    let dr = dr().runbook(&book);
    // Unscripted, the first round finds nothing to do.
    let told = dr.args(["rehearse", "runbook.yaml"]).run().code(0).to_string();
    assert!(told.contains("drain: round 1") && !told.contains("round 2"), "{told}");
    let first = r#"drain@1/list.result={"stdout":"one\ntwo\n"}"#;
    let told = dr.args(["rehearse", "runbook.yaml", "--set", first]).run().code(0).to_string();
    assert!(told.contains("drain@1/move@two"), "{told}");
    assert!(told.contains("drain: round 2") && !told.contains("round 3"), "{told}");
    let all = r#"drain/list.names=["one"]"#;
    let told = dr.args(["rehearse", "runbook.yaml", "--set", all]).run().code(5).to_string();
    assert!(told.contains("did not come true within 5 rounds"), "{told}");
    let told =
        dr.args(["rehearse", "runbook.yaml", "--set", "drain@2/list.names=[]"]).run().code(2);
    assert!(told.to_string().contains("has no outputs yet"), "{told}");
    let told = dr.args(["rehearse", "runbook.yaml", "--faults", "--set", first]).run();
    let told = told.code(0).to_string();
    assert!(told.contains("at 5 steps: after each of them there is a defined way on"), "{told}");
}
