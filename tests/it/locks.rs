//! Locks of runbooks and loops, from the command line.

use std::fs;

use crate::dr;

#[test]
fn runs_that_name_the_same_lock_exclude_each_other() {
    let dr = dr();
    let book = |name: &str, argv: &str| {
        let text = format!(
            "runbook: {name}\nlocks: [dns]\nsteps:\n  - {{ id: only, uses: local.command, effect: idempotent, \
             with: {{ argv: [sh, -c, '{argv}'] }} }}\n"
        );
        fs::write(dr.path(format!("{name}.yaml")), text).unwrap();
    };
    book("one", "touch started; until test -e go; do sleep 0.02; done");
    book("two", "true");
    keeps_away(&dr, "one.yaml", "two.yaml");
}

/// A run of `holder` waits until it may go on, and as long a run of `other` is refused.
fn keeps_away(dr: &dr_testkit::Dr, holder: &str, other: &str) {
    let running = dr.args(["execute", holder, "--yes"]).spawn();
    while !dr.path("started").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = dr.args(["execute", other, "--yes"]).run().code(9);
    assert!(ended.stderr.contains("`dns` is locked by run"), "{ended}");
    fs::write(dr.path("go"), "").unwrap();
    running.finish().code(0);
    dr.args(["execute", other, "--yes"]).run().code(0);
}

const LOOP: &str = "
runbook: loop
parallelism: 4
steps:
  - id: each
    for_each: FROM
    locks: [dns]
    in_order: true
    steps:
      - { id: enter, uses: local.command, effect: idempotent, with: { argv: [sh, -c, 'echo \"in $0\" >> log; test \"$0\" != one || { touch started; until test -e go; do sleep 0.02; done; }', '{{ item }}'] } }
      - { id: leave, uses: local.command, effect: idempotent, with: { argv: [sh, -c, 'echo \"out $0\" >> log', '{{ item }}'] } }
";

#[test]
fn elements_of_a_loop_hold_its_lock_one_after_the_other() {
    for from in ["[one, two]", "'[\"one\", \"two\"]'"] {
        let dr = dr().runbook(&LOOP.replace("FROM", from));
        let other = "runbook: other\nlocks: [dns]\nsteps:\n  - { id: only, uses: local.command, \
                     effect: idempotent, with: { argv: ['true'] } }\n";
        fs::write(dr.path("other.yaml"), other).unwrap();
        let plan = dr.args(["plan", "runbook.yaml"]).run().code(0);
        assert!(plan.stdout.contains("dns"), "{plan}");
        keeps_away(&dr, "runbook.yaml", "other.yaml");
        let log = fs::read_to_string(dr.path("log")).unwrap();
        assert_eq!(log, "in one\nout one\nin two\nout two\n", "{from}");
    }
}

#[test]
fn a_lock_that_could_not_be_held_is_refused() {
    let text = LOOP.replace("FROM", "[one, two]");
    for (what, told) in [
        (text.replace("    locks", "    max_parallel: 2\n    locks"), "one goes on at a time"),
        (text.replace("parallelism: 4", "locks: [dns]"), "`dns` is locked more than once"),
        (text.replace("locks: [dns]", "locks: [Not-a-name]"), "Not-a-name"),
        (text.replace("    for_each: [one, two]\n", ""), "is no loop"),
        (
            text.replace("      - { id: enter", "      - { id: inner, for_each: [x], as: x, locks: [other], uses: local.command, effect: idempotent, with: { argv: [echo, '{{ x }}'] } }\n      - { id: enter"),
            "would lock the same side by side",
        ),
    ] {
        let ended = dr().runbook(&what).args(["check", "runbook.yaml"]).run().code(3);
        assert!(ended.to_string().contains(told), "{told}: {ended}");
    }
    let dr = dr().runbook("runbook: outer\nsteps:\n  - { id: part, uses: ./loop.yaml }\n");
    fs::write(dr.path("loop.yaml"), &text).unwrap();
    let ended = dr.args(["check", "runbook.yaml"]).run().code(3);
    assert!(ended.to_string().contains("say `locks` at the head of that runbook"), "{ended}");
}
