//! Objectives that will be missed are told before they are.

use serde_json::json;

use super::bench::Bench;
use super::build::{Build, expr, nothing, plan, step};
use crate::event::{CancelRequest, Event, EventKind, RequestKind};
use crate::plan::{OnReject, Plan, Step};

fn lasting(id: &str, estimate_ms: u64) -> Step {
    step(id).service("db").set(|step| step.estimate_ms = estimate_ms)
}

fn with_rto(steps: Vec<Step>, rto_ms: u64) -> Plan {
    let mut plan = plan(steps);
    plan.services[0].rto_ms = Some(rto_ms);
    plan
}

/// When what was told of objectives: `+` at risk, `-` on track again, and the expectation.
fn told(journal: &[Event]) -> Vec<(u64, char, u64)> {
    let risks = journal.iter().filter_map(|event| match &event.kind {
        EventKind::RtoAtRisk { expected_ms, .. } => Some((event.elapsed_ms, '+', *expected_ms)),
        EventKind::RtoOnTrack { expected_ms, .. } => Some((event.elapsed_ms, '-', *expected_ms)),
        _ => None,
    });
    risks.collect()
}

#[test]
fn a_step_that_takes_too_long_is_told_while_it_runs() {
    let steps = vec![lasting("a", 10_000), lasting("b", 2_000).needs(&["a"])];
    let mut bench = Bench::start(with_rto(steps, 15_000));
    bench.pass(13_000);
    assert_eq!(told(&bench.journal), []);
    bench.pass(1_000);
    // `a` ends now at the earliest, and `b` takes two seconds.
    assert_eq!(told(&bench.journal), [(13_004, '+', 15_004)]);
    bench.pass(60_000);
    assert_eq!(told(&bench.journal).len(), 1, "once");
    // Who resumes the run knows it already.
    let mut bench = bench.crash(Vec::new());
    bench.pass(10_000);
    assert_eq!(told(&bench.journal).len(), 1);
}

#[test]
fn what_is_faster_than_planned_is_on_track_again() {
    let steps = vec![
        lasting("a", 10_000).output("small", "result.small"),
        lasting("b", 10_000)
            .needs(&["a"])
            .set(|step| step.when = Some(expr("!steps.a.outputs.small"))),
        lasting("c", 1_000).needs(&["b"]),
    ];
    let mut bench = Bench::start(with_rto(steps, 15_000));
    assert_eq!(told(&bench.journal), [(0, '+', 21_000)], "as the plan says, at once");
    bench.pass(3_000);
    bench.ok("a", json!({ "small": true }));
    assert_eq!(told(&bench.journal)[1..], [(3_000, '-', 4_000)]);
    bench.pass(500);
    bench.ok("c", nothing());
    assert_eq!(told(&bench.journal).len(), 2);
}

#[test]
fn people_who_do_not_answer_put_an_objective_at_risk() {
    let steps = vec![lasting("a", 2_000).gate(1, None, OnReject::Fail)];
    let mut bench = Bench::start(with_rto(steps, 60_000));
    bench.pass(58_000);
    assert_eq!(told(&bench.journal), []);
    bench.pass(2_000);
    let [(at, '+', expected)] = told(&bench.journal)[..] else { panic!("{:?}", bench.journal) };
    assert!(at > 58_000 && at <= 59_000 && expected == at + 2_000, "{at} {expected}");
    // It is answered at last, and late.
    bench.answer("bob", RequestKind::Approve, "a");
    bench.pass(1_500);
    bench.ok("a", nothing());
    assert_eq!(told(&bench.journal).len(), 1);
}

#[test]
fn nothing_is_told_of_what_has_no_objective_or_is_given_up() {
    let mut bench = Bench::start(plan(vec![lasting("a", 1_000)]));
    bench.pass(60_000);
    assert_eq!((told(&bench.journal).len(), bench.timers.len()), (0, 0));
    let mut bench = Bench::start(with_rto(vec![lasting("a", 1_000)], 5_000));
    bench.cancel(CancelRequest::Drain).pass(60_000);
    assert_eq!(told(&bench.journal), []);
}
