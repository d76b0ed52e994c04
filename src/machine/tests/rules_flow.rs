use dr_plugin::CallError;
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, nothing, plan, step};
use crate::event::Verdict;
use crate::words::OnFailure;

#[test]
fn a_chain_runs_in_order() {
    let mut bench = Bench::start(plan(vec![step("a"), step("b").needs(&["a"])]));
    assert_eq!(bench.flies(), ["a"]);
    bench.ok("a", nothing());
    assert_eq!(bench.flies(), ["b"]);
    bench.ok("b", json!({ "x": 1 }));
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded");
    let told = [
        "run_started",
        "attempt_started a",
        "attempt_finished a",
        "step_finished a",
        "attempt_started b",
        "attempt_finished b",
        "step_finished b",
        "run_finished",
    ];
    assert_eq!(bench.told(0), told);
}

#[test]
fn a_failure_does_what_its_policy_says() {
    use OnFailure::{Continue, Halt, Warn};
    let steps = |policy| {
        vec![
            step("a").on_failure(policy),
            step("needs").needs(&["a"]),
            step("after").after(&["a"]),
            step("slow"),
            step("other").after(&["slow"]),
            step("far").needs(&["needs"]),
        ]
    };
    let play = |policy| {
        let mut bench = Bench::start(plan(steps(policy)));
        bench.err("a", CallError::permanent("exit_1", "it said no"));
        bench.ok("slow", nothing());
        while let Some(&id) = bench.flies().first() {
            let id = id.to_owned();
            bench.ok(&id, nothing());
        }
        bench
    };
    play(Halt).ends(
        Verdict::Failed,
        "a failed, needs blocked, after blocked, slow succeeded, other blocked, far blocked",
    );
    play(Continue).ends(
        Verdict::Failed,
        "a failed, needs blocked, after succeeded, slow succeeded, other succeeded, far blocked",
    );
    play(Warn).ends(
        Verdict::Succeeded,
        "a warned, needs succeeded, after succeeded, slow succeeded, other succeeded, \
         far succeeded",
    );
}
