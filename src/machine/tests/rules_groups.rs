use dr_plugin::{CallError, Effect};
use serde_json::json;

use super::bench::Bench;
use super::build::{Build, expr, nothing, step};
use super::groups::{each, group, later, plan_of};
use crate::event::{CancelRequest, RequestKind, StepState, Verdict};
use crate::machine::Ending;
use crate::plan::{Items, OnReject, Plan, Pool, Step};
use crate::words::OnFailure;

fn no() -> CallError {
    CallError::permanent("exit_1", "no")
}

/// States of the steps that do something or end something, in order.
fn states(bench: &Bench) -> String {
    let all = bench.states();
    let shown: Vec<&str> = all.split(", ").filter(|part| !part.contains("!begin")).collect();
    shown.join(", ")
}

#[test]
fn what_is_found_during_the_run_is_done_on_its_host() {
    let on_each = || {
        let on = |step: Step| step.set(|step| step.host = Some("{{ item }}".to_owned()));
        let takes = |step: Step| on(step).takes("host:{{ item }}", 1);
        let mut work = takes(step("x")).undo();
        let undo = work.undo.as_deref_mut().expect("an undo");
        undo.host.clone_from(&work.host);
        vec![work]
    };
    let mut plan = plan_of(vec![
        vec![step("found").output("hosts", "result.hosts")],
        later("l", "steps.found.outputs.hosts", (None, 0), on_each),
    ]);
    plan.steps[1].needs.push("found".into());
    for name in ["web_1", "web_2"] {
        let host =
            serde_json::from_value(json!({ "name": name, "address": name })).expect("a host");
        plan.hosts.insert(name.to_owned(), host);
        plan.pools.insert(format!("host:{name}"), Pool { capacity: 8 });
    }
    let mut bench = Bench::start(plan);
    bench.ok("found", json!({ "hosts": ["web_1", "web_2"] }));
    assert_eq!(bench.flies(), ["l@web_1/x", "l@web_2/x"]);
    let host = bench.flying[1].host.as_ref().map(|host| host.name.as_str());
    assert_eq!(host, Some("web_2"));
}

#[test]
fn a_group_is_over_when_all_its_steps_are() {
    let mut bench = Bench::start(plan_of(vec![
        vec![step("a")],
        group("g", vec![step("x").output("n", "result.n"), step("y").needs(&["x"])])
            .into_iter()
            .map(|step| match step.id.as_str() {
                "g!begin" => step.needs(&["a"]),
                "g" => step.output("n", "steps.x.outputs.n + 1"),
                _ => step,
            })
            .collect(),
        vec![step("b").needs(&["g"]).set(|step| step.when = Some(expr("steps.g.outputs.n == 2")))],
    ]));
    assert_eq!(bench.flies(), ["a"]);
    bench.ok("a", nothing());
    assert_eq!(bench.flies(), ["g/x"]);
    bench.ok("g/x", json!({ "n": 1 }));
    assert_eq!(bench.flies(), ["g/y"]);
    bench.ok("g/y", nothing());
    assert_eq!(bench.flies(), ["b"]);
    bench.ok("b", nothing());
    bench.ends(
        Verdict::Succeeded,
        "a succeeded, g!begin succeeded, g/x succeeded, g/y succeeded, g succeeded, b succeeded",
    );
}

#[test]
fn a_failure_inside_is_the_groups_to_answer() {
    let play = |policy: OnFailure| {
        let mut steps = group("g", vec![step("x"), step("y").needs(&["x"]), step("z")]);
        let end = steps.last_mut().expect("an end");
        end.on_failure = policy;
        let mut bench = Bench::start(plan_of(vec![
            steps,
            vec![step("b").needs(&["g"]), step("slow"), step("c").needs(&["slow"])],
        ]));
        bench.err("g/x", no());
        bench.ok("g/z", nothing());
        while let Some(&id) = bench.flies().first() {
            let id = id.to_owned();
            bench.ok(&id, nothing());
        }
        (bench.verdict(), states(&bench))
    };
    assert_eq!(
        play(OnFailure::Warn),
        (
            Some(Verdict::Succeeded),
            "g/x failed, g/y blocked, g/z succeeded, g warned, b succeeded, slow succeeded, c succeeded"
                .to_owned()
        )
    );
    assert_eq!(
        play(OnFailure::Continue),
        (
            Some(Verdict::Failed),
            "g/x failed, g/y blocked, g/z succeeded, g failed, b blocked, slow succeeded, c succeeded"
                .to_owned()
        )
    );
    assert_eq!(
        play(OnFailure::Halt),
        (
            Some(Verdict::Failed),
            "g/x failed, g/y blocked, g/z succeeded, g failed, b blocked, slow succeeded, c blocked"
                .to_owned()
        )
    );
}

#[test]
fn a_group_that_is_passed_over_passes_over_what_is_inside() {
    let mut steps = group("g", vec![step("x"), step("y").needs(&["x"])]);
    steps[0].when = Some(expr("1 == 2"));
    let mut bench = Bench::start(plan_of(vec![steps, vec![step("b").needs(&["g"])]]));
    assert_eq!(bench.flies(), ["b"]);
    bench.ok("b", nothing());
    bench.ends(
        Verdict::Succeeded,
        "g!begin skipped, g/x skipped, g/y skipped, g skipped, b succeeded",
    );
}

#[test]
fn elements_enter_the_window_in_order_and_leave_it_when_they_are_over() {
    let make = || vec![step("stop"), step("start").needs(&["stop"])];
    let mut bench = Bench::start(plan_of(vec![each("l", &["c", "a", "b"], (Some(2), 0), make)]));
    assert_eq!(bench.flies(), ["l@c/stop", "l@a/stop"]);
    bench.ok("l@a/stop", nothing());
    assert_eq!(bench.flies(), ["l@c/stop", "l@a/start"]);
    bench.ok("l@a/start", nothing());
    assert_eq!(bench.flies(), ["l@c/stop", "l@b/stop"]);
    for id in ["l@c/stop", "l@c/start", "l@b/stop", "l@b/start"] {
        bench.ok(id, nothing());
    }
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
}

#[test]
fn a_loop_bears_as_many_failures_as_it_says() {
    let make = || vec![step("stop"), step("start").needs(&["stop"])];
    let play = |bears: u32| {
        let mut bench = Bench::start(plan_of(vec![
            each("l", &["a", "b", "c", "d"], (Some(2), bears), make),
            vec![step("after").needs(&["l"])],
        ]));
        bench.err("l@a/stop", no());
        while let Some(&id) = bench.flies().first() {
            let id = id.to_owned();
            bench.ok(&id, nothing());
        }
        (bench.verdict(), states(&bench))
    };
    assert_eq!(
        play(1),
        (
            Some(Verdict::Succeeded),
            "l@a/stop failed, l@a/start blocked, l@a failed, l@b/stop succeeded, l@b/start \
             succeeded, l@b succeeded, l@c/stop succeeded, l@c/start succeeded, l@c succeeded, \
             l@d/stop succeeded, l@d/start succeeded, l@d succeeded, l warned, after succeeded"
                .to_owned()
        )
    );
    // What runs goes on to its end; what has not begun does not.
    assert_eq!(
        play(0),
        (
            Some(Verdict::Failed),
            "l@a/stop failed, l@a/start blocked, l@a failed, l@b/stop succeeded, l@b/start \
             succeeded, l@b succeeded, l@c/stop blocked, l@c/start blocked, l@c blocked, \
             l@d/stop blocked, l@d/start blocked, l@d blocked, l failed, after blocked"
                .to_owned()
        )
    );
}

#[test]
fn retrying_a_group_retries_what_failed_inside_and_lets_the_rest_go_on() {
    let make = || vec![step("stop"), step("start").needs(&["stop"])];
    let mut bench = Bench::start(plan_of(vec![
        each("l", &["a", "b"], (Some(1), 0), make),
        vec![step("after").needs(&["l"])],
    ]));
    bench.err("l@a/stop", no());
    assert_eq!(bench.verdict(), Some(Verdict::Failed));
    let request = bench.request("alice", RequestKind::Retry, "l");
    let mut bench = bench.crash(vec![request]);
    assert_eq!(bench.flies(), ["l@a/stop"]);
    for id in ["l@a/stop", "l@a/start", "l@b/stop", "l@b/start", "after"] {
        bench.ok(id, nothing());
    }
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
}

#[test]
fn an_element_keeps_its_place_in_the_window_over_a_crash() {
    let make = || vec![step("stop"), step("start").needs(&["stop"])];
    let mut bench = Bench::start(plan_of(vec![each("l", &["a", "b"], (Some(1), 0), make)]));
    bench.ok("l@a/stop", nothing());
    let bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["l@a/start"]);
}

#[test]
fn a_session_ends_although_elements_wait_for_a_window_that_only_people_free() {
    let looped = |b: fn(Step) -> Step| {
        let make = move || vec![step("a"), b(step("b").needs(&["a"]))];
        plan_of(vec![each("l", &["x", "z"], (Some(1), 0), make)])
    };
    let asks = |step: Step| step.gate(1, None, OnReject::Fail);
    let lost = || CallError::unknown("connection_lost", "the connection was lost");

    let mut bench = Bench::unattended(looped(asks));
    bench.ok("l@x/a", nothing());
    assert_eq!(bench.ending, Some(Ending::Paused(vec!["l@x/b".into()])));
    let answer = bench.request("ann", RequestKind::Approve, "l@x/b");
    let bench = bench.crash(vec![answer]);
    assert_eq!(bench.flies(), ["l@x/b"]);

    for (step, error) in [
        (looped(|step| step.on_failure(OnFailure::Ask)), no()),
        (looped(|step| step.effect(Effect::Once)), lost()),
    ] {
        let mut bench = Bench::unattended(step);
        bench.ok("l@x/a", nothing()).err("l@x/b", error);
        assert_eq!(bench.ending, Some(Ending::Paused(vec!["l@x/b".into()])));
    }

    // Somebody is there, and leaves.
    let mut bench = Bench::start(looped(asks));
    bench.ok("l@x/a", nothing());
    assert_eq!(bench.ending, None);
    bench.answer("ann", RequestKind::Pause, "l");
    assert_eq!(bench.ending, Some(Ending::Paused(vec!["l@x/b".into()])));
    let mut bench = Bench::start(looped(asks));
    bench.ok("l@x/a", nothing()).cancel(CancelRequest::Drain);
    assert_eq!(bench.verdict(), Some(Verdict::Cancelled));
}

#[test]
fn an_element_that_was_over_enters_the_window_again_before_anything_of_it_runs() {
    let make = || vec![step("down"), step("up").needs(&["down"])];
    let names = &["a", "b", "c"];
    let looped = || plan_of(vec![each("l", names, (Some(1), 0), make)]);
    let captured = || {
        let list = step("list").output("items", "result.items");
        let mut l = later("l", "steps.list.outputs.items", (Some(1), 0), make);
        l[0].needs.push("list".into());
        plan_of(vec![vec![list], l])
    };
    let goes_on = |mut bench: Bench, order: &[&str]| {
        for id in order {
            assert_eq!(bench.flies(), [*id], "one after the other");
            bench.ok(id, nothing());
        }
        assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
    };
    for plan in [looped(), captured()] {
        for (ask, what) in [(RequestKind::Retry, "l@a/up"), (RequestKind::Retry, "l")] {
            let mut bench = Bench::start(plan.clone());
            if bench.flies() == ["list"] {
                bench.ok("list", json!({ "items": names }));
            }
            bench.ok("l@a/down", nothing()).err("l@a/up", no());
            let request = bench.request("ann", ask, what);
            let bench = bench.crash(vec![request]);
            assert_eq!(bench.flies(), ["l@a/up"]);
            // It has its place in the window over a crash.
            let bench = bench.crash(Vec::new());
            goes_on(bench, &["l@a/up", "l@b/down", "l@b/up", "l@c/down", "l@c/up"]);
        }
    }

    // The one that is under way comes first, also after a crash.
    for crashes in [false, true] {
        let mut bench = Bench::start(looped());
        bench.ok("l@a/down", nothing()).ok("l@a/up", nothing());
        bench.answer("ann", RequestKind::Redo, "l@a/down");
        assert_eq!(bench.state("l@a/down"), StepState::Pending);
        if crashes {
            bench = bench.crash(Vec::new());
        }
        goes_on(bench, &["l@b/down", "l@b/up", "l@a/down", "l@c/down", "l@c/up"]);
    }
}

/// A loop over what `list` gives, of two steps for each element.
fn unknown(max_items: u32) -> Plan {
    let template =
        each("l", &["*"], (Some(1), 0), || vec![step("stop"), step("start").needs(&["stop"])]);
    let end = template.last().expect("an end").clone();
    let begin = template[0].clone().needs(&["list"]);
    let template: Vec<_> = template[1..template.len() - 1]
        .iter()
        .cloned()
        .map(|step| step.set(|step| step.bound.clear()))
        .collect();
    let end = end.set(|end| {
        end.after.clear();
        let group = end.group.as_mut().expect("a loop");
        group.of.clear();
        group.each.as_mut().expect("a loop").items = Some(Items {
            from: expr("steps.list.outputs.names"),
            name: "item".to_owned(),
            estimate: 1,
            max_items,
            allow_empty: false,
            template,
        });
    });
    plan_of(vec![
        vec![step("list").output("names", "result.names"), begin, end],
        vec![step("after").needs(&["l"]).set(|step| {
            step.when = Some(expr("steps.l.items['b'].status == 'succeeded'"));
        })],
    ])
}

#[test]
fn a_loop_over_what_a_step_gave_is_expanded_when_it_begins() {
    let mut bench = Bench::start(unknown(5));
    assert_eq!(bench.flies(), ["list"]);
    bench.ok("list", json!({ "names": ["b", "a"] }));
    assert_eq!(bench.flies(), ["l@b/stop"]);
    bench.ok("l@b/stop", nothing());
    // The elements are remembered, not asked for again.
    let mut bench = bench.crash(Vec::new());
    assert_eq!(bench.flies(), ["l@b/start"]);
    for id in ["l@b/start", "l@a/stop", "l@a/start", "after"] {
        bench.ok(id, nothing());
    }
    assert_eq!(bench.verdict(), Some(Verdict::Succeeded));
    let expanded = bench.told(0).iter().filter(|event| event.starts_with("expanded")).count();
    assert_eq!(expanded, 1);
}

#[test]
fn elements_that_do_not_fit_fail_the_loop() {
    for (names, why) in [
        (json!(["a", "b"]), "more than the 1"),
        (json!([]), "nothing to do"),
        (json!("a"), "neither a list nor a map"),
    ] {
        let mut bench = Bench::start(unknown(1));
        bench.ok("list", json!({ "names": names }));
        assert_eq!(bench.verdict(), Some(Verdict::Failed));
        assert_eq!(states(&bench), "list succeeded, l blocked, after blocked");
        let told = bench.last_error("l!begin");
        assert!(told.contains(why), "{told}");
    }
}
