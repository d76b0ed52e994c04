use dr_plugin::{CallError, Checked, Effect, Keyed};
use serde_json::{Value, json};

use super::bench::Bench;
use super::build::{Build, START_S, expr, nothing, plan, step};
use crate::event::{Event, EventKind, Outcome, RequestKind, SkipReason, StepState, Verdict};
use crate::machine::LaunchKind;
use crate::plan::{Plan, Rule, Tally};
use crate::text::Templated;
use crate::words::{OnFailure, Severity};

fn finished<'a>(bench: &'a Bench, id: &str) -> &'a crate::event::StepFinished {
    let found = bench.journal.iter().rev().find_map(|event| match &event.kind {
        EventKind::StepFinished(finished) if finished.step.as_str() == id => Some(finished),
        _ => None,
    });
    found.expect("finished")
}

fn error(bench: &Bench, id: &str) -> String {
    finished(bench, id).error.as_ref().map(|error| error.message.clone()).unwrap_or_default()
}

#[test]
fn outputs_are_captured_rendered_and_kept() {
    let mut next = step("b").needs(&["a"]);
    next.with = Templated::parse(&json!({ "text": "x is {{ steps.a.outputs.x }}" })).expect("text");
    let steps = vec![step("a").output("x", "result.n + 1").output("y", "outputs.x * 2"), next];
    let mut bench = Bench::start(plan(steps));
    bench.ok("a", json!({ "n": 1 }));
    assert_eq!(finished(&bench, "a").outputs["y"], json!(4));
    assert_eq!(bench.flying[0].input, json!({ "text": "x is 2" }));
    // What was rendered is used again, not rendered again.
    let bench = bench.crash(Vec::new());
    assert_eq!(bench.flying[0].input, json!({ "text": "x is 2" }));
    let inputs = bench
        .journal
        .iter()
        .filter(|event| matches!(&event.kind, EventKind::AttemptStarted { input: Some(_), .. }));
    assert_eq!(inputs.count(), 1);
}

#[test]
fn what_cannot_be_told_fails_the_step() {
    let mut with = step("with");
    with.with = Templated::parse(&json!({ "a": "{{ values.none }}" })).expect("text");
    let mut when = step("when");
    when.when = Some(expr("values.none == 1"));
    let mut number = step("number");
    number.when = Some(expr("1 + 1"));
    let all = vec![
        with.on_failure(OnFailure::Continue),
        when.on_failure(OnFailure::Continue),
        number.on_failure(OnFailure::Continue),
        step("out").output("x", "result.none.deep").on_failure(OnFailure::Continue),
    ];
    let mut bench = Bench::start(plan(all));
    bench.ok("out", json!({}));
    bench.ends(Verdict::Failed, "with failed, when failed, number failed, out failed");
    assert!(
        error(&bench, "number").contains("neither true nor false"),
        "{}",
        error(&bench, "number")
    );
}

#[test]
fn when_is_decided_once_all_it_reads_is_known() {
    let mut hand = step("hand").needs(&["fence"]);
    hand.when = Some(expr("steps.fence.status == 'warned'"));
    let steps = || {
        vec![step("fence").on_failure(OnFailure::Warn), hand.clone(), step("go").needs(&["hand"])]
    };
    let mut bench = Bench::start(plan(steps()));
    bench.ok("fence", nothing()).ok("go", nothing());
    bench.ends(Verdict::Succeeded, "fence succeeded, hand skipped, go succeeded");
    let mut bench = Bench::start(plan(steps()));
    bench.err("fence", CallError::permanent("x", "x")).ok("hand", nothing()).ok("go", nothing());
    bench.ends(Verdict::Succeeded, "fence warned, hand succeeded, go succeeded");
}

#[test]
fn expectations_fail_warn_or_say_which() {
    let computed = |severity: &str| {
        step("a").expects("result.n > 3", Severity::Fail).set(|step| {
            step.expect[0].severity = Rule::Computed(expr(severity));
            step.expect[0].message =
                Some(Templated::parse(&json!("only {{ result.n }}")).expect("text"));
        })
    };
    for (made, n, state, told) in [
        (step("a").expects("result.n > 3", Severity::Fail), 4, StepState::Succeeded, ""),
        (step("a").expects("result.n > 3", Severity::Fail), 1, StepState::Failed, "does not hold"),
        (step("a").expects("result.n > 3", Severity::Warn), 1, StepState::Warned, ""),
        (step("a").expects("result.x", Severity::Warn), 1, StepState::Failed, "result.x"),
        (computed("'warn'"), 1, StepState::Warned, ""),
        (computed("result.n < 2 ? 'fail' : 'warn'"), 1, StepState::Failed, "only 1"),
        (computed("'maybe'"), 1, StepState::Failed, "neither"),
    ] {
        let mut bench = Bench::start(plan(vec![made]));
        bench.ok("a", json!({ "n": n }));
        assert_eq!(bench.state("a"), state, "{told}");
        assert!(error(&bench, "a").contains(told), "{}", error(&bench, "a"));
        assert_eq!(finished(&bench, "a").warnings.is_empty(), state != StepState::Warned);
    }
}

#[test]
fn a_retry_reenters_where_the_step_failed() {
    let guarded =
        |effect| vec![step("a").effect(effect).expects("result.n > inputs.least", Severity::Fail)];
    let least = |steps, least: u32| {
        let mut plan = plan(steps);
        plan.inputs.insert("least".to_owned(), json!(least));
        plan
    };
    for (effect, again) in
        [(Effect::Once, false), (Effect::Idempotent, false), (Effect::Pure, true)]
    {
        let mut bench = Bench::start(least(guarded(effect), 3));
        bench.ok("a", json!({ "n": 2 }));
        assert_eq!(bench.state("a"), StepState::Failed);
        let retry = bench.request("bob", RequestKind::Retry, "a");
        let journal = bench.journal.clone();
        // The plan of the resumed run asks for less, so that the same result is enough.
        let amended = std::sync::Arc::new(least(guarded(effect), 1));
        let bench = Bench::on(amended, journal.clone(), 50_000).begin(true, vec![retry]);
        assert_eq!(!bench.flying.is_empty(), again, "{effect}");
        let expected = if again { StepState::Running } else { StepState::Succeeded };
        assert_eq!(bench.state("a"), expected);

        let mut bench = Bench::on(std::sync::Arc::new(least(guarded(effect), 1)), journal, 50_000);
        let redo = bench.request("bob", RequestKind::Redo, "a");
        let bench = bench.begin(true, vec![redo]);
        assert_eq!(bench.flying[0].attempt, 2);
    }
}

#[test]
fn recovery_points_are_times_or_warnings() {
    for (value, point, state) in [
        (json!("2027-01-01T00:00:00Z"), true, StepState::Succeeded),
        (json!("yesterday"), false, StepState::Warned),
    ] {
        let made = step("a").set(|step| step.recovery_point = Some(expr("timestamp(result.at)")));
        let mut bench = Bench::start(plan(vec![made]));
        bench.ok("a", json!({ "at": value }));
        assert_eq!(finished(&bench, "a").recovery_point.is_some(), point);
        assert_eq!(bench.state("a"), state);
    }
}

#[test]
fn the_steps_own_check_tells_whether_it_was_done() {
    let promote = || step("p").check("result.standby == false");
    let crashed = |made| {
        let bench = Bench::start(plan(vec![made])).crash(Vec::new());
        let launch = &bench.flying[0];
        assert_eq!((launch.kind, launch.uses.to_string()), (LaunchKind::Apply, "sim.look".into()));
        bench
    };
    let mut bench = crashed(promote());
    bench.ok("p", json!({ "standby": false }));
    bench.ends(Verdict::Succeeded, "p succeeded");

    let mut bench = crashed(promote());
    bench.ok("p", json!({ "standby": true }));
    assert_eq!((bench.flying[0].uses.to_string(), bench.flying[0].attempt), ("sim.act".into(), 1));

    // Neither true nor false is no answer.
    let mut bench = crashed(promote());
    bench.ok("p", json!({ "standby": null }));
    assert_eq!(bench.flying.len() + usize::from(bench.state("p") == StepState::Unknown), 1);

    // Done, but what it gave is needed.
    let mut bench = crashed(promote().output("x", "result.x"));
    bench.ok("p", json!({ "standby": false }));
    assert_eq!(bench.state("p"), StepState::Unknown);

    // Still going is asked again.
    let going = promote().set(|step| {
        if let Some(check) = &mut step.check {
            check.running = Some(expr("result.going"));
        }
    });
    let mut bench = crashed(going);
    bench.ok("p", json!({ "standby": true, "going": true }));
    assert!(bench.flying.is_empty());
    bench.pass(1_000).ok("p", json!({ "standby": false }));
    bench.ends(Verdict::Succeeded, "p succeeded");
}

#[test]
fn a_job_that_cannot_tell_leaves_it_to_the_check() {
    let made = || step("p").check("result.done").keyed(Keyed::Job);
    let crashed = || {
        let mut bench = Bench::start(plan(vec![made()])).crash(Vec::new());
        bench.checked("p", Checked::CannotTell("the host was restarted".to_owned()));
        assert_eq!(bench.flying[0].uses.to_string(), "sim.look");
        bench
    };
    let mut bench = crashed();
    bench.ok("p", json!({ "done": true }));
    bench.ends(Verdict::Succeeded, "p succeeded");
    let mut bench = crashed();
    bench.ok("p", json!({ "done": false })).pass(0);
    assert_eq!(bench.flying[0].attempt, 2, "its old name is used up");
}

#[test]
fn a_failed_checkable_step_is_checked_before_it_is_tried_again() {
    let made = || step("p").check("result.done").retry_written(2);
    let failed = || {
        let mut bench = Bench::start(plan(vec![made()]));
        bench.err("p", CallError::permanent("exit_1", "it said no"));
        assert_eq!(bench.flying[0].uses.to_string(), "sim.look");
        bench
    };
    let mut bench = failed();
    bench.ok("p", json!({ "done": true }));
    bench.ends(Verdict::Succeeded, "p succeeded");
    let mut bench = failed();
    bench.ok("p", json!({ "done": false })).pass(1_000);
    assert_eq!(bench.flying[0].attempt, 2);
    bench.err("p", CallError::permanent("exit_1", "it said no"));
    bench.ends(Verdict::Failed, "p failed");
}

#[test]
fn retry_when_narrows() {
    let made = || {
        step("a").retry_written(3).set(|step| step.retry.when = Some(expr("error.code == 'busy'")))
    };
    let mut bench = Bench::start(plan(vec![made()]));
    bench.err("a", CallError::permanent("busy", "busy")).pass(1_000);
    assert_eq!(bench.flying[0].attempt, 2);
    bench.err("a", CallError::transient("other", "other"));
    bench.ends(Verdict::Failed, "a failed");
}

/// Numbers of the readings that the journal tells of.
fn readings(bench: &Bench) -> Vec<(u32, Outcome)> {
    let told = |event: &Event| match &event.kind {
        EventKind::AttemptFinished(finished) => Some((finished.attempt, finished.outcome)),
        _ => None,
    };
    bench.journal.iter().filter_map(told).collect()
}

#[test]
fn readings_go_on_until_it_holds_and_only_news_is_told() {
    use Outcome::{Failed, Succeeded};
    let made = step("a").until("outputs.n >= 2", 1_000, Some(60_000)).output("n", "result.n");
    let mut bench = Bench::start(plan(vec![made]));
    for n in [0, 0, 0, 1, 1] {
        bench.ok("a", json!({ "n": n })).pass(1_000);
    }
    bench.ok("a", json!({ "n": 2 }));
    bench.ends(Verdict::Succeeded, "a succeeded");
    assert_eq!(readings(&bench), [(1, Failed), (4, Failed), (6, Succeeded)]);
    let started = bench.told(0).iter().filter(|told| told.starts_with("attempt_started")).count();
    assert_eq!(started, 1);
}

#[test]
fn readings_stop_at_their_limits() {
    let ends = |change: fn(&mut crate::plan::Repeat)| {
        let made = step("a").until("result.n == 1", 1_000, None).set(|step| {
            step.repeat.iter_mut().for_each(change);
        });
        let mut bench = Bench::start(plan(vec![made]));
        let mut made = 0;
        while !bench.flying.is_empty() && made < 100 {
            made += 1;
            bench.ok("a", json!({ "n": 0 })).pass(1_000);
        }
        (made, bench.state("a"))
    };
    assert_eq!(ends(|repeat| repeat.at_most = Some(3)), (3, StepState::Failed));
    assert_eq!(ends(|repeat| repeat.timeout_ms = Some(2_500)), (3, StepState::TimedOut));
}

#[test]
fn it_must_hold_long_enough_and_see_what_was_before() {
    let made = step("a").until("previous != null && outputs.n == previous.n", 1_000, None);
    let made = made.output("n", "result.n").set(|step| {
        if let Some(repeat) = &mut step.repeat {
            (repeat.stable, repeat.at_least) = (2, 5);
        }
    });
    let mut bench = Bench::start(plan(vec![made]));
    let mut last = 0;
    for (made, n) in [7, 7, 7, 8, 8, 8].into_iter().enumerate() {
        assert_eq!(bench.state("a"), StepState::Running, "after {made}");
        bench.ok("a", json!({ "n": n })).pass(1_000);
        last = made + 1;
    }
    bench.ends(Verdict::Succeeded, "a succeeded");
    assert_eq!(last, 6);
}

#[test]
fn errors_of_readings_are_tolerated_as_told() {
    let read = |tolerate: Option<&str>, error: &CallError| {
        let made = step("a").until("true", 1_000, Some(60_000)).set(|step| {
            if let Some(repeat) = &mut step.repeat {
                repeat.tolerate = tolerate.map(expr);
            }
        });
        let mut bench = Bench::start(plan(vec![made]));
        bench.err("a", error.clone());
        bench.state("a")
    };
    let busy = CallError::transient("busy", "busy");
    let gone = CallError::permanent("exit_1", "gone");
    assert_eq!(read(None, &busy), StepState::Running);
    assert_eq!(read(None, &gone), StepState::Failed);
    assert_eq!(read(Some("error.code == 'exit_1'"), &gone), StepState::Running);
    assert_eq!(read(Some("error.code == 'exit_1'"), &busy), StepState::Failed);
}

#[test]
fn a_command_of_a_validation_says_not_yet_by_its_exit_code() {
    let read = |code: &str| {
        let works = |step: &mut crate::plan::Step| step.validates = Some("works".to_owned());
        let made = step("v").until("", 1_000, Some(60_000)).set(works);
        let mut bench = Bench::start(plan(vec![made]));
        bench.err("v", CallError::permanent(code, "no"));
        bench.state("v")
    };
    for (code, state) in [
        ("exit_1", StepState::Running),
        ("exit_75", StepState::Running),
        ("exit_126", StepState::Failed),
        ("exit_127", StepState::Failed),
        ("command_not_found", StepState::Failed),
        ("exit_", StepState::Failed),
    ] {
        assert_eq!(read(code), state, "{code}");
    }
}

#[test]
fn readings_go_on_after_a_crash_within_the_same_limit() {
    let made = step("a").until("result.n == 1", 1_000, Some(15_000));
    let mut bench = Bench::start(plan(vec![made]));
    bench.ok("a", json!({ "n": 0 })).pass(1_000);
    let before = bench.flying[0].attempt;
    let mut bench = bench.crash(Vec::new());
    bench.pass(0);
    assert!(bench.flying[0].attempt > before, "no number is used twice");
    bench.ok("a", json!({ "n": 0 }));
    assert_eq!(bench.state("a"), StepState::Running);
    bench.pass(4_000);
    bench.flying.clear();
    assert_eq!(bench.ms, 15_000);
    let mut bench = bench.crash(Vec::new());
    // Whoever comes back too late still looks once.
    bench.pass(0);
    assert_eq!(bench.flies(), ["a"]);
    bench.ok("a", json!({ "n": 0 }));
    bench.ends(Verdict::Failed, "a timed_out");
}

#[test]
fn a_validation_is_asked_until_its_expectations_hold() {
    let made = || {
        step("v")
            .until("", 1_000, Some(60_000))
            .expects("result.rows[0].ok", Severity::Fail)
            .set(|step| step.validates = Some("works".to_owned()))
    };
    let mut bench = Bench::start(plan(vec![made()]));
    bench.ok("v", json!({ "rows": [] })).pass(1_000);
    bench.ok("v", json!({ "rows": [{ "ok": false }] })).pass(1_000);
    bench.ok("v", json!({ "rows": [{ "ok": true }] }));
    bench.ends(Verdict::Succeeded, "v succeeded");
}

#[test]
fn a_share_of_the_checks_is_enough() {
    let tally = |threshold: f64, results: [bool; 3]| {
        let check = |id: &str| step(id).on_failure(OnFailure::Warn);
        let counts = step("t").without_action().after(&["a", "b", "c"]).set(|step| {
            let of = ["a", "b", "c"].map(Into::into).to_vec();
            step.tally = Some(Tally { of, threshold });
        });
        let mut bench = Bench::start(plan(vec![check("a"), check("b"), check("c"), counts]));
        for (id, passes) in ["a", "b", "c"].into_iter().zip(results) {
            if passes {
                bench.ok(id, nothing());
            } else {
                bench.err(id, CallError::permanent("x", "x"));
            }
        }
        bench.state("t")
    };
    assert_eq!(tally(0.66, [true, true, false]), StepState::Succeeded);
    assert_eq!(tally(0.67, [true, true, false]), StepState::Failed);
    assert_eq!(tally(1.0, [true, true, true]), StepState::Succeeded);
}

#[test]
fn guards_and_computed_steps_need_no_slot() {
    let mut plan: Plan = plan(vec![
        step("busy"),
        step("value").without_action().output("v", "2 + 3"),
        step("guard")
            .without_action()
            .needs(&["value"])
            .expects("steps.value.outputs.v == 5", Severity::Fail),
    ]);
    plan.pools.get_mut("run").expect("the run").capacity = 1;
    let mut bench = Bench::start(plan);
    assert_eq!(bench.states(), "busy running, value succeeded, guard succeeded");
    bench.ok("busy", nothing());
    let skipped = bench
        .journal
        .iter()
        .any(|event| matches!(event.kind, EventKind::StepSkipped { reason: SkipReason::When, .. }));
    assert!(!skipped);
}

fn service_plan() -> Plan {
    let mut plan = plan(vec![
        step("a")
            .service("db")
            .set(|step| step.recovery_point = Some(expr("timestamp(result.at)"))),
        step("v").service("db").needs(&["a"]).set(|step| step.validates = Some("works".into())),
        step("w").service("web").needs(&["v"]),
    ]);
    plan.services[0].rto_ms = Some(60_000);
    plan.services[0].rpo_ms = Some(10_000);
    plan.services[0].validated = true;
    plan.services[1].depends_on = vec!["db".into()];
    plan
}

fn at(ms_before_start: i64) -> Value {
    let at = crate::time::Timestamp::from_millisecond(START_S * 1_000 - ms_before_start);
    json!({ "at": at.expect("in range").to_string() })
}

#[test]
fn services_are_measured_against_their_objectives() {
    let play = |loss_ms: i64, late_ms: u64| {
        let mut bench = Bench::start(service_plan());
        bench.ms += late_ms;
        bench.ok("a", at(loss_ms));
        bench.ms += 1_000;
        bench.ok("v", nothing());
        bench.ms += 1_000;
        bench.ok("w", nothing());
        let Some(EventKind::RunFinished(finished)) = bench.journal.last().map(|e| &e.kind) else {
            panic!("{:?}", bench.journal.last())
        };
        finished.clone()
    };
    let good = play(9_000, 30_000);
    assert_eq!(good.verdict, Verdict::Succeeded);
    let db = &good.services[0];
    assert_eq!((db.rta_ms, db.met_rto), (Some(31_000), Some(true)));
    assert_eq!((db.rpa_ms, db.met_rpo), (Some(9_000), Some(true)));
    let web = &good.services[1];
    assert_eq!((web.rta_ms, web.met_rto, web.met_rpo), (Some(32_000), None, None));

    let late = play(9_000, 59_500);
    assert_eq!((late.verdict, late.services[0].met_rto), (Verdict::ObjectiveMissed, Some(false)));
    let lossy = play(11_000, 0);
    assert_eq!((lossy.verdict, lossy.services[0].met_rpo), (Verdict::ObjectiveMissed, Some(false)));
}

#[test]
fn what_has_not_recovered_says_why() {
    let mut bench = Bench::start(service_plan());
    bench.ok("a", at(1_000)).err("v", CallError::permanent("x", "x"));
    let told = |name: &str| {
        bench.journal.iter().find_map(|event| match &event.kind {
            EventKind::ServiceFinished { service, recovered, rta_ms }
                if service.as_str() == name =>
            {
                Some((*recovered, *rta_ms))
            }
            _ => None,
        })
    };
    assert_eq!((told("db"), told("web")), (Some((false, None)), Some((false, None))));
    bench.ends(Verdict::Failed, "a succeeded, v failed, w blocked");
    let Some(EventKind::RunFinished(finished)) = bench.journal.last().map(|event| &event.kind)
    else {
        panic!("{:?}", bench.journal.last())
    };
    let db = &finished.services[0];
    assert_eq!((db.rta_ms, db.met_rto), (None, Some(false)));
    assert_eq!(db.reason.as_deref(), Some("`v` is failed"));
    assert_eq!(finished.reason, "`v` failed: x");
}

#[test]
fn a_halt_stops_its_service_and_those_that_depend_on_it() {
    let mut plan = plan(vec![
        step("a").service("db"),
        step("a2").service("db").after(&["slow"]),
        step("early").service("web").after(&["slow"]),
        step("other").service("mail").after(&["slow"]),
        step("alone").after(&["slow"]),
        step("slow"),
    ]);
    plan.services[1].depends_on = vec!["db".into()];
    let mut bench = Bench::start(plan);
    bench.err("a", CallError::permanent("x", "x")).ok("slow", nothing());
    bench.ok("other", nothing()).ok("alone", nothing());
    bench.ends(
        Verdict::Failed,
        "a failed, a2 blocked, early blocked, other succeeded, alone succeeded, slow succeeded",
    );
}
