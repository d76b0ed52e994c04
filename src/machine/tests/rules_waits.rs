//! Waits, errors that are wanted, readings that settle, and times between steps.

use dr_plugin::{CallError, Effect};
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, nothing, plan, service, step};
use crate::event::{CancelRequest, EventKind, RequestKind, StepState, Verdict};
use crate::id::StepId;
use crate::plan::{Plan, Span};
use crate::words::OnFailure;

#[test]
fn a_wait_lasts_as_long_as_it_says() {
    let steps = vec![
        step("a"),
        step("wait").needs(&["a"]).sleeps(10_000, None),
        step("b").needs(&["wait"]),
    ];
    let mut bench = Bench::start(plan(steps));
    bench.pass(500);
    bench.ok("a", nothing());
    assert_eq!(bench.state("wait"), StepState::Waiting);
    bench.pass(9_999);
    assert_eq!(bench.state("wait"), StepState::Waiting);
    bench.pass(1);
    assert_eq!(bench.state("wait"), StepState::Succeeded);
    assert_eq!(bench.flies(), ["b"]);
}

#[test]
fn a_wait_counts_from_the_end_of_another_step() {
    let steps = vec![
        step("a"),
        step("b").needs(&["a"]),
        step("wait").needs(&["b"]).sleeps(10_000, Some("a")),
        step("late").needs(&["b"]).sleeps(2_000, Some("a")),
    ];
    let mut bench = Bench::start(plan(steps));
    bench.ok("a", nothing());
    bench.pass(4_000);
    bench.ok("b", nothing());
    // What has passed already needs no wait.
    assert_eq!(bench.state("late"), StepState::Succeeded);
    bench.pass(5_999);
    assert_eq!(bench.state("wait"), StepState::Waiting);
    bench.pass(1);
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded, wait succeeded, late succeeded");
}

#[test]
fn a_wait_goes_on_after_a_crash_as_if_nothing_had_happened() {
    let mut bench = Bench::start(plan(vec![step("wait").sleeps(60_000, None)]));
    bench.pass(20_000);
    // The next session begins 10 s later.
    let mut bench = bench.crash(Vec::new());
    bench.pass(29_999);
    assert_eq!(bench.state("wait"), StepState::Waiting);
    bench.pass(1);
    bench.ends(Verdict::Succeeded, "wait succeeded");
    let asleep =
        bench.journal.iter().filter(|event| matches!(event.kind, EventKind::StepSleeping { .. }));
    assert_eq!(asleep.count(), 1);
}

#[test]
fn a_wait_neither_holds_a_stop_up_nor_outlives_a_halt() {
    let steps = || vec![step("bad"), step("wait").sleeps(60_000, None)];
    let mut bench = Bench::start(plan(steps()));
    bench.err("bad", CallError::permanent("broken", "broken"));
    bench.ends(Verdict::Failed, "bad failed, wait blocked");

    let mut bench = Bench::start(plan(steps()));
    bench.cancel(CancelRequest::Drain);
    bench.ok("bad", nothing());
    bench.ends(Verdict::Cancelled, "bad succeeded, wait cancelled");
}

#[test]
fn a_person_cuts_a_wait_short() {
    for ask in [RequestKind::Skip, RequestKind::AssumeDone] {
        let steps = vec![step("wait").sleeps(60_000, None), step("b").needs(&["wait"])];
        let mut bench = Bench::start(plan(steps));
        let mut request = bench.request("bob", ask, "wait");
        request.reason = Some("it is quiet already".to_owned());
        bench.feed(crate::machine::Input::Answer(request));
        bench.ok("b", nothing());
        assert_eq!(bench.ending, Some(crate::machine::Ending::Verdict(Verdict::Succeeded)));
    }
}

fn refuses() -> crate::plan::Step {
    step("try").effect(Effect::Pure).fails_as("error.code == 'refused'")
}

#[test]
fn an_error_that_is_wanted_is_a_success() {
    let mut bench = Bench::start(plan(vec![refuses(), step("b").needs(&["try"])]));
    bench.err("try", CallError::transient("refused", "connection refused"));
    bench.ok("b", nothing());
    bench.ends(Verdict::Succeeded, "try succeeded, b succeeded");
    let seen = bench.journal.iter().find_map(|event| match &event.kind {
        EventKind::AttemptFinished(finished) => finished.expected.clone(),
        _ => None,
    });
    assert_eq!(seen.expect("the error").message, "connection refused");
}

#[test]
fn success_or_another_error_fails_what_must_fail() {
    let mut bench = Bench::start(plan(vec![refuses().on_failure(OnFailure::Continue)]));
    bench.ok("try", nothing());
    bench.ends(Verdict::Failed, "try failed");
    // It is called again, not only judged again.
    let retry = bench.request("bob", RequestKind::Retry, "try");
    let mut bench = bench.crash(vec![retry]);
    bench.err("try", CallError::permanent("refused", "refused"));
    bench.ends(Verdict::Succeeded, "try succeeded");

    let mut bench = Bench::start(plan(vec![refuses()]));
    bench.err("try", CallError::permanent("not_found", "no such host"));
    bench.ends(Verdict::Failed, "try failed");

    let undecided = step("try").fails_as("error.nothing == 1");
    let mut bench = Bench::start(plan(vec![undecided]));
    bench.err("try", CallError::permanent("refused", "refused"));
    bench.ends(Verdict::Failed, "try failed");
}

#[test]
fn an_error_between_two_readings_does_not_unsettle_what_was_read() {
    let until = "previous != null && outputs.n == previous.n";
    let settles = step("settles").until(until, 1_000, None).output("n", "result.n");
    let mut bench = Bench::start(plan(vec![settles]));
    bench.ok("settles", json!({ "n": 1 })).pass(1_000);
    bench.err("settles", CallError::transient("busy", "busy")).pass(1_000);
    bench.ok("settles", json!({ "n": 2 })).pass(1_000);
    bench.err("settles", CallError::transient("busy", "busy")).pass(1_000);
    bench.ok("settles", json!({ "n": 2 }));
    bench.ends(Verdict::Succeeded, "settles succeeded");
}

#[test]
fn a_list_is_read_until_it_is_empty() {
    let drained = step("drained").until("size(outputs.left) == 0", 1_000, None);
    let drained = drained.output("left", "result.rows").set(|step| {
        let repeat = step.repeat.as_mut().expect("a repeat");
        (repeat.stable, repeat.at_least, repeat.at_most) = (2, 3, Some(6));
    });
    let rows = |names: &[&str]| json!({ "rows": names });
    let mut bench = Bench::start(plan(vec![drained.clone()]));
    for names in [&["a", "b"][..], &[], &["b"], &[]] {
        bench.ok("drained", rows(names)).pass(1_000);
    }
    bench.ok("drained", rows(&[]));
    bench.ends(Verdict::Succeeded, "drained succeeded");

    let mut bench = Bench::start(plan(vec![drained]));
    for _ in 0..5 {
        bench.ok("drained", rows(&["a"])).pass(1_000);
    }
    bench.ok("drained", rows(&["a"]));
    bench.ends(Verdict::Failed, "drained failed");
}

fn measured(objective_ms: u64) -> Plan {
    let mut plan =
        plan(vec![step("close"), step("copy").needs(&["close"]), step("open").needs(&["copy"])]);
    plan.spans.push(Span {
        name: "read_only".to_owned(),
        description: None,
        from: StepId::from("close"),
        to: StepId::from("open"),
        objective_ms: Some(objective_ms),
        predicted_ms: None,
        meets: None,
    });
    plan
}

#[test]
fn a_time_between_steps_is_an_objective() {
    for (objective_ms, verdict, met) in
        [(3_000, Verdict::Succeeded, true), (2_999, Verdict::ObjectiveMissed, false)]
    {
        let mut bench = Bench::start(measured(objective_ms));
        for id in ["close", "copy", "open"] {
            bench.pass(1_000);
            bench.ok(id, nothing());
        }
        bench.ends(verdict, "close succeeded, copy succeeded, open succeeded");
        let Some(EventKind::RunFinished(finished)) = bench.journal.last().map(|it| &it.kind) else {
            panic!("no close record");
        };
        assert_eq!((finished.spans[0].took_ms, finished.spans[0].met), (Some(3_000), Some(met)));
    }
}

#[test]
fn the_clock_of_a_service_starts_when_the_incident_is_made() {
    let incident = step("strike").set(|step| step.incident = true);
    let mut plan = plan(vec![incident, step("recover").needs(&["strike"]).service("db")]);
    plan.services = vec![crate::plan::Service { rto_ms: Some(1_000), ..service("db") }];
    let mut bench = Bench::start(plan);
    bench.pass(5_000);
    bench.ok("strike", nothing());
    bench.pass(1_000);
    bench.ok("recover", nothing());
    bench.ends(Verdict::Succeeded, "strike succeeded, recover succeeded");
}
