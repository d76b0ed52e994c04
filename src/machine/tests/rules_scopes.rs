//! Taking back one element, while the rest of the run goes on.

use dr_plugin::CallError;

use super::bench::Bench;
use super::build::{Build, nothing, step};
use super::groups::{each, group, plan_of};
use crate::event::{CancelRequest, RequestKind, StepState, Verdict};
use crate::plan::Step;
use crate::words::OnFailure;

fn no() -> CallError {
    CallError::permanent("exit_1", "no")
}

/// A step that takes back what was done around it if it fails.
fn undoing(id: &str) -> Step {
    step(id).set(|step| {
        step.on_failure = OnFailure::Undo;
        step.fails_group = true;
    })
}

fn without_begins(bench: &Bench) -> String {
    let all = bench.states();
    all.split(", ").filter(|part| !part.contains("!begin")).collect::<Vec<_>>().join(", ")
}

#[test]
fn an_element_is_taken_back_alone_in_reverse() {
    let make = || {
        vec![
            step("mute"),
            step("stop").needs(&["mute"]).undo(),
            step("start").needs(&["stop"]).undo(),
            undoing("look").needs(&["start"]),
            step("unmute").closes("mute", &["look"]),
        ]
    };
    let mut bench = Bench::start(plan_of(vec![
        each("l", &["a", "b"], (None, 1), make),
        vec![step("after").needs(&["l"])],
    ]));
    for id in ["mute", "stop", "start"] {
        bench.ok(&format!("l@a/{id}"), nothing());
        bench.ok(&format!("l@b/{id}"), nothing());
    }
    bench.err("l@a/look", no());
    assert_eq!(bench.flies(), ["l@b/look", "l@a/start!undo"], "the last first");
    bench.ok("l@b/look", nothing()).ok("l@b/unmute", nothing());
    let mut bench = bench.crash(Vec::new());
    bench.ok("l@a/start!undo", nothing());
    assert_eq!(bench.flies(), ["l@a/stop!undo"]);
    bench.ok("l@a/stop!undo", nothing());
    assert_eq!(bench.flies(), ["l@a/unmute"], "what was opened is closed after that");
    bench.ok("l@a/unmute", nothing());
    assert_eq!(bench.flies(), ["after"], "one may fail");
    bench.ok("after", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
    let states = without_begins(&bench);
    assert!(states.contains("l@a/stop undone, l@a/start undone, l@a/look failed"), "{states}");
    assert!(states.contains("l@b/stop succeeded"), "{states}");
}

#[test]
fn a_group_that_was_taken_back_begins_anew_when_tried_again() {
    let mut bench = Bench::start(plan_of(vec![
        group("g", vec![step("x").undo(), undoing("y").needs(&["x"])]),
        vec![step("after").needs(&["g"])],
    ]));
    bench.ok("g/x", nothing()).err("g/y", no()).ok("g/x!undo", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    assert!(without_begins(&bench).starts_with("g/x undone, g/y failed, g failed, after blocked"));
    let request = bench.request("alice", RequestKind::Retry, "g/y");
    let mut bench = bench.crash(vec![request]);
    assert_eq!(bench.flies(), ["g/x"]);
    bench.ok("g/x", nothing()).ok("g/y", nothing()).ok("after", nothing());
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
}

#[test]
fn a_group_inside_one_that_is_being_taken_back_does_not_begin_anew() {
    let inner =
        vec![step("x").undo(), step("work").needs(&["x"]), step("close").closes("x", &["work"])];
    let mut inside = group("p", inner);
    inside.push(undoing("y"));
    let mut bench = Bench::start(plan_of(vec![group("g", inside)]));
    bench.ok("g/p/x", nothing()).err("g/y", no()).ok("g/p/work", nothing());
    bench.ok("g/p/x!undo", nothing());
    assert_eq!(bench.flies(), ["g/p/close"]);
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["g/p/close"]);
    bench.ok("g/p/close", nothing());
    let states = without_begins(&bench);
    assert!(states.starts_with("g/p/x undone, g/p/work "), "{states}");
    assert!(states.ends_with("g/p/close succeeded, g/p failed, g/y failed, g failed"), "{states}");
}

#[test]
fn a_group_ends_although_the_step_that_failed_cannot_be_taken_back() {
    let mut bench = Bench::start(plan_of(vec![
        group("g", vec![step("x").undo(), undoing("y").undo().needs(&["x"])]),
        vec![step("after").needs(&["g"])],
    ]));
    bench.ok("g/x", nothing()).err("g/y", no());
    assert_eq!(bench.flies(), ["g/y!undo"]);
    bench.err("g/y!undo", no());
    assert_eq!(bench.flies(), Vec::<&str>::new(), "nothing is taken back under it");
    assert_eq!(bench.verdict(), Some(Verdict::Stuck));
    let states = without_begins(&bench);
    assert!(
        states.starts_with("g/x succeeded, g/y undo_failed, g failed, after blocked"),
        "{states}"
    );
}

#[test]
fn what_runs_beside_is_waited_for_and_what_has_not_begun_never_does() {
    let mut bench = Bench::start(plan_of(vec![group(
        "g",
        vec![step("x").undo(), step("z").needs(&["x"]), undoing("y")],
    )]));
    bench.err("g/y", no());
    assert_eq!(bench.flies(), ["g/x"]);
    bench.ok("g/x", nothing());
    assert_eq!(bench.flies(), ["g/x!undo"]);
    bench.ok("g/x!undo", nothing());
    assert_eq!(without_begins(&bench), "g/x undone, g/z blocked, g/y failed, g failed");
}

#[test]
fn nobody_goes_back_past_a_point_of_no_return_unasked() {
    let mut bench = Bench::start(plan_of(vec![group(
        "g",
        vec![
            step("x").undo().set(|step| step.point_of_no_return = true),
            undoing("y").needs(&["x"]),
        ],
    )]));
    bench.ok("g/x", nothing()).err("g/y", no());
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    assert!(without_begins(&bench).starts_with("g/x succeeded, g/y failed, g failed"));
}

#[test]
fn a_failed_step_that_could_not_be_taken_back_is_not_begun_anew() {
    let mut bench = Bench::start(plan_of(vec![
        vec![step("c")],
        group("g", vec![step("x").undo(), undoing("y").undo().needs(&["x"])]),
        vec![step("d").closes("c", &["g"])],
    ]));
    bench.ok("c", nothing()).ok("g/x", nothing());
    bench.err("g/y", no()).err("g/y!undo", no());
    let whole = bench.verdict();
    // Only what became of the undo had been written, not what that makes of the step.
    let undo = bench.at_end_of("g/y!undo");
    bench.journal.truncate(undo);
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["d"]);
    bench.ok("d", nothing());
    assert_eq!((bench.verdict(), whole), (Some(Verdict::Stuck), None));
    assert!(bench.states().contains("g/x succeeded, g/y undo_failed"), "{}", bench.states());
}

#[test]
fn what_an_element_still_opens_is_closed_although_its_loop_can_only_fail() {
    let make = || vec![step("w"), step("x").needs(&["w"]), step("c").closes("x", &["x"])];
    let mut bench = Bench::start(plan_of(vec![each("l", &["a", "b"], (None, 0), make)]));
    bench.err("l@a/w", no()).cancel(CancelRequest::Drain).ok("l@b/w", nothing());
    assert_eq!(bench.state("l@b/c"), StepState::Skipped, "nothing was opened");
    let mut bench = bench.crash(Vec::new());
    bench.ok("l@b/x", nothing());
    assert_eq!(bench.flies(), ["l@b/c"]);
}
