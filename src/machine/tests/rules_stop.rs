use dr_plugin::{CallError, Checked, Effect, Keyed};
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, nothing, plan, step};
use crate::event::{CancelRequest, Request, RequestKind, StepState, Verdict};
use crate::machine::{Ending, Input, LaunchKind};
use crate::plan::OnReject;
use crate::words::OnFailure;

fn stopped() -> CallError {
    CallError::cancelled("stopped on request; its process group was ended (confirmed)")
}

#[test]
fn a_drained_run_starts_nothing_new_and_is_resumed() {
    let steps = vec![
        step("a"),
        step("b").needs(&["a"]),
        step("g").gate(1, None, OnReject::Fail),
        step("r").tries(3),
    ];
    let mut bench = Bench::start(plan(steps));
    bench.err("r", CallError::transient("busy", "it is busy"));
    bench.cancel(CancelRequest::Drain);
    assert_eq!(bench.states(), "a running, b cancelled, g cancelled, r cancelled");
    assert_eq!(bench.ending, None);
    bench.ok("a", nothing());
    bench.ends(Verdict::Cancelled, "a succeeded, b cancelled, g cancelled, r cancelled");

    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.states(), "a succeeded, b running, g waiting, r running");
    assert_eq!(bench.fly("r").attempt, 2, "a key is never used twice");
    bench.answer("bob", RequestKind::Approve, "g");
    bench.ok("b", nothing()).ok("g", nothing());
    assert_eq!(bench.ending, None);
}

#[test]
fn a_transient_error_of_a_drained_run_is_not_tried_again() {
    let mut bench = Bench::start(plan(vec![step("a").tries(3)]));
    bench.cancel(CancelRequest::Drain);
    bench.err("a", CallError::transient("busy", "it is busy"));
    bench.ends(Verdict::Cancelled, "a cancelled");
}

#[test]
fn a_stopped_run_stops_its_attempts() {
    let once = step("o").effect(Effect::Once).keyed(Keyed::Job);
    let mut bench = Bench::start(plan(vec![step("a"), once]));
    bench.cancel(CancelRequest::Drain).cancel(CancelRequest::Stop);
    assert_eq!(bench.stopped.len(), 2);
    bench.err("a", stopped()).err("o", stopped());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Cancelled)));
    assert_eq!(bench.state("a"), StepState::Cancelled);
    // What a stop did to a step that must not be repeated is found out before it goes on.
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.fly("a").attempt, 2);
    assert_eq!(bench.flying[0].kind, LaunchKind::Check);
    bench.checked("o", Checked::Done(Some(json!({}))));
    assert_eq!(bench.state("o"), StepState::Succeeded);
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    let mut bench = Bench::start(plan(vec![step("a")]));
    bench.cancel(CancelRequest::Drain);
    bench.ok("a", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded");
}

#[test]
fn a_cancel_by_request_is_remembered_as_one() {
    let mut bench = Bench::start(plan(vec![step("a"), step("b").needs(&["a"])]));
    let mut request = bench.request("bob", RequestKind::Cancel, "a");
    request.step = None;
    bench.feed(crate::machine::Input::Answer(request.clone()));
    bench.ok("a", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Cancelled)));
    // The file of the request, left behind, does not cancel the next session.
    let mut bench = bench.crash(vec![request]);
    bench.ok("b", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded");
}

#[test]
fn an_open_question_outlives_a_cancel() {
    let once = step("o").effect(Effect::Once);
    let mut bench = Bench::start(plan(vec![once, step("b")]));
    bench.err("o", CallError::unknown("connection_lost", "lost"));
    bench.cancel(CancelRequest::Drain);
    bench.ok("b", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Cancelled)));
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.state("o"), StepState::Unknown);
    bench.answer("bob", RequestKind::AssumeDone, "o");
    bench.ends(Verdict::Succeeded, "o succeeded, b succeeded");
}

#[test]
fn a_pause_starts_nothing_and_keeps_its_place() {
    let steps = || {
        vec![
            step("open"),
            step("a").needs(&["open"]).tries(3),
            step("b").needs(&["a"]),
            step("close").closes("open", &["b"]),
        ]
    };
    let pause = |bench: &mut Bench| {
        let request = Request { step: None, ..bench.request("bob", RequestKind::Pause, "a") };
        bench.feed(Input::Answer(request));
    };
    let mut bench = Bench::start(plan(steps()));
    bench.ok("open", nothing());
    pause(&mut bench);
    assert_eq!(bench.flies(), ["a"], "what runs is let run");
    bench.ok("a", nothing());
    assert_eq!(bench.ending, Some(Ending::Paused(Vec::new())));
    assert_eq!(bench.states(), "open succeeded, a succeeded, b pending, close pending");
    let mut bench = bench.crash(Vec::new());
    bench.ok("b", nothing()).ok("close", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Succeeded)));

    // What is between two attempts waits for the next session.
    let mut bench = Bench::start(plan(steps()));
    bench.ok("open", nothing()).err("a", CallError::transient("busy", "busy"));
    pause(&mut bench);
    assert_eq!(bench.ending, Some(Ending::Paused(Vec::new())));
    let mut bench = bench.crash(Vec::new());
    bench.pass(60_000).ok("a", nothing());
    assert_eq!(bench.flies(), ["b"]);

    // A cancel goes further than a pause.
    let mut bench = Bench::start(plan(steps()));
    bench.ok("open", nothing());
    pause(&mut bench);
    bench.cancel(CancelRequest::Drain).ok("a", nothing()).ok("close", nothing());
    bench.ends(Verdict::Cancelled, "open succeeded, a succeeded, b cancelled, close succeeded");

    // So does unwinding stand still, and go on.
    let mut steps = steps();
    steps[0] = step("open").undo();
    steps[2].on_failure = OnFailure::Undo;
    let mut bench = Bench::start(plan(steps));
    bench.ok("open", nothing()).ok("a", nothing());
    pause(&mut bench);
    bench.err("b", CallError::permanent("exit_1", "no"));
    assert_eq!(bench.ending, Some(Ending::Paused(Vec::new())));
    let mut bench = bench.crash(Vec::new());
    bench.ok("open!undo", nothing()).ok("close", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Unwound)));
}

#[test]
fn nothing_follows_success() {
    let mut bench = Bench::start(plan(vec![step("a")]));
    bench.ok("a", nothing());
    let length = bench.journal.len();
    let bench = bench.crash(Vec::new());
    assert_eq!(bench.journal.len(), length);
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Succeeded)));
}
