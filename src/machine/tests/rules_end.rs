use dr_plugin::{CallError, Checked, Effect, Keyed};
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, expr, nothing, plan, step};
use super::groups::group;
use crate::event::{CancelRequest, EventKind, Purpose, RequestKind, StepState, Verdict};
use crate::machine::{Ending, Input, LaunchKind};
use crate::plan::Step;
use crate::words::{OnFailure, Phase};

fn refused() -> CallError {
    CallError::permanent("exit_1", "it said no")
}

fn muted() -> Vec<Step> {
    vec![
        step("mute"),
        step("a").needs(&["mute"]),
        step("unmute").closes("mute", &["a"]),
        step("done").needs(&["unmute"]),
    ]
}

#[test]
fn what_was_opened_is_closed_however_the_run_goes() {
    let mut bench = Bench::start(plan(muted()));
    bench.ok("mute", nothing()).ok("a", nothing()).ok("unmute", nothing()).ok("done", nothing());
    bench.ends(Verdict::Succeeded, "mute succeeded, a succeeded, unmute succeeded, done succeeded");

    // A need on a closing step is a need on all that it closes.
    let mut bench = Bench::start(plan(muted()));
    bench.ok("mute", nothing()).err("a", refused());
    assert_eq!(bench.flies(), ["unmute"], "a halt does not keep it from closing");
    bench.ok("unmute", nothing());
    bench.ends(Verdict::Failed, "mute succeeded, a failed, unmute succeeded, done blocked");

    let mut bench = Bench::start(plan(muted()));
    bench.cancel(CancelRequest::Drain).ok("mute", nothing());
    assert_eq!(bench.flies(), ["unmute"], "nor does a cancel");
    bench.ok("unmute", nothing());
    bench.ends(Verdict::Cancelled, "mute succeeded, a cancelled, unmute succeeded, done cancelled");

    // What failed to open may be half open.
    let mut bench = Bench::start(plan(muted()));
    bench.err("mute", refused()).ok("unmute", nothing());
    bench.ends(Verdict::Failed, "mute failed, a blocked, unmute succeeded, done blocked");
}

#[test]
fn what_was_never_opened_is_not_closed() {
    let mut steps = muted();
    steps.insert(0, step("first"));
    steps[1] = step("mute").needs(&["first"]);
    let mut bench = Bench::start(plan(steps));
    bench.err("first", refused());
    bench.ends(
        Verdict::Failed,
        "first failed, mute blocked, a blocked, unmute skipped, done blocked",
    );
}

#[test]
fn a_closing_step_that_fails_leaves_the_run_stuck() {
    for (policy, verdict, state) in [
        (OnFailure::Halt, Verdict::Stuck, StepState::Failed),
        (OnFailure::Warn, Verdict::Succeeded, StepState::Warned),
    ] {
        let steps = vec![step("mute"), step("unmute").closes("mute", &[]).on_failure(policy)];
        let mut bench = Bench::start(plan(steps));
        bench.ok("mute", nothing()).err("unmute", refused());
        assert_eq!(bench.state("unmute"), state);
        assert_eq!(bench.ending, Some(Ending::Verdict(verdict)));
    }
    // Whoever resumes a stuck run closes it by hand or tries again.
    let mut bench = Bench::start(plan(muted()));
    bench.ok("mute", nothing()).ok("a", nothing()).err("unmute", refused());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Stuck)));
    let retry = bench.request("bob", RequestKind::Retry, "unmute");
    let mut bench = bench.crash(vec![retry]);
    bench.ok("unmute", nothing()).ok("done", nothing());
    bench.ends(Verdict::Succeeded, "mute succeeded, a succeeded, unmute succeeded, done succeeded");
}

#[test]
fn what_was_closed_is_opened_again_when_its_work_goes_on() {
    let mut bench = Bench::start(plan(muted()));
    bench.ok("mute", nothing()).err("a", refused()).ok("unmute", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Failed)));
    let retry = bench.request("bob", RequestKind::Retry, "a");
    let mut bench = bench.crash(vec![retry]);
    assert_eq!(bench.flies(), ["mute"]);
    assert_eq!(bench.flying[0].attempt, 2);
    bench.ok("mute", nothing()).ok("a", nothing()).ok("unmute", nothing()).ok("done", nothing());
    bench.ends(Verdict::Succeeded, "mute succeeded, a succeeded, unmute succeeded, done succeeded");

    // The same after a cancel.
    let mut bench = Bench::start(plan(muted()));
    bench.cancel(CancelRequest::Drain).ok("mute", nothing()).ok("unmute", nothing());
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["mute"]);
    bench.ok("mute", nothing()).ok("a", nothing()).ok("unmute", nothing()).ok("done", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Succeeded)));

    // Without work that goes on, it stays closed.
    let mut bench = Bench::start(plan(muted()));
    bench.ok("mute", nothing()).err("a", refused()).ok("unmute", nothing());
    let bench = bench.crash(Vec::new());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Failed)));
}

#[test]
fn what_is_open_stays_so_while_anything_in_between_runs() {
    let steps = || {
        vec![
            step("mute"),
            step("copy").needs(&["mute"]),
            step("probe").needs(&["mute"]),
            step("switch").needs(&["copy", "probe"]),
            step("unmute").closes("mute", &["switch"]),
        ]
    };
    let play = |stop: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::start(plan(steps()));
        bench.ok("mute", nothing());
        stop(&mut bench);
        assert_eq!(bench.flies(), ["copy"], "{}", bench.states());
        let mut bench = bench.crash(Vec::new());
        bench.ok("copy", nothing());
        bench
    };
    let mut failed = play(&|bench| {
        bench.err("probe", refused());
    });
    assert_eq!(failed.flies(), ["unmute"]);
    failed.ok("unmute", nothing());
    failed.ends(
        Verdict::Failed,
        "mute succeeded, copy succeeded, probe failed, switch blocked, unmute succeeded",
    );

    let mut bench = Bench::start(plan(steps()));
    bench.ok("mute", nothing()).ok("probe", nothing()).cancel(CancelRequest::Drain);
    assert_eq!((bench.flies(), bench.state("switch")), (vec!["copy"], StepState::Cancelled));
    bench.ok("copy", nothing());
    assert_eq!(bench.flies(), ["unmute"]);
}

#[test]
fn a_question_keeps_open_what_a_cancel_closes() {
    let steps = || {
        let mut steps = muted();
        steps[1].effect = Effect::Once;
        steps
    };
    let lost = || CallError::unknown("connection_lost", "lost");
    let mut bench = Bench::unattended(plan(steps()));
    bench.ok("mute", nothing()).err("a", lost());
    assert_eq!(bench.ending, Some(Ending::Paused(vec!["a".into()])));
    assert_eq!(bench.state("unmute"), StepState::Pending);
    let mut bench = Bench::start(plan(steps()));
    bench.ok("mute", nothing()).err("a", lost()).cancel(CancelRequest::Drain);
    bench.ok("unmute", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Cancelled)));
}

fn failover() -> Vec<Step> {
    vec![
        step("fence").undo(),
        step("note").needs(&["fence"]),
        step("promote").needs(&["note"]).undo(),
        step("dns").needs(&["promote"]).undo(),
        step("other").needs(&["fence"]).undo(),
        step("check").needs(&["dns", "other"]).on_failure(OnFailure::Undo),
        step("later").needs(&["check"]).undo(),
    ]
}

fn failed() -> Bench {
    let mut bench = Bench::start(plan(failover()));
    for id in ["fence", "note", "other", "promote", "dns"] {
        bench.ok(id, nothing());
    }
    bench.err("check", refused());
    bench
}

#[test]
fn what_was_done_is_taken_back_in_reverse() {
    let mut bench = failed();
    assert_eq!(bench.flies(), ["dns!undo", "other!undo"]);
    let launch = &bench.flying[0];
    assert_eq!((launch.purpose, launch.kind), (Purpose::Undo, LaunchKind::Apply));
    assert_eq!(launch.uses.to_string(), "sim.undo");
    bench.ok("other!undo", nothing());
    assert_eq!(bench.flies(), ["dns!undo"]);
    bench.ok("dns!undo", nothing());
    assert_eq!(bench.flies(), ["promote!undo"]);
    bench.ok("promote!undo", nothing());
    bench.ok("fence!undo", nothing());
    bench.ends(
        Verdict::Unwound,
        "fence undone, note succeeded, promote undone, dns undone, other undone, check failed, \
         later blocked",
    );
    // It begins anew once what failed is put back; until then nothing does.
    let bench = bench.crash(Vec::new());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Unwound)));
}

#[test]
fn an_unwound_run_begins_anew_once_what_failed_is_put_back() {
    let mut bench = failed();
    for id in ["other!undo", "dns!undo", "promote!undo", "fence!undo"] {
        bench.ok(id, nothing());
    }
    let retry = bench.request("bob", RequestKind::Retry, "check");
    let mut bench = bench.crash(vec![retry]);
    for id in ["fence", "other", "promote", "dns", "check", "later"] {
        assert_eq!(bench.flying[0].attempt, if id == "later" { 1 } else { 2 }, "{id}");
        bench.ok(id, nothing());
    }
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Succeeded)));
}

#[test]
fn unwinding_goes_on_after_a_crash() {
    let mut bench = failed();
    bench.ok("other!undo", nothing());
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["dns!undo"]);
    bench.ok("dns!undo", nothing());
    let mut bench = bench.crash(Vec::new());
    bench.ok("promote!undo", nothing()).ok("fence!undo", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Unwound)));
}

#[test]
fn what_cannot_be_taken_back_leaves_the_run_stuck() {
    let mut bench = failed();
    bench.err("dns!undo", refused());
    bench.ok("other!undo", nothing());
    bench.ends(
        Verdict::Stuck,
        "fence succeeded, note succeeded, promote succeeded, dns undo_failed, other undone, \
         check failed, later blocked",
    );
    let retry = bench.request("bob", RequestKind::Retry, "dns!undo");
    let mut bench = bench.crash(vec![retry]);
    for id in ["dns!undo", "promote!undo", "fence!undo"] {
        bench.ok(id, nothing());
    }
    bench.ends(
        Verdict::Unwound,
        "fence undone, note succeeded, promote undone, dns undone, other undone, check failed, \
         later blocked",
    );
}

#[test]
fn a_step_that_may_not_have_happened_is_checked_before_it_is_taken_back() {
    let steps = || {
        vec![
            step("p").check("result.done").undo().on_failure(OnFailure::Undo),
            step("job").effect(Effect::Once).keyed(Keyed::Job).undo(),
        ]
    };
    let play = |done: bool| {
        let mut bench = Bench::start(plan(steps()));
        bench.err("p", refused());
        assert_eq!(bench.flies(), ["job"], "what runs is let run");
        bench.err("job", CallError::unknown("connection_lost", "lost"));
        assert_eq!(bench.state("job"), StepState::Cancelled);
        bench.checked("job", Checked::NotDone);
        assert_eq!(bench.flying[0].uses.to_string(), "sim.look");
        bench.ok("p!undo", json!({ "done": done }));
        bench
    };
    play(false).ends(Verdict::Unwound, "p failed, job undone");
    let mut bench = play(true);
    assert_eq!(bench.flying[0].uses.to_string(), "sim.undo");
    bench.ok("p!undo", nothing());
    bench.ends(Verdict::Unwound, "p failed, job undone");
}

#[test]
fn a_job_whose_end_is_on_record_is_taken_back_without_asking_it() {
    let job = || step("job").effect(Effect::Once).keyed(Keyed::Job).undo();
    let undoing = || job().on_failure(OnFailure::Undo);

    let mut bench = Bench::start(plan(vec![undoing()]));
    bench.err("job", refused());
    assert_eq!(bench.flies(), ["job!undo"], "what it did halfway is taken back");
    assert_eq!(bench.flying[0].kind, LaunchKind::Apply);
    let mut bench = bench.crash(Vec::new());
    bench.ok("job!undo", nothing());
    bench.ends(Verdict::Unwound, "job failed");

    // Whoever is asked about the failure may take it back.
    let mut bench = Bench::start(plan(vec![job().on_failure(OnFailure::Ask)]));
    bench.err("job", refused()).answer("bob", RequestKind::CancelUndo, "job");
    assert_eq!(bench.flies(), ["job!undo"]);

    // It says nothing of an attempt before the one that it is asked about.
    let twice = undoing().set(|step| step.effect = Effect::Idempotent).retry_written(2);
    let mut bench = Bench::start(plan(vec![twice]));
    bench.err("job", refused()).pass(1_000);
    bench.err("job", CallError::transient("refused", "no connection"));
    bench.checked("job", Checked::NotDone);
    assert_eq!((bench.flying[0].kind, bench.flies()), (LaunchKind::Apply, vec!["job!undo"]));

    // A step's own check looks at the world.
    let checked = job().check("result.done").on_failure(OnFailure::Undo);
    let mut bench = Bench::start(plan(vec![checked]));
    bench.err("job", refused());
    assert_eq!(bench.flying[0].purpose, Purpose::Check);
    bench.ok("job!undo", json!({ "done": false }));
    bench.ends(Verdict::Unwound, "job failed");

    // It can tell where its last attempt left nothing on record.
    let mut bench = Bench::start(plan(vec![undoing()]));
    bench.err("job", CallError::transient("refused", "no connection"));
    bench.checked("job", Checked::NotDone);
    bench.ends(Verdict::Unwound, "job failed");
}

#[test]
fn an_action_undoes_itself_with_what_it_was_told() {
    let mut own = step("a").undo();
    own.with = crate::text::Templated::literal(json!({ "x": 1 }));
    own.undo.as_mut().expect("undo").own_undo = true;
    let mut bench =
        Bench::start(plan(vec![own, step("b").needs(&["a"]).on_failure(OnFailure::Undo)]));
    bench.ok("a", nothing()).err("b", refused());
    let launch = &bench.flying[0];
    assert_eq!((launch.kind, &launch.input), (LaunchKind::Undo, &json!({ "x": 1 })));
}

#[test]
fn what_it_did_is_known_to_what_takes_it_back() {
    let mut a = step("a").output("old", "result.old").undo();
    let undo = a.undo.as_mut().expect("undo");
    undo.with =
        crate::text::Templated::parse(&json!({ "to": "{{ self.outputs.old }}" })).expect("text");
    let mut bench =
        Bench::start(plan(vec![a, step("b").needs(&["a"]).on_failure(OnFailure::Undo)]));
    bench.ok("a", json!({ "old": "10.0.0.1" })).err("b", refused());
    assert_eq!(bench.flying[0].input, json!({ "to": "10.0.0.1" }));
}

#[test]
fn going_back_past_a_point_of_no_return_is_asked_about() {
    let steps = || {
        vec![
            step("a").undo().set(|step| step.point_of_no_return = true),
            step("b").needs(&["a"]).on_failure(OnFailure::Undo),
        ]
    };
    let asked = |attended: bool| {
        let mut bench = Bench::new(plan(steps())).begin(attended, Vec::new());
        bench.ok("a", nothing()).err("b", refused());
        assert!(bench.flying.is_empty());
        bench
    };
    assert_eq!(asked(false).ending, Some(Ending::Paused(vec!["a".into()])));
    for (ask, go_on) in [(RequestKind::CancelUndo, true), (RequestKind::Cancel, false)] {
        let mut bench = asked(true).crash(Vec::new());
        assert_eq!(bench.ending, None);
        let mut request = bench.request("bob", ask, "a");
        request.step = None;
        bench.feed(Input::Answer(request));
        if go_on {
            bench.ok("a!undo", nothing());
            bench.ends(Verdict::Unwound, "a undone, b failed");
        } else {
            bench.ends(Verdict::Failed, "a succeeded, b failed");
        }
    }
}

#[test]
fn a_cancel_may_take_everything_back() {
    let mut steps = plan(vec![step("a").undo(), step("b").needs(&["a"]).undo()]);
    let mut bench = Bench::start(steps.clone());
    bench.ok("a", nothing());
    let mut request = bench.request("bob", RequestKind::CancelUndo, "a");
    request.step = None;
    bench.feed(Input::Answer(request));
    assert_eq!(bench.flies(), ["b"], "what runs is let run");
    bench.ok("b", nothing()).ok("b!undo", nothing()).ok("a!undo", nothing());
    bench.ends(Verdict::Unwound, "a undone, b undone");

    steps.undo_on_cancel = true;
    let mut bench = Bench::start(steps);
    bench.cancel(CancelRequest::Drain);
    bench.ok("a", nothing()).ok("a!undo", nothing());
    bench.ends(Verdict::Unwound, "a undone, b cancelled");
}

#[test]
fn a_person_who_is_asked_may_take_everything_back() {
    let steps = vec![step("a").undo(), step("b").needs(&["a"]).on_failure(OnFailure::Ask)];
    let mut bench = Bench::start(plan(steps));
    bench.ok("a", nothing()).err("b", refused());
    bench.answer("bob", RequestKind::Undo, "b");
    bench.ok("a!undo", nothing());
    bench.ends(Verdict::Unwound, "a undone, b failed");
    let told = bench.journal.iter().any(|event| {
        matches!(&event.kind, EventKind::StepFinished(finished)
            if finished.by.as_ref().is_some_and(|by| by.user == "bob"))
    });
    assert!(told);
}

#[test]
fn steps_are_closed_after_they_are_taken_back() {
    let steps = vec![
        step("mute"),
        step("a").needs(&["mute"]).undo(),
        step("b").needs(&["a"]).on_failure(OnFailure::Undo),
        step("unmute").closes("mute", &["b"]),
    ];
    let mut bench = Bench::start(plan(steps));
    bench.ok("mute", nothing()).ok("a", nothing()).err("b", refused());
    assert_eq!(bench.flies(), ["a!undo"]);
    bench.ok("a!undo", nothing());
    assert_eq!(bench.flies(), ["unmute"]);
    bench.ok("unmute", nothing());
    bench.ends(Verdict::Unwound, "mute succeeded, a undone, b failed, unmute succeeded");
}

#[test]
fn traces_are_put_away_at_the_end() {
    let steps = || {
        vec![
            step("a"),
            step("drop").after(&["a"]).set(|step| step.phase = Some(Phase::Cleanup)),
            step("b").needs(&["a"]),
        ]
    };
    let mut bench = Bench::start(plan(steps()));
    bench.ok("a", nothing());
    assert_eq!(bench.flies(), ["b"]);
    bench.ok("b", nothing()).ok("drop", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, drop succeeded, b succeeded");
    let mut bench = Bench::start(plan(steps()));
    bench.err("a", refused()).ok("drop", nothing());
    bench.ends(Verdict::Failed, "a failed, drop succeeded, b blocked");
    let mut bench = Bench::start(plan(steps()));
    bench.cancel(CancelRequest::Drain).ok("a", nothing()).err("drop", refused());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Stuck)));
}

#[test]
fn a_closing_step_may_read_what_it_closes() {
    let steps = vec![
        step("open").output("id", "result.id"),
        step("close").closes("open", &[]).set(|step| step.when = Some(expr("self.outputs.id > 0"))),
    ];
    let mut bench = Bench::start(plan(steps));
    bench.ok("open", json!({ "id": 1 })).ok("close", nothing());
    assert_eq!(bench.ending, Some(Ending::Verdict(Verdict::Succeeded)));
}

/// A group that has failed fails again when the run goes on, and stops what it stopped before: what
/// was closed by then stays closed, and whoever still runs goes on with what it had.
#[test]
fn nothing_is_reopened_for_what_a_failed_group_stops() {
    let mut steps = group("g", vec![step("x")]);
    steps.extend([
        step("open"),
        step("work").needs(&["open"]),
        step("rest").needs(&["open", "work"]),
        step("close").closes("open", &["rest"]),
    ]);
    let mut bench = Bench::start(plan(steps));
    bench.ok("open", nothing()).err("g/x", CallError::permanent("exit_1", "no"));
    assert_eq!(bench.flies(), ["work"], "it is open as long as that runs");
    let mut bench = bench.crash(Vec::new());
    bench.ok("work", nothing());
    assert_eq!(bench.flies(), ["close"], "nothing is begun without what it needs");
    let mut bench = bench.crash(Vec::new());
    bench.ok("close", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    assert!(
        bench.states().contains("open succeeded, work succeeded, rest blocked, close succeeded")
    );
}

#[test]
fn what_is_tried_again_alone_after_all_was_taken_back_can_be_taken_back_again() {
    let beside = step("beside").undo().set(|step| step.on_failure = OnFailure::Continue);
    let mut bench = Bench::start(plan(vec![
        beside,
        step("a").undo().set(|step| step.on_failure = OnFailure::Undo),
        step("b").needs(&["a"]).set(|step| step.on_failure = OnFailure::Undo),
    ]));
    bench.err("beside", refused()).err("a", refused());
    bench.ok("beside!undo", nothing()).ok("a!undo", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Unwound));
    // What else failed stays so, which stands in nobody's way.
    let request = bench.request("alice", RequestKind::Retry, "a");
    let mut bench = bench.crash(vec![request]);
    bench.ok("a", nothing()).err("b", refused());
    assert_eq!(bench.flies(), ["a!undo"], "it was done again, and nothing else");
    bench.ok("a!undo", nothing());
    bench.ends(Verdict::Unwound, "beside failed, a undone, b failed");
}
