use std::sync::Arc;

use dr_plugin::Stream;
use proptest::prelude::*;

use super::fixture::{self, Story, actor, at, plan};
use super::{Advice, Phase, View, WaitingFor, quote, what_now};
use crate::event::{
    CancelRequest, EventKind, Next, Purpose, Record, SkipReason, StepState, Verdict, Volatile,
};
use crate::time::Timestamp;

fn folded(records: &[Record]) -> View {
    let mut view = View::new(&plan());
    for record in records {
        assert!(view.apply_record(record));
    }
    view
}

fn states(view: &View) -> Vec<(&str, &'static str)> {
    view.steps().iter().map(|step| (step.id.as_str(), view.state(step).as_str())).collect()
}

fn waits(view: &View, step: &str, now: Option<Timestamp>) -> Option<String> {
    let step = view.step(step).expect("a step of the plan");
    view.waiting_for(step, &view.taken()).map(|waiting| waiting.describe(now))
}

#[test]
fn a_plan_is_shown_before_it_starts() {
    let view = View::new(&plan());
    assert_eq!(*view.phase(), Phase::New);
    assert_eq!(
        states(&view)[..3],
        [("notify", "ready"), ("fence_primary", "ready"), ("fence_by_hand", "pending")]
    );
    assert_eq!(view.counts().total, 9);
    assert_eq!(what_now(&view, false).len(), 1);
}

#[test]
fn steps_follow_their_events() {
    let mut story = Story::begin();
    story.until_gate();
    let view = folded(&story.records);
    assert_eq!(
        states(&view),
        [
            ("notify", "warned"),
            ("fence_primary", "warned"),
            ("fence_by_hand", "succeeded"),
            ("last_commit", "succeeded"),
            ("promote", "waiting"),
            ("database!validation/1", "pending"),
            ("restart_web@web_1", "pending"),
            ("restart_web@web_2", "pending"),
            ("web!validation/1", "pending"),
        ]
    );
    let fence = view.step("fence_primary").expect("fence");
    assert_eq!(fence.attempts.len(), 2);
    assert_eq!((fence.started_ms, fence.finished_ms), (Some(100), Some(4_100)));
    assert_eq!(fence.attempts[0].duration_ms, Some(1_000));
    let gate = view.step("promote").and_then(|step| step.open_gate()).expect("an open gate");
    assert_eq!((gate.asked_ms, gate.approvals()), (24_400, 0));
    let counts = view.counts();
    assert_eq!((counts.over, counts.warned, counts.waiting, counts.pending), (4, 2, 1, 4));
}

#[test]
fn what_waits_says_for_what() {
    let mut story = Story::begin();
    story.until_gate();
    let view = folded(&story.records);
    let now = Some(at(30_000));
    for (step, waiting) in [
        ("promote", Some("approval, 9m54s left")),
        ("database!validation/1", Some("promote (waiting)")),
        ("restart_web@web_1", Some("database!validation/1")),
        ("web!validation/1", Some("restart_web@web_1, restart_web@web_2")),
        ("last_commit", None),
    ] {
        assert_eq!(waits(&view, step, now).as_deref(), waiting, "{step}");
    }

    let mut story = Story::begin();
    story.launch("fence_primary", 1, Purpose::Apply).wait(1_000).land(
        "fence_primary",
        1,
        Purpose::Apply,
        Some(dr_plugin::CallError::transient("reset", "reset")),
        Next::Again { at: at(4_000) },
    );
    let view = folded(&story.records);
    let backoff = waits(&view, "fence_primary", Some(at(1_500)));
    assert_eq!(backoff.as_deref(), Some("attempt 2 in 2.5s"));
    assert_eq!(waits(&view, "notify", None).as_deref(), Some("its turn"));
}

#[test]
fn a_full_pool_is_named() {
    let mut plan = Arc::unwrap_or_clone(plan());
    plan.pools.get_mut("run").expect("the run's pool").capacity = 1;
    let mut story = Story::begin();
    story.launch("fence_primary", 1, Purpose::Apply);
    let mut view = View::new(&Arc::new(plan));
    for record in &story.records {
        view.apply_record(record);
    }
    let notify = view.step("notify").expect("notify");
    let waiting = view.waiting_for(notify, &view.taken()).expect("it waits");
    assert!(matches!(waiting, WaitingFor::Room(_)));
    assert_eq!(waiting.describe(None), "room in the run's parallelism (1 of 1 taken)");
}

#[test]
fn a_resume_makes_blocked_steps_pending_again() {
    let view = folded(&fixture::failed());
    assert_eq!(view.verdict(), Some(Verdict::Failed));
    assert_eq!(view.step("web!validation/1").map(|step| step.state), Some(StepState::Blocked));
    let view = folded(&fixture::resumed());
    assert_eq!(view.verdict(), Some(Verdict::ObjectiveMissed));
    assert_eq!(view.sessions().len(), 2);
    assert_eq!(view.sessions()[0].verdict, Some(Verdict::Failed));
    let again = view.step("restart_web@web_2").expect("a step");
    assert_eq!((again.state, again.attempts.len()), (StepState::Succeeded, 2));
    assert_eq!(again.resets[0].was, StepState::Failed);
    let services = view.services();
    assert_eq!(services[0].state.recovered, Some(true));
    assert_eq!(services[1].state.rta_ms, Some(387_000));
}

#[test]
fn a_step_that_is_put_back_frees_what_it_blocked() {
    let mut story = Story::begin();
    let blocked =
        |step: &str, by: &str| EventKind::StepBlocked { step: step.into(), by: vec![by.into()] };
    story
        .launch("fence_primary", 1, Purpose::Apply)
        .over("fence_primary", StepState::Failed)
        .tell(blocked("fence_by_hand", "fence_primary"))
        .tell(blocked("last_commit", "fence_by_hand"))
        .tell(blocked("notify", "web!validation/1"))
        .tell(EventKind::ServiceFinished {
            service: "database".into(),
            recovered: false,
            rta_ms: None,
        });
    assert_eq!(folded(&story.records).services()[0].state.recovered, Some(false));
    story.tell(EventKind::StepReset {
        step: "fence_primary".into(),
        redo: false,
        by: actor("bob"),
        reason: None,
    });
    let view = folded(&story.records);
    assert_eq!(view.services()[0].state.recovered, None);
    assert_eq!(
        states(&view)[..4],
        [
            ("notify", "blocked"),
            ("fence_primary", "ready"),
            ("fence_by_hand", "pending"),
            ("last_commit", "pending"),
        ]
    );
}

#[test]
fn a_gate_is_closed_by_what_happens_to_its_step() {
    let mut story = Story::begin();
    story.until_gate().wait(1_000).tell(EventKind::StepCancelled { step: "promote".into() });
    let view = folded(&story.records);
    let promote = view.step("promote").expect("promote");
    assert!(promote.open_gate().is_none());
    assert_eq!(promote.gates[0].withdrawn_ms, Some(25_400));
}

#[test]
fn what_a_crash_left_is_lost_until_its_next_event() {
    let mut story = Story::begin();
    story.until_promotion().wait(60_000).tell(EventKind::RunResumed {
        session: 2,
        by: actor("bob"),
        attended: false,
        reason: None,
    });
    let view = folded(&story.records);
    let promote = view.step("promote").expect("promote");
    assert!(promote.attempts[0].lost && promote.running_attempt().is_none());
    story.tell(EventKind::AttemptStarted {
        step: "promote".into(),
        attempt: 1,
        purpose: Purpose::Apply,
        launch: 2,
        input: None,
        deadline: None,
    });
    let view = folded(&story.records);
    let promote = view.step("promote").expect("promote");
    assert_eq!((promote.attempts.len(), promote.attempts[0].launches), (1, 2));
    assert!(!promote.attempts[0].lost);
}

#[test]
fn a_failed_step_that_is_passed_over_meets_no_need() {
    let mut story = Story::begin();
    story.launch("fence_primary", 1, Purpose::Apply).over("fence_primary", StepState::Failed).tell(
        EventKind::StepSkipped {
            step: "fence_primary".into(),
            reason: SkipReason::Person,
            by: Some(actor("alice")),
            note: None,
        },
    );
    let view = folded(&story.records);
    let fence = view.step("fence_primary").expect("fence");
    assert!(fence.state == StepState::Skipped && !fence.meets_needs());
    assert_eq!(waits(&view, "fence_by_hand", None).as_deref(), Some("fence_primary (skipped)"));
}

#[test]
fn volatile_events_only_touch_what_runs() {
    let mut story = Story::begin();
    story.launch("fence_primary", 1, Purpose::Apply);
    let mut view = folded(&story.records);
    let output = |step: &str, text: &str| Volatile::Output {
        step: step.into(),
        stream: Stream::Stdout,
        text: text.to_owned(),
    };
    view.apply_volatile(&output("fence_primary", "one\n\u{1b}[31mtwo\u{1b}[0m\n\n"));
    view.apply_volatile(&output("promote", "late"));
    view.apply_volatile(&output("no_such_step", "?"));
    view.apply_volatile(&Volatile::Progress {
        step: "fence_primary".into(),
        message: String::new(),
        share: Some(1.5),
    });
    let fence = view.step("fence_primary").expect("fence");
    assert_eq!((fence.progress.as_deref(), fence.share), (Some("two"), Some(1.0)));
    assert_eq!(view.step("promote").and_then(|step| step.progress.as_deref()), None);
    assert_eq!(view.steps().len(), 9);
}

#[test]
fn gaps_are_counted() {
    let records = fixture::succeeded();
    let mut view = View::new(&plan());
    view.apply_record(&records[0]);
    view.apply_record(&records[4]);
    assert_eq!((view.missed(), view.last_seq()), (3, 5));
}

#[test]
fn words_for_a_shell() {
    for (text, quoted) in [
        ("promote", "promote"),
        ("restart_web@web_1/stop", "restart_web@web_1/stop"),
        ("database!validation/1", "'database!validation/1'"),
        ("it's", r"'it'\''s'"),
        ("", "''"),
        ("$(id)", "'$(id)'"),
    ] {
        assert_eq!(quote(text), quoted);
    }
}

fn advice_text(view: &View, alive: bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for Advice { what, command } in what_now(view, alive) {
        let _ = writeln!(out, "{what}");
        if let Some(command) = command {
            let _ = writeln!(out, "    {command}");
        }
    }
    out
}

#[test]
fn every_state_has_an_answer() {
    let mut running = Story::begin();
    running.until_promotion();
    let mut stopping = Story::begin();
    stopping.until_promotion().tell(EventKind::CancelRequested {
        by: actor("bob"),
        level: CancelRequest::Drain,
        reason: None,
    });
    let mut cancelled = Story::begin();
    cancelled.until_promotion().end(1, Verdict::Cancelled, "cancelled by bob", Vec::new());
    let mut gate = Story::begin();
    gate.until_gate();
    let mut all = String::new();
    for (name, records, alive) in [
        ("running", running.records.clone(), true),
        ("running, waiting for a person", gate.records.clone(), true),
        ("stopping", stopping.records, true),
        ("killed", running.records, false),
        ("paused", fixture::paused(), false),
        ("unknown", fixture::unknown(), true),
        ("failed", fixture::failed(), false),
        ("cancelled", cancelled.records, false),
        ("succeeded", fixture::succeeded(), false),
        ("objective missed", fixture::resumed(), false),
    ] {
        all.extend([
            "== ",
            name,
            "
",
            &advice_text(&folded(&records), alive),
            "
",
        ]);
    }
    insta::assert_snapshot!(all);
}

/// What must not depend on how the stream was delivered.
fn essence(view: &View) -> String {
    let steps: Vec<_> = view
        .steps()
        .iter()
        .map(|step| {
            let mut step = step.clone();
            step.progress = None;
            step.share = None;
            step
        })
        .collect();
    format!("{steps:?} {:?} {:?} {:?}", view.services(), view.sessions(), view.phase())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn copies_and_lost_volatile_events_change_nothing(
        story in 0_usize..5,
        noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..40),
    ) {
        let records = match story {
            0 => fixture::succeeded(),
            1 => fixture::failed(),
            2 => fixture::resumed(),
            3 => fixture::unknown(),
            _ => fixture::paused(),
        };
        let plain = folded(&records);
        let mut noisy = View::new(&plan());
        for (position, record) in records.iter().enumerate() {
            noisy.apply_record(record);
            for (index, copy) in &noise {
                if index.index(records.len()) > position {
                    continue;
                }
                if *copy {
                    let seen = noisy.apply_record(&records[index.index(position + 1)]);
                    prop_assert!(!seen);
                } else {
                    noisy.apply_volatile(&Volatile::Progress {
                        step: noisy.steps()[index.index(9)].id.clone(),
                        message: "noise".to_owned(),
                        share: None,
                    });
                }
            }
        }
        prop_assert_eq!(essence(&noisy), essence(&plain));
        prop_assert_eq!(noisy.missed(), 0);
    }
}
