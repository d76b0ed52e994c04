use dr_plugin::{CallError, Checked, Effect, ErrorClass, Keyed};
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, nothing, plan, step};
use crate::event::{EventKind, Outcome, Purpose, Question, RequestKind, StepState, Verdict};
use crate::machine::{Ending, LaunchKind};
use crate::words::{OnFailure, OnUnknown};

fn transient() -> CallError {
    CallError::transient("busy", "it is busy")
}
fn lost() -> CallError {
    CallError::unknown("connection_lost", "the connection was lost")
}
fn refused() -> CallError {
    CallError::permanent("exit_1", "it said no")
}
fn denied() -> CallError {
    CallError::denied("forbidden", "not for you")
}
fn late() -> CallError {
    CallError::unknown("timeout", "it took too long")
}

/// Attempts that are made when every one ends with `error`, and the end.
fn attempts(step: crate::plan::Step, error: &CallError) -> (u32, StepState) {
    let mut bench = Bench::start(plan(vec![step]));
    let mut attempts = 0;
    while !bench.flying.is_empty() {
        let launch = bench.flying.first().expect("one");
        assert_eq!((launch.kind, launch.purpose), (LaunchKind::Apply, Purpose::Apply));
        attempts += 1;
        assert_eq!(launch.attempt, attempts);
        bench.err("a", error.clone());
        bench.pass(60_000);
    }
    (attempts, bench.state("a"))
}

#[test]
fn what_is_tried_again() {
    use Effect::{Checkable, Idempotent, Once, Pure};
    use StepState::{Failed, TimedOut, Unknown};
    for (effect, written, error, expected) in [
        (Idempotent, false, transient(), (3, Failed)),
        (Pure, false, transient(), (3, Failed)),
        (Pure, false, lost(), (3, Failed)),
        (Idempotent, false, late(), (3, TimedOut)),
        (Once, false, transient(), (1, Failed)),
        (Checkable, false, transient(), (1, Failed)),
        (Idempotent, false, refused(), (1, Failed)),
        (Idempotent, true, refused(), (3, Failed)),
        (Idempotent, true, denied(), (1, Failed)),
        (Once, true, transient(), (3, Failed)),
        (Once, true, refused(), (1, Failed)),
        (Once, true, lost(), (1, Unknown)),
        (Once, true, late(), (1, Unknown)),
    ] {
        let mut tried = step("a").effect(effect).tries(3);
        tried.retry.written = written;
        let name = format!("{effect} {written} {error:?}");
        assert_eq!(attempts(tried, &error), expected, "{name}");
    }
}

#[test]
fn waits_double_up_to_the_limit_and_are_told_as_moments() {
    let mut bench = Bench::start(plan(vec![step("a").retry_written(7)]));
    let mut waits = Vec::new();
    while !bench.flying.is_empty() {
        bench.err("a", transient());
        let Some((_, &at)) = bench.timers.iter().next() else { break };
        waits.push(at - bench.ms);
        bench.pass(at - bench.ms);
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
    bench.ends(Verdict::Failed, "a failed");
}

#[test]
fn attempts_used_up_survive_a_crash() {
    let mut bench = Bench::start(plan(vec![step("a").tries(3)]));
    bench.err("a", transient());
    bench.pass(1_000);
    bench.err("a", transient());
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), Vec::<&str>::new(), "the moment is not forgotten");
    bench.pass(0);
    assert_eq!(bench.flying[0].attempt, 3);
    bench.err("a", transient());
    bench.ends(Verdict::Failed, "a failed");
}

#[test]
fn an_idempotent_step_is_launched_again_under_its_key() {
    let mut bench = Bench::start(plan(vec![step("a")])).crash(Vec::new());
    let launch = &bench.flying[0];
    assert_eq!((launch.attempt, launch.kind), (1, LaunchKind::Apply));
    let Some(EventKind::AttemptStarted { launch, attempt, .. }) =
        bench.journal.last().map(|event| &event.kind)
    else {
        panic!("{:?}", bench.journal.last())
    };
    assert_eq!((*attempt, *launch), (1, 2));
    bench.ok("a", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded");
}

#[test]
fn a_job_is_asked_before_anything_else() {
    let job = || step("a").effect(Effect::Once).keyed(Keyed::Job);
    let crashed = || {
        let bench = Bench::start(plan(vec![job()])).crash(Vec::new());
        assert_eq!(bench.flying[0].kind, LaunchKind::Check);
        assert_eq!((bench.flying[0].attempt, bench.flying[0].purpose), (1, Purpose::Apply));
        bench
    };
    let mut done = crashed();
    done.checked("a", Checked::Done(Some(json!({ "code": 0 }))));
    done.ends(Verdict::Succeeded, "a succeeded");
    for answer in [Checked::NotDone, Checked::Running] {
        let mut again = crashed();
        again.checked("a", answer);
        let launch = &again.flying[0];
        assert_eq!((launch.kind, launch.attempt), (LaunchKind::Apply, 1));
        again.ok("a", nothing());
        again.ends(Verdict::Succeeded, "a succeeded");
    }
    let mut lost = crashed();
    lost.checked("a", Checked::CannotTell("the host was restarted".to_owned()));
    assert_eq!(lost.state("a"), StepState::Unknown);
    let Some(EventKind::QuestionAsked { question, .. }) =
        lost.journal.last().map(|event| &event.kind)
    else {
        panic!("{:?}", lost.journal.last())
    };
    assert_eq!(*question, Question::OutcomeUnknown);
    lost.answer("bob", RequestKind::AssumeNotDone, "a");
    let launch = &lost.flying[0];
    assert_eq!((launch.kind, launch.attempt), (LaunchKind::Apply, 2), "the old name is taken");
    lost.ok("a", nothing());
    lost.ends(Verdict::Succeeded, "a succeeded");
}

#[test]
fn a_check_that_fails_is_tried_again_before_it_cannot_tell() {
    let job = step("a").effect(Effect::Once).keyed(Keyed::Job);
    let mut bench = Bench::start(plan(vec![job])).crash(Vec::new());
    for _ in 0..3 {
        let launch = bench.fly("a");
        assert_eq!(launch.kind, LaunchKind::Check);
        let result = crate::machine::AttemptResult::Checked(Err(transient()));
        bench.feed(crate::machine::Input::AttemptDone { ticket: launch.ticket, result });
        bench.pass(5_000);
    }
    assert_eq!(bench.state("a"), StepState::Unknown);
}

#[test]
fn an_ambiguous_error_of_a_living_run_is_found_out_in_the_same_way() {
    let job = step("a").effect(Effect::Once).keyed(Keyed::Job);
    let mut bench = Bench::start(plan(vec![job]));
    bench.err("a", lost());
    assert_eq!(bench.flying[0].kind, LaunchKind::Check);
    bench.checked("a", Checked::NotDone);
    assert_eq!((bench.flying[0].kind, bench.flying[0].attempt), (LaunchKind::Apply, 1));
    // It is not launched for ever.
    for _ in 0..10 {
        if bench.flying.is_empty() {
            break;
        }
        bench.err("a", lost());
        bench.checked("a", Checked::NotDone);
        bench.pass(60_000);
    }
    bench.ends(Verdict::Failed, "a failed");
}

#[test]
fn a_token_is_used_again_whatever_the_effect() {
    let once = step("a").effect(Effect::Once).keyed(Keyed::Token);
    let mut bench = Bench::start(plan(vec![once]));
    bench.err("a", lost());
    bench.pass(1_000);
    assert_eq!((bench.flying[0].kind, bench.flying[0].attempt), (LaunchKind::Apply, 1));
    let mut bench = bench.crash(Vec::new());
    assert_eq!((bench.flying[0].kind, bench.flying[0].attempt), (LaunchKind::Apply, 1));
    bench.ok("a", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded");
}

#[test]
fn on_unknown_decides_where_nothing_can_tell() {
    let once = |on_unknown| step("a").effect(Effect::Once).on_unknown(on_unknown);
    let crashed = |on_unknown| Bench::start(plan(vec![once(on_unknown)])).crash(Vec::new());

    crashed(OnUnknown::Fail).ends(Verdict::Failed, "a failed");
    crashed(OnUnknown::Done).ends(Verdict::Succeeded, "a warned");

    let mut retried = crashed(OnUnknown::Retry);
    retried.pass(1_000);
    assert_eq!(retried.flying[0].attempt, 2, "a key that may be used up is not used again");
    retried.ok("a", nothing()).ends(Verdict::Succeeded, "a succeeded");
    let mut retried = Bench::start(plan(vec![once(OnUnknown::Retry)]));
    while !retried.flying.is_empty() {
        retried.err("a", lost());
        retried.pass(60_000);
    }
    retried.ends(Verdict::Failed, "a failed");
    for (step, most) in [
        (once(OnUnknown::Retry), 3),
        (once(OnUnknown::Retry).retry_written(1), 1),
        (once(OnUnknown::Retry).retry_written(2), 2),
        (once(OnUnknown::Retry).retry_written(5), 5),
    ] {
        assert_eq!(attempts(step, &lost()), (most, StepState::Failed), "the first included");
    }

    let mut asked = crashed(OnUnknown::Ask);
    assert_eq!(asked.state("a"), StepState::Unknown);
    asked.answer("bob", RequestKind::Retry, "a");
    assert!(asked.refusal().is_some_and(|why| why.contains("nothing can tell")));
    asked.answer("bob", RequestKind::AssumeDone, "a");
    asked.ends(Verdict::Succeeded, "a succeeded");
    let mut asked = crashed(OnUnknown::Ask);
    asked.answer("bob", RequestKind::AssumeNotDone, "a");
    assert_eq!(asked.flying[0].attempt, 1);
    asked.ok("a", nothing()).ends(Verdict::Succeeded, "a succeeded");
    let mut asked = crashed(OnUnknown::Ask);
    asked.answer("bob", RequestKind::Fail, "a");
    asked.ends(Verdict::Failed, "a failed");
}

#[test]
fn without_anybody_a_question_pauses_the_run() {
    let plan = plan(vec![step("a").effect(Effect::Once), step("b")]);
    let mut bench = Bench::unattended(plan);
    bench.err("a", lost());
    assert_eq!(bench.ending, None, "something else still runs");
    bench.ok("b", nothing());
    assert_eq!(bench.ending, Some(Ending::Paused(vec!["a".into()])));
    // Whoever resumes it is not asked by the machine again: the question stands.
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.state("a"), StepState::Unknown);
    bench.answer("bob", RequestKind::AssumeDone, "a");
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded");
}

#[test]
fn an_answer_on_the_command_line_comes_before_any_check() {
    for (ask, launches) in [(RequestKind::AssumeDone, 0), (RequestKind::AssumeNotDone, 1)] {
        let job = step("a").effect(Effect::Once).keyed(Keyed::Job);
        let mut bench = Bench::start(plan(vec![job]));
        let request = bench.request("bob", ask, "a");
        let mut bench = bench.crash(vec![request]);
        assert_eq!(bench.flying.len(), launches);
        if launches == 1 {
            let launch = &bench.flying[0];
            assert_eq!((launch.kind, launch.attempt), (LaunchKind::Apply, 1));
            bench.ok("a", nothing());
        }
        bench.ends(Verdict::Succeeded, "a succeeded");
    }
}

#[test]
fn failing_may_ask() {
    let steps =
        || plan(vec![step("a").on_failure(OnFailure::Ask), step("b").needs(&["a"]), step("c")]);
    let failed = || {
        let mut bench = Bench::start(steps());
        bench.err("a", refused());
        bench.ok("c", nothing());
        bench
    };
    let mut bench = failed();
    bench.answer("bob", RequestKind::Retry, "a");
    assert_eq!(bench.flying[0].attempt, 2);
    bench.ok("a", nothing()).ok("b", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded, c succeeded");

    let mut bench = failed();
    bench.answer("bob", RequestKind::Skip, "a");
    bench.ends(Verdict::Failed, "a skipped, b blocked, c succeeded");

    let mut bench = failed();
    bench.answer("bob", RequestKind::AssumeDone, "a").ok("b", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded, c succeeded");

    let mut bench = failed();
    bench.answer("bob", RequestKind::Fail, "a");
    bench.ends(Verdict::Failed, "a failed, b blocked, c succeeded");

    let mut bench = failed().crash(Vec::new());
    bench.answer("bob", RequestKind::Retry, "a");
    bench.ok("a", nothing()).ok("b", nothing());
    bench.ends(Verdict::Succeeded, "a succeeded, b succeeded, c succeeded");
}

#[test]
fn an_attempt_tells_how_it_ended() {
    let mut bench = Bench::start(plan(vec![step("a").tries(2)]));
    bench.ms += 250;
    bench.err("a", late());
    let last = bench.journal.last().map(|event| &event.kind);
    let Some(EventKind::AttemptFinished(finished)) = last else { panic!("{last:?}") };
    assert_eq!((finished.outcome, finished.duration_ms), (Outcome::TimedOut, 250));
    assert_eq!(finished.error.as_ref().map(|e| e.class), Some(ErrorClass::Unknown));
}

/// How many records of the journal come before the first one about `step`.
fn before(bench: &Bench, step: &str) -> usize {
    let about = |event: &crate::event::Event| {
        crate::machine::state::step_of(&event.kind).is_some_and(|id| id.as_str() == step)
    };
    bench.journal.iter().position(about).expect("it is in the journal")
}

#[test]
fn what_may_have_been_started_in_a_lost_part_of_the_journal_is_looked_up() {
    // A job is asked under the key that its first attempt would have had.
    let run = |found: Checked| {
        let job = step("a").effect(Effect::Once).keyed(Keyed::Job);
        let after = step("b").effect(Effect::Once).needs(&["a"]);
        let bench = Bench::start(plan(vec![job, after]));
        let kept = before(&bench, "a");
        let mut bench = bench.lose(kept);
        let launch = bench.flying.first().expect("it is asked");
        assert_eq!((launch.kind, launch.attempt), (LaunchKind::Check, 1));
        bench.checked("a", found);
        bench
    };
    let bench = run(Checked::Done(Some(json!(null))));
    assert_eq!(bench.state("a"), StepState::Succeeded);
    // Nothing could tell of `b`, which may have been done as well.
    assert_eq!(bench.state("b"), StepState::Unknown);
    // The job of a recorded result is put away: that there is none proves nothing any more.
    let bench = run(Checked::NotDone);
    assert_eq!((bench.state("a"), bench.flying.len()), (StepState::Unknown, 0));

    // What may be repeated is, and what was over is not touched.
    let mut bench =
        Bench::start(plan(vec![step("a").effect(Effect::Once), step("b").needs(&["a"])]));
    bench.ok("a", nothing());
    let kept = before(&bench, "b");
    let bench = bench.lose(kept);
    assert_eq!(bench.state("a"), StepState::Succeeded);
    assert_eq!(bench.flying.first().expect("b").kind, LaunchKind::Apply);
}
