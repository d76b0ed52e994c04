//! Steps that several others take back.

use dr_plugin::CallError;
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, expr, nothing, plan, step};
use super::groups::{group, plan_of};
use crate::event::{CancelRequest, RequestKind, SkipReason, StepState, Verdict};
use crate::machine::Ending;
use crate::plan::{OnReject, Step};
use crate::words::OnFailure;

fn refused() -> CallError {
    CallError::permanent("exit_1", "it said no")
}

/// `move` is taken back by three steps, `drain` after that by one.
fn moved(change: impl FnOnce(&mut Vec<Step>)) -> Vec<Step> {
    let parts: &[(&str, &[&str])] = &[("stop", &[]), ("mount", &["stop"]), ("note", &["stop"])];
    let mut moved = step("move").needs(&["drain"]).undo_by(parts);
    let group = moved.undo.as_mut().and_then(|undo| undo.group.as_mut()).expect("a group");
    change(&mut group.undoing);
    let fails = step("check").needs(&["move"]).on_failure(OnFailure::Undo);
    vec![step("drain").undo(), moved, fails]
}

fn failed(change: impl FnOnce(&mut Vec<Step>)) -> Bench {
    let mut bench = Bench::start(plan(moved(change)));
    bench.ok("drain", nothing()).ok("move", nothing()).err("check", refused());
    bench
}

#[test]
fn they_run_in_their_own_order_and_the_step_is_taken_back_after_the_last() {
    let mut bench = failed(|_| {});
    assert_eq!(bench.flies(), ["move!undo/stop"]);
    bench.ok("move!undo/stop", nothing());
    assert_eq!(bench.flies(), ["move!undo/mount", "move!undo/note"]);
    bench.ok("move!undo/note", nothing());
    assert_eq!(bench.flies(), ["move!undo/mount"], "what came before waits for all of them");
    bench.ok("move!undo/mount", nothing());
    assert_eq!(bench.state("move"), StepState::Undone);
    assert_eq!(bench.state("move!undo"), StepState::Undone);
    assert_eq!(bench.state("move!undo/mount"), StepState::Succeeded);
    bench.ok("drain!undo", nothing());
    bench.ends(Verdict::Unwound, "drain undone, move undone, check failed");
}

#[test]
fn a_crash_anywhere_between_them_loses_nothing() {
    let order = ["move!undo/stop", "move!undo/mount", "move!undo/note", "drain!undo"];
    for crash in 0..order.len() {
        let mut bench = failed(|_| {});
        for (position, id) in order.iter().enumerate() {
            if position == crash {
                bench = bench.crash(Vec::new());
            }
            bench.ok(id, nothing());
        }
        bench.ends(Verdict::Unwound, "drain undone, move undone, check failed");
    }
}

#[test]
fn one_that_fails_leaves_the_run_stuck_until_it_is_tried_again() {
    let mut bench = failed(|_| {});
    bench.ok("move!undo/stop", nothing()).err("move!undo/mount", refused());
    bench.ok("move!undo/note", nothing());
    bench.ends(Verdict::Stuck, "drain succeeded, move undo_failed, check failed");
    assert_eq!(bench.last_error("move!undo"), "`move!undo/mount` failed: it said no");
    for id in ["move!undo", "move!undo/mount"] {
        let mut bench = Bench::on(bench.plan.clone(), bench.journal.clone(), 20_000);
        let retry = bench.request("bob", RequestKind::Retry, id);
        let mut bench = bench.begin(true, vec![retry]);
        assert_eq!(bench.flies(), ["move!undo/mount"], "what is done stays done");
        bench.ok("move!undo/mount", nothing()).ok("drain!undo", nothing());
        bench.ends(Verdict::Unwound, "drain undone, move undone, check failed");
    }
    // By hand: what had failed and what it prevented no longer matter.
    let mut bench = Bench::on(bench.plan.clone(), bench.journal.clone(), 20_000);
    let done = bench.request("bob", RequestKind::AssumeDone, "move!undo");
    let mut bench = bench.begin(true, vec![done]);
    bench.ok("drain!undo", nothing());
    bench.ends(Verdict::Unwound, "drain undone, move undone, check failed");
}

#[test]
fn what_a_failed_one_prevents_goes_on_once_that_is_done() {
    let mut bench = failed(|_| {});
    bench.err("move!undo/stop", refused());
    assert_eq!(bench.state("move!undo/mount"), StepState::Blocked);
    assert_eq!(bench.verdict(), Some(Verdict::Stuck));
    let retry = bench.request("bob", RequestKind::Retry, "move!undo");
    let mut bench = bench.crash(vec![retry]);
    for id in ["move!undo/stop", "move!undo/mount", "move!undo/note", "drain!undo"] {
        bench.ok(id, nothing());
    }
    assert_eq!(bench.verdict(), Some(Verdict::Unwound));
}

#[test]
fn what_is_done_by_hand_although_something_was_prevented_stays_so_after_a_resume() {
    let mut bench = failed(|_| {});
    bench.err("move!undo/stop", refused());
    let done = bench.request("bob", RequestKind::AssumeDone, "move!undo");
    let bench = bench.crash(vec![done]);
    assert_eq!(bench.flies(), ["drain!undo"]);
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["drain!undo"], "nothing of it is called again");
    bench.ok("drain!undo", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Unwound));
}

#[test]
fn they_are_asked_about_once() {
    let ask = |parts: &mut Vec<Step>| parts[0] = parts[0].clone().gate(1, None, OnReject::Fail);
    let mut bench = failed(ask);
    assert_eq!(bench.flies(), Vec::<&str>::new());
    bench.answer("ann", RequestKind::Approve, "move!undo");
    assert_eq!(bench.flies(), ["move!undo/stop"]);
    let mut bench = failed(ask);
    bench.answer("ann", RequestKind::Reject, "move!undo!begin");
    assert_eq!(bench.verdict(), Some(Verdict::Stuck));
    assert_eq!(bench.state("move"), StepState::UndoFailed);
    assert!(
        bench.last_error("move!undo").contains("rejected"),
        "{}",
        bench.last_error("move!undo")
    );
}

#[test]
fn a_condition_passes_all_of_them_over() {
    let mut bench = failed(|parts| parts[0].when = Some(expr("self.status == 'warned'")));
    assert_eq!(bench.state("move!undo/stop"), StepState::Skipped);
    assert_eq!(bench.state("move"), StepState::Undone, "there is nothing to take back");
    bench.ok("drain!undo", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Unwound));
}

#[test]
fn what_may_not_have_happened_is_checked_once_before_them() {
    let play = |done: bool| {
        let of = step("p").check("result.done").on_failure(OnFailure::Undo);
        let mut bench = Bench::start(plan(vec![of.undo_by(&[("a", &[]), ("b", &["a"])])]));
        bench.err("p", refused());
        assert_eq!(bench.flying[0].uses.to_string(), "sim.look");
        let mut bench = bench.crash(Vec::new());
        assert_eq!(bench.flies(), ["p!undo!begin"], "it looks again");
        bench.ok("p!undo!begin", json!({ "done": done }));
        bench
    };
    let bench = play(false);
    assert_eq!(bench.state("p!undo/a"), StepState::Skipped);
    let skipped = bench.journal.iter().any(|event| {
        let json = serde_json::to_value(&event.kind).expect("json");
        json["reason"] == json!(SkipReason::NotDone) && json["step"] == "p!undo/b"
    });
    assert!(skipped);
    bench.ends(Verdict::Unwound, "p failed");
    let mut bench = play(true);
    bench.ok("p!undo/a", nothing()).ok("p!undo/b", nothing());
    bench.ends(Verdict::Unwound, "p failed");
}

#[test]
fn they_read_the_step_and_each_other() {
    let mut of = step("x").output("pool", "result.pool").undo_by(&[("a", &[]), ("b", &["a"])]);
    let with = json!({ "of": "{{ self.outputs.pool }} {{ steps.y.outputs.n }}" });
    let undoing = &mut of.undo.as_mut().and_then(|it| it.group.as_mut()).expect("it").undoing;
    undoing[1] = undoing[1].clone().output("found", "result.found");
    undoing[1].with = crate::text::Templated::parse(&with).expect("a text");
    let with = json!({ "found": "{{ steps.a.outputs.found }}" });
    undoing[2].with = crate::text::Templated::parse(&with).expect("a text");
    let y = step("y").output("n", "result.n");
    let fails = step("z").needs(&["x"]).on_failure(OnFailure::Undo);
    let fails = Step { fails_group: true, ..fails };
    let mut steps = group("g", vec![y, of.needs(&["y"]), fails]);
    steps.push(step("after").needs(&["g"]));
    let mut bench = Bench::start(plan_of(vec![steps]));
    bench.ok("g/y", json!({ "n": 3 })).ok("g/x", json!({ "pool": "p7" })).err("g/z", refused());
    assert_eq!(bench.flying[0].input, json!({ "of": "p7 3" }));
    bench.ok("g/x!undo/a", json!({ "found": "there" }));
    assert_eq!(bench.flying[0].input, json!({ "found": "there" }));
    bench.ok("g/x!undo/b", nothing());
    assert_eq!(bench.state("g/x"), StepState::Undone);
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
}

#[test]
fn a_step_of_a_group_reads_its_siblings_when_it_is_taken_back() {
    let y = step("y").output("n", "result.n");
    let mut x = step("x").needs(&["y"]).undo();
    let with = json!({ "n": "{{ steps.y.outputs.n }}" });
    x.undo.as_mut().expect("undo").with = crate::text::Templated::parse(&with).expect("a text");
    let z = step("z").needs(&["x"]).on_failure(OnFailure::Undo);
    let steps = group("g", vec![y, x, Step { fails_group: true, ..z }]);
    let mut bench = Bench::start(plan_of(vec![steps]));
    bench.ok("g/y", json!({ "n": 3 })).ok("g/x", nothing()).err("g/z", refused());
    assert_eq!(bench.flying[0].input, json!({ "n": 3 }));
}

#[test]
fn a_stopped_run_takes_them_up_where_they_were() {
    let mut bench = failed(|_| {});
    bench.ok("move!undo/stop", nothing()).cancel(CancelRequest::Stop);
    bench.err("move!undo/mount", CallError::cancelled("stopped"));
    bench.err("move!undo/note", CallError::cancelled("stopped"));
    assert!(matches!(bench.ending, Some(Ending::Verdict(_))));
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["move!undo/mount", "move!undo/note"]);
    bench.ok("move!undo/mount", nothing()).ok("move!undo/note", nothing());
    bench.ok("drain!undo", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Unwound));
}

#[test]
fn nothing_is_tried_again_while_it_is_being_taken_back() {
    let x = step("x").undo_by(&[("a", &[]), ("b", &["a"])]);
    let z = step("z").needs(&["x"]).on_failure(OnFailure::Undo);
    let steps = group("g", vec![x, Step { fails_group: true, ..z }]);
    let mut bench = Bench::start(plan_of(vec![steps]));
    bench.ok("g/x", nothing()).err("g/z", refused()).ok("g/x!undo/a", nothing());
    let retry = bench.request("bob", RequestKind::Retry, "g/z");
    let mut bench = bench.crash(vec![retry]);
    assert_eq!(bench.flies(), ["g/x!undo/b"], "half of it is taken back already");
    bench.ok("g/x!undo/b", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    let retry = bench.request("bob", RequestKind::Retry, "g/z");
    let mut bench = bench.crash(vec![retry]);
    bench.ok("g/x", nothing()).ok("g/z", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
}
