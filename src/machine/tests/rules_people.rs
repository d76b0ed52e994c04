use dr_plugin::{CallError, Effect};
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, nothing, plan, step};
use crate::event::{EventKind, RequestKind, SkipReason, StepState, Verdict};
use crate::machine::{Ending, Input};
use crate::plan::OnReject;
use crate::words::OnFailure;

fn refused() -> CallError {
    CallError::permanent("exit_1", "it said no")
}

#[test]
fn a_gate_waits_for_as_many_people_as_it_says() {
    let gate = step("a").gate(2, None, OnReject::Fail);
    let mut bench = Bench::start(plan(vec![gate, step("b").needs(&["a"])]));
    assert!(bench.flying.is_empty());
    assert_eq!(bench.state("a"), StepState::Waiting);
    bench.answer("bob", RequestKind::Approve, "a");
    assert!(bench.flying.is_empty());
    bench.answer("bob", RequestKind::Approve, "a");
    assert!(bench.refusal().is_some_and(|why| why.contains("another person")));
    // The first answer outlives a crash.
    let mut bench = bench.crash(Vec::new());
    bench.ms += 5_000;
    bench.answer("carol", RequestKind::Approve, "a");
    assert_eq!(bench.flies(), ["a"]);
    // So does the opened gate.
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["a"]);
    bench.ok("a", nothing()).ok("b", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded");
    let gate_ms = bench.journal.iter().find_map(|event| match &event.kind {
        EventKind::StepFinished(finished) if finished.step.as_str() == "a" => {
            Some(finished.gate_ms)
        }
        _ => None,
    });
    assert_eq!(gate_ms, Some(15_000));
}

#[test]
fn a_rejected_gate_fails_or_skips() {
    for (on_reject, ends) in
        [(OnReject::Fail, "a failed, b blocked"), (OnReject::Skip, "a skipped, b succeeded")]
    {
        let gate = step("a").gate(1, None, on_reject).without_action();
        let mut bench = Bench::start(plan(vec![gate, step("b").needs(&["a"])]));
        bench.answer("bob", RequestKind::Reject, "a");
        let verdict = if on_reject == OnReject::Skip {
            bench.ok("b", nothing());
            Verdict::Succeeded
        } else {
            Verdict::Failed
        };
        bench.ends(verdict, ends);
    }
}

#[test]
fn nobody_in_time_is_a_rejection_also_after_a_crash() {
    let gate = || step("a").gate(1, Some(60_000), OnReject::Fail);
    let mut bench = Bench::unattended(plan(vec![gate()]));
    assert_eq!(bench.ending, None, "with a limit it is waited for");
    bench.pass(59_999);
    assert_eq!(bench.ending, None);
    bench.pass(1);
    bench.ends(Verdict::Failed, "a failed");

    let mut bench = Bench::start(plan(vec![gate()]));
    bench.pass(55_000);
    let mut bench = bench.crash(Vec::new());
    bench.pass(0);
    bench.ends(Verdict::Failed, "a failed");
}

#[test]
fn a_gate_without_limit_and_nobody_there_pauses() {
    let gate = step("a").gate(1, None, OnReject::Fail).without_action();
    let mut bench = Bench::unattended(plan(vec![gate, step("b")]));
    bench.ok("b", nothing());
    assert_eq!(bench.ending, Some(Ending::Paused(vec!["a".into()])));
    let mut bench = bench.crash(Vec::new());
    let asked = bench.told(0).iter().filter(|told| told.starts_with("approval_requested")).count();
    assert_eq!(asked, 1);
    bench.answer("bob", RequestKind::Approve, "a");
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded");
}

#[test]
fn a_request_is_followed_once() {
    let gate = step("a").gate(2, None, OnReject::Fail).without_action();
    let mut bench = Bench::start(plan(vec![gate]));
    let request = bench.request("bob", RequestKind::Approve, "a");
    bench.feed(Input::Answer(request.clone()));
    let length = bench.journal.len();
    bench.feed(Input::Answer(request.clone()));
    assert_eq!(bench.journal.len(), length);
    let bench = bench.crash(vec![request]);
    assert_eq!(bench.journal.len(), length + 1, "only that it was resumed");
}

#[test]
fn what_cannot_be_followed_is_refused_with_a_way_out() {
    use RequestKind as Ask;
    let gate = step("g").gate(1, None, OnReject::Fail).needs(&["a"]);
    let once = step("o").effect(Effect::Once);
    let steps = vec![step("a"), gate, step("f"), step("n").needs(&["f"]), once];
    let mut bench = Bench::start(plan(steps));
    for (ask, id, why) in [
        (Ask::Approve, "x", "the plan has no step `x`"),
        (Ask::Approve, "a", "`a` asks for no approval"),
        (Ask::Approve, "g", "does not ask yet: it waits for `a`"),
        (Ask::Retry, "a", "an attempt of `a` is under way"),
        (Ask::Retry, "g", "has not run yet"),
        (Ask::Fail, "g", "has not run"),
        (Ask::AssumeNotDone, "g", "is not in question"),
    ] {
        bench.answer("bob", ask, id);
        assert!(bench.refusal().is_some_and(|told| told.contains(why)), "{:?}", bench.refusal());
    }
    bench.ok("a", nothing()).err("f", refused());
    for (ask, id, why) in [
        (Ask::Retry, "a", "redo it"),
        (Ask::AssumeDone, "a", "already succeeded"),
        (Ask::Retry, "n", "blocked by `f`: retry that"),
        (Ask::Skip, "n", "blocked by `f`: decide about that"),
    ] {
        bench.answer("bob", ask, id);
        assert!(bench.refusal().is_some_and(|told| told.contains(why)), "{:?}", bench.refusal());
    }
}

#[test]
fn a_failed_step_is_put_back_and_with_it_what_it_blocked() {
    let steps = || {
        plan(vec![
            step("f"),
            step("n").needs(&["f"]),
            step("m").needs(&["n"]),
            step("slow"),
            step("late").after(&["slow"]),
        ])
    };
    let mut bench = Bench::start(steps());
    bench.err("f", refused());
    assert_eq!(bench.states(), "f failed, n blocked, m blocked, slow running, late blocked");
    bench.answer("bob", RequestKind::Retry, "f");
    assert_eq!(bench.states(), "f running, n pending, m pending, slow running, late pending");
    assert_eq!(bench.fly("f").attempt, 2);
    let mut bench = bench.crash(Vec::new());
    bench.ok("f", nothing()).ok("n", nothing()).ok("slow", nothing());
    bench.ok("m", nothing()).ok("late", nothing());
    bench.ends(
        Verdict::Succeeded,
        "f succeeded, n succeeded, m succeeded, slow succeeded, late succeeded",
    );

    // After the end of the session the same, from the command line.
    let mut bench = Bench::start(steps());
    bench.ok("slow", nothing()).err("f", refused());
    assert_eq!(bench.ending, None, "`late` had begun");
    bench.ok("late", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Failed)));
    let retry = bench.request("bob", RequestKind::Retry, "f");
    let skip = bench.request("bob", RequestKind::Skip, "n");
    let mut bench = bench.crash(vec![retry, skip]);
    bench.ok("f", nothing()).ok("m", nothing());
    bench.ends(
        Verdict::Succeeded,
        "f succeeded, n skipped, m succeeded, slow succeeded, late succeeded",
    );
    let told = bench.journal.iter().find_map(|event| match &event.kind {
        EventKind::StepSkipped { reason, by, note, .. } => {
            Some((*reason, by.clone(), note.clone()))
        }
        _ => None,
    });
    let (reason, by, note) = told.expect("skipped");
    assert_eq!(reason, SkipReason::Person);
    assert_eq!(by.map(|by| by.user), Some("bob".to_owned()));
    assert_eq!(note.as_deref(), Some("because"));
}

#[test]
fn without_a_word_about_it_a_failed_step_stays_failed() {
    let mut bench = Bench::start(plan(vec![step("f"), step("n").needs(&["f"])]));
    bench.err("f", refused());
    bench.ends(Verdict::Failed, "f failed, n blocked");
    let bench = bench.crash(Vec::new());
    bench.ends(Verdict::Failed, "f failed, n blocked");
}

#[test]
fn skipping_what_failed_heals_nothing_but_lets_the_rest_go_on() {
    let steps = vec![step("f"), step("n").needs(&["f"]), step("s"), step("x").needs(&["s"])];
    let mut bench = Bench::start(plan(steps));
    bench.err("f", refused());
    assert_eq!(bench.states(), "f failed, n blocked, s running, x blocked");
    bench.answer("bob", RequestKind::Skip, "f");
    assert_eq!(bench.states(), "f skipped, n blocked, s running, x pending");
    bench.ok("s", nothing()).ok("x", nothing());
    bench.ends(Verdict::Failed, "f skipped, n blocked, s succeeded, x succeeded");
}

#[test]
fn assuming_done_what_failed_needs_a_reason() {
    let mut bench = Bench::start(plan(vec![step("f"), step("n").needs(&["f"]), step("s")]));
    bench.err("f", refused());
    let mut request = bench.request("bob", RequestKind::AssumeDone, "f");
    request.reason = None;
    bench.feed(Input::Answer(request));
    assert!(bench.refusal().is_some_and(|why| why.contains("say why")));
    bench.answer("bob", RequestKind::AssumeDone, "f");
    bench.ok("n", nothing()).ok("s", nothing());
    bench.ends(Verdict::Succeeded, "f succeeded, n succeeded, s succeeded");
}

#[test]
fn steps_are_passed_over_or_assumed_from_the_start() {
    let steps = vec![step("a"), step("b").needs(&["a"]), step("c").needs(&["b"])];
    let mut bench = Bench::new(plan(steps));
    let skip = bench.request("bob", RequestKind::Skip, "a");
    let assume = bench.request("bob", RequestKind::AssumeDone, "b");
    let mut bench = bench.begin(true, vec![skip, assume]);
    assert_eq!(bench.flies(), ["c"]);
    bench.ok("c", nothing());
    bench.ends(Verdict::Succeeded, "a skipped, b succeeded, c succeeded");
}

#[test]
fn passing_a_step_over_does_not_open_what_guards_it() {
    let steps =
        vec![step("guard"), step("b").needs(&["guard"]), step("promote").needs(&["b"]), step("x")];
    let mut bench = Bench::new(plan(steps));
    let skip = bench.request("bob", RequestKind::Skip, "b");
    let mut bench = bench.begin(true, vec![skip]);
    assert_eq!(bench.state("b"), StepState::Pending);
    bench.err("guard", refused()).ok("x", nothing());
    bench.ends(Verdict::Failed, "guard failed, b blocked, promote blocked, x succeeded");
    // The decision holds when the guard is put back.
    let retry = bench.request("bob", RequestKind::Retry, "guard");
    let mut bench = bench.crash(vec![retry]);
    bench.ok("guard", nothing()).ok("promote", nothing());
    bench.ends(Verdict::Succeeded, "guard succeeded, b skipped, promote succeeded, x succeeded");
}

#[test]
fn redoing_repeats_the_action_under_a_new_key() {
    let warned = step("a").on_failure(OnFailure::Warn);
    let mut bench = Bench::start(plan(vec![warned, step("s")]));
    bench.err("a", refused());
    assert_eq!(bench.state("a"), StepState::Warned);
    bench.answer("bob", RequestKind::Redo, "a");
    assert_eq!(bench.fly("a").attempt, 2);
}

/// A gate that asks for a ticket, and for a number that has a default.
fn asking(approvers: u32) -> crate::plan::Step {
    let asked = |name: &str, kind: &str, default: Option<serde_json::Value>| crate::plan::Asked {
        name: name.to_owned(),
        kind: kind.parse().expect("a type"),
        description: None,
        default,
        choices: None,
        pattern: (kind == "string").then(|| "CHG-[0-9]+".to_owned()),
        secret: false,
    };
    let with = crate::text::Templated::parse(&json!({ "ticket": "{{ outputs.ticket }}" }));
    step("a").gate(approvers, None, OnReject::Fail).set(|step| {
        let gate = step.approve.as_mut().expect("a gate");
        gate.inputs =
            vec![asked("ticket", "string", None), asked("share", "integer", Some(json!(10)))];
        step.with = with.expect("a text");
    })
}

fn tells(bench: &mut Bench, user: &str, inputs: serde_json::Value) {
    let mut request = bench.request(user, RequestKind::Approve, "a");
    request.inputs = serde_json::from_value(inputs).expect("a map");
    bench.feed(crate::machine::Input::Answer(request));
}

#[test]
fn what_a_gate_asks_for_becomes_outputs() {
    let mut next = step("b").needs(&["a"]);
    next.with = crate::text::Templated::parse(&json!({ "n": "{{ steps.a.outputs.share }}" }))
        .expect("a text");
    let mut bench = Bench::start(plan(vec![asking(1).output("two", "outputs.share * 2"), next]));
    for (inputs, why) in [
        (json!({}), "it asks for `ticket`: give it a value"),
        (json!({ "ticket": "7" }), "`ticket`: `7` does not match `CHG-[0-9]+`"),
        (json!({ "ticket": "CHG-7", "x": 1 }), "it asks for no `x`"),
        (json!({ "ticket": "CHG-7", "share": "all" }), "`share`: `\"all\"` is not a whole number"),
    ] {
        tells(&mut bench, "bob", inputs);
        assert_eq!(bench.refusal(), Some(why));
    }
    tells(&mut bench, "bob", json!({ "ticket": "CHG-7" }));
    assert_eq!(bench.flying[0].input, json!({ "ticket": "CHG-7" }));
    // A crash forgets nothing of it.
    let mut bench = bench.crash(Vec::new());
    bench.ok("a", nothing());
    assert_eq!(bench.flying[0].input, json!({ "n": 10 }));
    let outputs = bench.journal.iter().find_map(|event| match &event.kind {
        EventKind::StepFinished(finished) => Some(finished.outputs.clone()),
        _ => None,
    });
    let outputs = serde_json::to_value(outputs).expect("json");
    assert_eq!(outputs, json!({ "share": 10, "ticket": "CHG-7", "two": 20 }));
}

#[test]
fn two_people_must_mean_the_same() {
    let mut bench = Bench::start(plan(vec![asking(2)]));
    tells(&mut bench, "bob", json!({ "ticket": "CHG-7" }));
    tells(&mut bench, "carol", json!({ "ticket": "CHG-8" }));
    assert_eq!(bench.refusal(), Some("somebody else gave another `ticket`: agree on one"));
    tells(&mut bench, "carol", json!({}));
    assert_eq!(bench.flies(), ["a"]);
}

#[test]
fn only_who_is_named_may_approve() {
    let gate = asking(1).set(|step| {
        let gate = step.approve.as_mut().expect("a gate");
        gate.inputs.clear();
        gate.from = vec!["carol".to_owned()];
        step.with = crate::text::Templated::default();
    });
    let mut bench = Bench::start(plan(vec![gate]));
    tells(&mut bench, "bob", json!({}));
    assert_eq!(bench.refusal(), Some("bob may not approve this: carol may"));
    tells(&mut bench, "carol", json!({}));
    assert_eq!(bench.flies(), ["a"]);
}

#[test]
fn a_gate_reminds_until_it_is_answered() {
    let gate = step("a").gate(1, None, OnReject::Fail).set(|step| {
        step.approve.as_mut().expect("a gate").remind_ms = Some(60_000);
    });
    let mut bench = Bench::start(plan(vec![gate]));
    let count = |bench: &Bench| {
        let all = bench.journal.iter();
        all.filter(|event| matches!(event.kind, EventKind::ApprovalReminded { .. })).count()
    };
    bench.pass(150_000);
    assert_eq!(count(&bench), 2);
    let mut bench = bench.crash(Vec::new());
    bench.pass(30_000);
    assert_eq!(count(&bench), 3);
    bench.answer("bob", RequestKind::Approve, "a").pass(120_000);
    assert_eq!(count(&bench), 3);
}

#[test]
fn what_was_decided_about_a_failed_step_is_done_although_dr_died_before() {
    let mut bench = Bench::start(plan(vec![step("a"), step("b").needs(&["a"])]));
    bench.err("a", refused());
    let request = bench.request("alice", RequestKind::Retry, "a");
    let mut bench = bench.crash(vec![request]);
    let accepted =
        |event: &crate::event::Event| matches!(event.kind, EventKind::RequestAccepted { .. });
    let kept = bench.journal.iter().position(accepted).expect("it was accepted") + 1;
    bench.journal.truncate(kept);
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["a"]);
    bench.ok("a", nothing()).ok("b", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded");
}
