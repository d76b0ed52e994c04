//! Groups and loops from the command line.

use crate::dr;

const LOOP: &str = "
runbook: web
steps:
  - id: restart
    for_each: [web_1, web_2, web_3]
    max_parallel: 2
    max_failures: MOST
    in_order: true
    steps:
      - { id: stop, uses: local.command, effect: idempotent, with: { argv: [sh, -c, 'echo \"$0\" >> log', 'stop {{ item }}'] } }
      - { id: start, uses: local.command, effect: idempotent, with: { argv: [sh, -c, 'test \"$0\" != web_2 || test -e mended', '{{ item }}'] } }
  - { id: after, needs: [restart], uses: local.command, effect: idempotent, with: { argv: [echo, '{{ steps.restart.status }}'] } }
";

#[test]
fn a_loop_bears_failures_as_told() {
    let dr = dr().runbook(&LOOP.replace("MOST", "1"));
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(0);
    assert!(ended.to_string().contains("restart warned"), "{ended}");
    let shown = dr.args(["show", "last", "restart@web_2/start"]).run().code(0);
    assert!(shown.stdout.contains("exited with 1"), "{shown}");
}

#[test]
fn a_failed_loop_is_retried_by_its_name() {
    let dr = dr().runbook(&LOOP.replace("MOST", "0"));
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    std::fs::write(dr.path("mended"), "").unwrap();
    dr.args(["resume", "last", "--retry", "restart"]).run().code(0);
    let shown = dr.args(["show", "last"]).run().code(0);
    assert!(shown.stdout.contains("succeeded"), "{shown}");
}

#[test]
fn a_loop_goes_over_what_a_step_gave() {
    let dr = dr().runbook(
        "
runbook: found
steps:
  - { id: list, needs: [], uses: local.command, effect: pure, with: { argv: [printf, 'one\\ntwo\\n'] }, outputs: { names: 'lines(result.stdout)' } }
  - id: each
    needs: [list]
    for_each: steps.list.outputs.names
    uses: local.command
    effect: idempotent
    with: { argv: [echo, 'did {{ item }}'] }
    outputs: { said: 'lines(result.stdout)[0]' }
  - { id: after, needs: [each], uses: local.command, effect: idempotent, with: { argv: [echo, '{{ steps.each.items.two.outputs.said }}'] } }
",
    );
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(0);
    let shown = dr.args(["show", "last", "each@two"]).run().code(0);
    assert!(shown.to_string().contains("did two"), "{shown}");
    let shown = dr.args(["show", "last", "after"]).run().code(0);
    assert!(shown.to_string().contains("did two"), "{shown}");
    let report = dr.args(["report", "last"]).run().code(0);
    assert!(report.to_string().contains("each@one"), "{report}");
}

/// What arrives while it is being moved is moved in the next round.
pub(crate) const DRAIN: &str = "
runbook: drain
steps:
  - id: drain
    needs: []
    in_order: true
    outputs: { left: 'size(steps.list.outputs.names)' }
    repeat: { until: outputs.left == 0, every: 50ms, at_most: 5 }
    steps:
      - id: list
        uses: local.command
        effect: pure
        with: { argv: [ls, -1, queue] }
        outputs: { names: 'lines(result.stdout)' }
      - id: move
        for_each: steps.list.outputs.names
        allow_empty: true
        uses: local.command
        effect: idempotent
        with: { argv: [sh, -c, 'mv queue/$0 moved/; test $0 != one || touch queue/late', '{{ item }}'] }
  - id: tell
    needs: [drain]
    uses: local.command
    effect: idempotent
    with: { argv: [echo, 'left {{ steps.drain.outputs.left }}'] }
";

#[test]
fn a_group_is_repeated_until_a_list_is_empty() {
    let dr = dr().runbook(DRAIN);
    for folder in ["queue", "moved"] {
        std::fs::create_dir(dr.path(folder)).unwrap();
    }
    for name in ["one", "two"] {
        std::fs::write(dr.path(format!("queue/{name}")), "").unwrap();
    }
    dr.args(["check", "--strict", "runbook.yaml"]).run().code(0);
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(0);
    assert!(ended.to_string().contains("round 3"), "{ended}");
    for name in ["one", "two", "late"] {
        assert!(dr.path(format!("moved/{name}")).exists(), "{name}: {ended}");
    }
    let shown = dr.args(["show", "last", "tell"]).run().code(0);
    assert!(shown.stdout.contains("left 0"), "{shown}");
    let shown = dr.args(["show", "last"]).run().code(0);
    assert!(shown.stdout.contains("drain@2/move@late"), "{shown}");
    let report = dr.args(["report", "last"]).run().code(0);
    assert!(report.to_string().contains("drain@2/move@late"), "{report}");
}

#[test]
fn a_group_that_is_never_done_fails_at_its_limit() {
    let dr = dr().runbook(&DRAIN.replace("outputs.left == 0", "outputs.left == 9"));
    for folder in ["queue", "moved"] {
        std::fs::create_dir(dr.path(folder)).unwrap();
    }
    let ended = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    assert!(ended.to_string().contains("did not come true within 5 rounds"), "{ended}");
}

#[test]
fn what_a_repeated_group_may_not_have_is_told() {
    for (from, to, told) in [
        ("outputs.left == 0", "result.code == 0", "there is no `result`"),
        ("{{ steps.drain.outputs.left }}", "{{ steps.list.outputs.names }}", "no step `list` here"),
        ("    in_order: true", "    in_order: true\n    for_each: [a]", "means nothing here"),
        ("at_most: 5", "at_most: 0", "at least"),
    ] {
        let dr = dr().runbook(&DRAIN.replace(from, to));
        let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
        assert!(ended.stderr.contains(told), "{to}: {ended}");
    }
}

#[test]
fn who_tries_an_element_again_does_not_widen_the_window() {
    let text = r#"
runbook: window
steps:
  - id: node
    needs: []
    for_each: [one, two]
    max_parallel: 1
    in_order: true
    steps:
      - { id: down, uses: local.script, with: { env: { N: "{{ item }}" }, script: "echo down $N >> log" } }
      - { id: up, uses: local.script, with: { env: { N: "{{ item }}" }, script: "sleep 0.3; echo up $N >> log; test -e mended" } }
"#;
    let dr = dr().runbook(text);
    dr.args(["execute", "runbook.yaml", "--yes"]).run().code(5);
    std::fs::write(dr.path("mended"), "").unwrap();
    dr.args(["resume", "last", "--retry", "node@one/up"]).run().code(0);
    assert_eq!(dr.read("log"), "down one\nup one\nup one\ndown two\nup two\n");
}

#[test]
fn a_gate_inside_a_window_pauses_the_run() {
    let text = r#"
runbook: gated
steps:
  - id: node
    needs: []
    for_each: [one, two]
    max_parallel: 1
    in_order: true
    steps:
      - { id: down, uses: local.script, with: { script: "true" } }
      - { id: up, approve: { message: "up?" }, uses: local.script, with: { script: "true" } }
"#;
    let dr = dr().runbook(text);
    let paused = dr.args(["execute", "runbook.yaml", "--yes"]).run().code(7);
    assert!(paused.stdout.contains("node@one/up"), "{paused}");
}
