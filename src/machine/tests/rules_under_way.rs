//! What is under way when everything is taken back, and is not taken back itself.

use dr_plugin::{CallError, Checked, Effect, ErrorClass, Keyed};

use super::bench::Bench;
use super::build::{Build, nothing, plan, step};
use crate::event::{EventKind, Purpose, RequestKind, StepState, Verdict};
use crate::machine::LaunchKind;
use crate::plan::Step;
use crate::words::OnFailure;

fn lost() -> CallError {
    CallError::unknown("connection_lost", "the connection was lost")
}

fn job() -> Step {
    step("job").effect(Effect::Once).keyed(Keyed::Job)
}

/// `done` is to be taken back because `p` failed, while `other` is under way.
fn unwinds(other: Step) -> Bench {
    let first = step("done").undo();
    let fails = step("p").needs(&["done"]).on_failure(OnFailure::Undo);
    let mut bench = Bench::start(plan(vec![first, fails, other]));
    bench.ok("done", nothing()).err("p", CallError::permanent("exit_1", "it said no"));
    bench
}

#[test]
fn a_job_that_nothing_takes_back_is_looked_for() {
    for (found, state) in [
        (Checked::NotDone, "cancelled"),
        (Checked::Done(None), "succeeded"),
        (Checked::CannotTell("the host was restarted".to_owned()), "failed"),
    ] {
        for crashes in [false, true] {
            let mut bench = unwinds(job());
            if crashes {
                bench = bench.crash(Vec::new());
            } else {
                bench.err("job", lost());
            }
            assert_eq!(bench.flies(), ["job"], "nothing is taken back before it is over");
            bench.checked("job", found.clone());
            bench.ok("done!undo", nothing());
            bench.ends(Verdict::Unwound, &format!("done undone, p failed, job {state}"));
        }
    }
}

#[test]
fn a_job_that_runs_on_is_joined_and_its_end_awaited() {
    let mut bench = unwinds(job()).crash(Vec::new());
    bench.checked("job", Checked::Running);
    let joined = &bench.flying[0];
    assert_eq!(
        (joined.kind, joined.purpose, joined.attempt),
        (LaunchKind::Apply, Purpose::Apply, 1)
    );
    // A crash between the look and the joining: it is looked for once more.
    let mut bench = bench.crash(Vec::new());
    bench.checked("job", Checked::Running).ok("job", nothing()).ok("done!undo", nothing());
    bench.ends(Verdict::Unwound, "done undone, p failed, job succeeded");

    // So is one that may be done again: what it does would meet what is taken back.
    let mut bench = unwinds(job().effect(Effect::Idempotent)).crash(Vec::new());
    bench.checked("job", Checked::NotDone).ok("done!undo", nothing());
    bench.ends(Verdict::Unwound, "done undone, p failed, job cancelled");
}

#[test]
fn what_cannot_be_found_out_is_said_and_never_done_again_unasked() {
    let once = step("once").effect(Effect::Once);
    let token = step("once").effect(Effect::Once).keyed(Keyed::Token);
    for other in [once, token] {
        let mut bench = unwinds(other).crash(Vec::new());
        assert_eq!(bench.state("once"), StepState::Failed, "nobody is asked meanwhile");
        let finished = bench.journal.iter().find_map(|event| match &event.kind {
            EventKind::StepFinished(end) if end.step.as_str() == "once" => end.error.as_ref(),
            _ => None,
        });
        assert_eq!(finished.map(|error| error.class), Some(ErrorClass::Unknown));
        bench.ok("done!undo", nothing());
        bench.ends(Verdict::Unwound, "done undone, p failed, once failed");
        // Beginning anew needs a word about it.
        let retry = bench.request("bob", RequestKind::Retry, "p");
        let bench = bench.crash(vec![retry]);
        assert!(!bench.flies().contains(&"once"));
    }
}
