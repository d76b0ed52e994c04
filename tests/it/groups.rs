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
