//! Groups that are repeated.

use dr_plugin::CallError;
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, expr, nothing, step};
use super::groups::{later, plan_of, rounds, until};
use crate::event::{CancelRequest, EventKind, RequestKind, StepState, Verdict};
use crate::plan::{Repeat, Step};
use crate::words::OnFailure;

fn no(code: &str) -> CallError {
    CallError::permanent(code, "no")
}

/// List, then remove what is listed; the round tells how much was there.
fn drain(repeat: Repeat) -> Vec<Step> {
    let make = || {
        vec![
            step("list").output("left", "result.left"),
            step("remove").needs(&["list"]).set(|step| {
                step.when = Some(expr("steps.list.outputs.left > 0"));
            }),
        ]
    };
    let mut steps = rounds("g", repeat, make);
    let end = steps.last_mut().expect("an end");
    let rounds = end.group.as_mut().and_then(|it| it.each.as_mut()?.rounds.as_mut());
    let round = rounds.and_then(|rounds| rounds.template.last_mut()).expect("a round");
    *round = round.clone().output("left", "steps.list.outputs.left");
    steps
}

fn bench(repeat: Repeat) -> Bench {
    Bench::start(plan_of(vec![
        drain(repeat),
        vec![step("b").needs(&["g"]).set(|it| it.when = Some(expr("steps.g.outputs.left == 0")))],
    ]))
}

/// One round in which so much is left.
fn round(bench: &mut Bench, number: u32, left: u32) {
    assert_eq!(bench.flies(), [format!("g@{number}/list")]);
    bench.ok(&format!("g@{number}/list"), json!({ "left": left }));
    if left > 0 {
        bench.ok(&format!("g@{number}/remove"), nothing());
    }
}

#[test]
fn rounds_follow_each_other_until_the_condition_holds() {
    let mut bench = bench(until("outputs.left == 0"));
    round(&mut bench, 1, 2);
    assert_eq!(bench.flies(), Vec::<&str>::new(), "it pauses");
    bench.pass(999);
    assert_eq!(bench.flies(), Vec::<&str>::new());
    bench.pass(1);
    round(&mut bench, 2, 1);
    bench.pass(1_000);
    round(&mut bench, 3, 0);
    assert_eq!(bench.state("g@3/remove"), StepState::Skipped);
    assert_eq!(bench.state("g"), StepState::Succeeded);
    assert_eq!(bench.flies(), ["b"], "the outputs are those of the last round");
}

#[test]
fn the_condition_may_have_to_hold_for_several_rounds() {
    let repeat = Repeat { stable: 2, at_least: 4, ..until("outputs.left == 0") };
    let mut bench = bench(repeat);
    for (number, left) in [(1, 0), (2, 0), (3, 1), (4, 0)] {
        round(&mut bench, number, left);
        assert_eq!(bench.state("g"), StepState::Pending, "after round {number}");
        bench.pass(1_000);
    }
    round(&mut bench, 5, 0);
    assert_eq!(bench.state("g"), StepState::Succeeded);
}

#[test]
fn a_round_sees_what_the_one_before_gave() {
    let mut bench =
        bench(until("previous != null && previous.left == outputs.left && iteration > 1"));
    for (number, left) in [(1, 3), (2, 2)] {
        round(&mut bench, number, left);
        bench.pass(1_000);
    }
    round(&mut bench, 3, 2);
    assert_eq!(bench.state("g"), StepState::Succeeded);
}

#[test]
fn number_and_time_are_limited() {
    let mut few = bench(Repeat { at_most: Some(2), ..until("outputs.left == 0") });
    round(&mut few, 1, 1);
    few.pass(1_000);
    round(&mut few, 2, 1);
    few.ends(Verdict::Failed, "g!begin succeeded, g failed, b blocked");
    assert_eq!(few.last_error("g"), "`outputs.left == 0` did not come true within 2 rounds");
    let mut short = bench(Repeat { timeout_ms: Some(1_500), ..until("outputs.left == 0") });
    round(&mut short, 1, 1);
    short.pass(1_000);
    short.pass(600);
    round(&mut short, 2, 1);
    assert_eq!(short.last_error("g"), "`outputs.left == 0` did not come true within 1.5s");
}

#[test]
fn a_round_that_fails_fails_the_group_unless_that_is_tolerated() {
    let mut plain = bench(until("outputs.left == 0"));
    plain.err("g@1/list", no("gone"));
    assert_eq!(plain.state("g"), StepState::Failed);

    let repeat =
        Repeat { tolerate: Some(expr("error.code == 'busy'")), ..until("outputs.left == 0") };
    let mut patient = bench(repeat);
    patient.err("g@1/list", no("busy"));
    assert_eq!(patient.state("g"), StepState::Pending);
    patient.pass(1_000);
    round(&mut patient, 2, 0);
    patient.ok("b", nothing());
    assert_eq!(patient.verdict(), Some(Verdict::Succeeded));
    assert_eq!(patient.state("g"), StepState::Succeeded, "it only meant \"not yet\"");
}

#[test]
fn a_person_retries_what_failed_in_the_last_round() {
    let mut bench = bench(until("outputs.left == 0"));
    round(&mut bench, 1, 1);
    bench.pass(1_000);
    bench.err("g@2/list", no("gone"));
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    let retry = bench.request("ann", RequestKind::Retry, "g");
    let mut bench = bench.crash(vec![retry]);
    bench.ok("g@2/list", json!({ "left": 0 }));
    assert_eq!(bench.state("g"), StepState::Succeeded);
}

#[test]
fn a_crash_loses_no_round() {
    let stable = Repeat { stable: 2, ..until("outputs.left == 0") };
    let mut bench = bench(stable);
    round(&mut bench, 1, 0);
    bench.pass(500);
    let mut bench = bench.crash(Vec::new());
    bench.pass(10_000);
    round(&mut bench, 2, 0);
    assert_eq!(bench.state("g"), StepState::Succeeded, "it had held once before the crash");
    let begun = bench.journal.iter().filter(|it| matches!(it.kind, EventKind::RoundStarted { .. }));
    assert_eq!(begun.count(), 2);
}

#[test]
fn no_round_begins_in_a_run_that_stops() {
    let mut bench = bench(until("outputs.left == 0"));
    bench.cancel(CancelRequest::Drain);
    bench.ok("g@1/list", json!({ "left": 1 }));
    assert_eq!(bench.state("g"), StepState::Cancelled);
}

#[test]
fn a_loop_inside_has_a_window_of_its_own_in_each_round() {
    let make = || {
        let mut steps = vec![step("list").output("names", "result.names")];
        let mut work = later("n", "steps.list.outputs.names", (Some(1), 0), || vec![step("x")]);
        work[0].needs = vec!["list".into()];
        steps.extend(work);
        steps
    };
    let mut bench = Bench::start(plan_of(vec![rounds("g", until("iteration == 2"), make)]));
    for number in 1..=2 {
        bench.ok(&format!("g@{number}/list"), json!({ "names": ["a", "b"] }));
        for name in ["a", "b"] {
            assert_eq!(bench.flies(), [format!("g@{number}/n@{name}/x")], "one after the other");
            bench.ok(&format!("g@{number}/n@{name}/x"), nothing());
        }
        bench.pass(1_000);
    }
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
}

#[test]
fn what_cannot_be_carried_out_is_not_left_out_in_silence() {
    let make = || later("n", "['a']", (Some(1), 0), || vec![step("x")]);
    let mut plan = plan_of(vec![rounds("g", until("iteration == 2"), make)]);
    plan.pools.retain(|name, _| name == "run");
    let bench = Bench::start(plan);
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    assert!(
        bench.last_error("g@1/n!begin").contains("items:g@1/n"),
        "{}",
        bench.last_error("g@1/n!begin")
    );
}

#[test]
fn what_was_closed_stays_so_where_the_rounds_can_only_fail() {
    let opened = |last: Repeat| {
        let make = || vec![step("x")];
        let mut steps = rounds("g", last, make);
        steps[0].needs.push("open".into());
        let mut all = vec![step("open"), step("beside").needs(&["open"])];
        all.extend(steps);
        all.push(step("close").closes("open", &["beside"]));
        all.push(step("then").needs(&["g", "beside"]));
        Bench::start(plan_of(vec![all]))
    };
    let mut bench = opened(until("iteration == 2"));
    bench.ok("open", nothing()).ok("beside", nothing()).ok("close", nothing());
    bench.err("g@1/x", no("gone"));
    // The journal ends before the end of the group was written.
    let kept = bench.at_end_of("g@1/x");
    bench.journal.truncate(kept);
    let bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), Vec::<&str>::new(), "nothing is opened for what only fails");
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
}

#[test]
fn rounds_are_taken_back_the_last_one_first() {
    let make = || vec![step("x").undo(), step("y").needs(&["x"]).output("n", "result.n")];
    let mut steps = rounds("g", until("steps.y.outputs.n == 2"), make);
    steps.push(step("b").needs(&["g"]).set(|step| step.on_failure = OnFailure::Undo));
    let mut bench = Bench::start(plan_of(vec![steps]));
    for number in 1..=2 {
        bench.ok(&format!("g@{number}/x"), nothing());
        bench.ok(&format!("g@{number}/y"), json!({ "n": number }));
        bench.pass(1_000);
    }
    bench.err("b", no("broken"));
    assert_eq!(bench.flies(), ["g@2/x!undo"]);
    bench.ok("g@2/x!undo", nothing());
    assert_eq!(bench.flies(), ["g@1/x!undo"]);
    bench.ok("g@1/x!undo", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Unwound));
}
