//! What was done is taken back, what was opened is closed, and people decide where they must.

use std::fs;

use crate::{dr, repository};
use dr_testkit::Dr;

/// The runbook of the guide.
fn guide() -> String {
    let page = fs::read_to_string(repository("docs/guide/going-back.md")).unwrap();
    let rest = page.split_once("```yaml\n").unwrap().1;
    rest.split_once("```").unwrap().0.to_owned()
}

fn log(dr: &Dr) -> String {
    dr.read("log").lines().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_guide_goes_back_and_begins_anew() {
    let dr = dr().runbook(&guide()).file("broken", "");
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert!(ended.stdout.contains("unwound"), "{ended}");
    assert_eq!(log(&dr), "mute drain fill pool-7 unmute");
    dr.args(["show", "last", "drain!undo"]).run().code(0);
    // Nothing is done before somebody decides.
    dr.args(["resume", "last"]).run().code(5);
    assert_eq!(log(&dr), "mute drain fill pool-7 unmute");
    fs::remove_file(dr.path("broken")).unwrap();
    dr.args(["resume", "last", "--retry", "switch"]).run().code(0);
    assert_eq!(log(&dr), "mute drain fill pool-7 unmute mute drain switch unmute");
}

#[test]
fn going_back_past_a_point_of_no_return_is_a_decision() {
    for (undo, after) in [(true, "mute drain fill pool-7 unmute"), (false, "mute drain unmute")] {
        let text = guide().replace("    undo:\n", "    point_of_no_return: true\n    undo:\n");
        let dr = dr().runbook(&text).file("broken", "");
        let asked = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(7);
        assert!(asked.stdout.contains("point of no return (drain)"), "{asked}");
        assert_eq!(log(&dr), "mute drain");
        let mut cancel = vec!["cancel", "last", "--reason", "I looked"];
        cancel.extend(undo.then_some("--undo"));
        dr.args(cancel).run().code(0);
        let ended = dr.args(["resume", "last"]).run().code(5);
        assert!(ended.stdout.contains(if undo { "unwound" } else { "failed" }), "{ended}");
        assert_eq!(log(&dr), after);
    }
}

#[test]
fn a_paused_run_says_what_it_holds_open() {
    let text = guide().replace("echo drain >> log;", "echo drain >> log; sleep 1;");
    let dr = dr().runbook(&text);
    let run = dr.args(["execute", "runbook.yaml", "--yes", "--format", "json"]).spawn();
    run.event(|event| event["type"] == "attempt_started" && event["step"] == "drain");
    dr.args(["pause", "last", "--reason", "the network is being looked at"]).run().code(0);
    run.finish().code(7);
    assert_eq!(log(&dr), "mute drain");
    let shown = dr.args(["show", "last"]).run().code(0);
    shown.prints("mute_alerts stays open").prints("dr resume");
    dr.args(["pause", "last"]).run().code(2);
    dr.args(["resume", "last"]).run().code(0);
    assert_eq!(log(&dr), "mute drain switch unmute");
}

#[test]
fn an_undo_that_fails_leaves_the_run_stuck_until_somebody_helps() {
    let text = guide().replace("echo \\\"fill", "test ! -e jammed && echo \\\"fill");
    let dr = dr().runbook(&text).file("broken", "").file("jammed", "");
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert!(ended.stdout.contains("stuck"), "{ended}");
    assert!(ended.stdout.contains("--retry 'drain!undo'"), "{ended}");
    fs::remove_file(dr.path("jammed")).unwrap();
    let ended = dr.args(["resume", "last", "--retry", "drain!undo"]).run().code(5);
    assert!(ended.stdout.contains("unwound"), "{ended}");
    assert_eq!(log(&dr), "mute drain unmute fill pool-7");
}

/// The example of several steps that take one back.
fn several() -> String {
    let page = fs::read_to_string(repository("docs/guide/going-back.md")).unwrap();
    page.split("```yaml run=5\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn several_steps_that_take_one_back_are_tried_again_where_they_failed() {
    let text = several().replace("echo attach $0", "test ! -e broken && echo attach $0");
    let dr = dr().runbook(&text.replace("attempts: 3", "attempts: 1")).file("broken", "");
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert!(ended.stdout.contains("move_volume!undo/attach failed"), "{ended}");
    assert_eq!(dr.read("log"), "moved\nunmount volume-3\n");
    let shown = dr.args(["show", "last", "move_volume!undo/attach"]).run().code(0);
    assert!(shown.stdout.contains("takes back   move_volume"), "{shown}");
    dr.args(["logs", "last", "move_volume!undo/unmount"]).run().code(0);
    fs::remove_file(dr.path("broken")).unwrap();
    dr.args(["resume", "last", "--retry", "move_volume!undo"]).run().code(5);
    assert_eq!(dr.read("log"), "moved\nunmount volume-3\nattach /dev/old\n");
    dr.args(["verify", "last"]).run().code(0);
    let report = dr.args(["report", "last", "--format", "markdown"]).run().code(0);
    assert!(report.stdout.contains("| move_volume!undo/attached |"), "{report}");
}

/// What was done halfway before a command failed.
const HALF: &str = r#"
runbook: half
steps:
  - id: c
    needs: []
    uses: local.script
    on_failure: undo
    with: { script: "echo half >> log; exit 1" }
    undo: { uses: local.script, effect: idempotent, with: { script: "echo back >> log" } }
"#;

#[test]
fn a_command_that_failed_is_taken_back() {
    let dr = dr().runbook(HALF);
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert_eq!(log(&dr), "half back");

    let dr = self::dr().runbook(&HALF.replace("on_failure: undo", "on_failure: ask"));
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(7);
    dr.args(["cancel", "last", "--undo", "--reason", "I looked"]).run().code(0);
    dr.args(["resume", "last"]).run().code(5);
    assert_eq!(log(&dr), "half back");
}

#[test]
fn what_is_open_stays_so_while_anything_in_between_runs() {
    let text = r#"
runbook: between
steps:
  - { id: lock, needs: [], uses: local.script, with: { script: "echo lock >> log" } }
  - { id: copy, needs: [lock], uses: local.script, with: { script: "sleep 1; echo copied >> log" } }
  - { id: probe, needs: [lock], uses: local.script, with: { script: "exit 1" } }
  - { id: switch, needs: [copy, probe], uses: local.script, with: { script: "true" } }
  - id: unlock
    closes: lock
    after: [switch]
    uses: local.script
    effect: idempotent
    with: { script: "echo unlock >> log" }
"#;
    let dr = dr().runbook(text);
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert_eq!(log(&dr), "lock copied unlock");
}
