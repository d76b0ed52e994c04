use std::sync::{Arc, Mutex};

use super::super::*;
use super::support::*;
use crate::event::{EventKind, RequestKind};
use crate::id::{Digest, RequestId, RunId};
use crate::journal::{Head, Masker, MemoryStorage, Writer, decode};
use crate::machine::{Effect, Ending, Input, Session, Timer};
use crate::time::{Clock, Now, SystemClock, Timestamp};

#[tokio::test]
async fn requests_of_other_terminals_are_taken_once_and_kept_until_durable() {
    let world = World::new();
    let dir = world.dir.clone();
    let letter = |id: &str| {
        let (run, plan) = (RunId::from("r1"), Digest::from("sha256:1"));
        Letter::new(run, plan, SystemClock.wall(), request(id, RequestKind::Approve))
    };
    assert_eq!(post(&dir, &letter("early")).unwrap(), Posted::Kept);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&asked);
    let files = dir.clone();
    let logic = Scripted(move |now: Now, input| match input {
        Input::Start(session) => {
            let ids = session.requests.into_iter().map(|request| request.id.to_string());
            into.lock().unwrap().extend(ids);
            assert!(files.request(&RequestId::from("early")).exists(), "nothing is durable yet");
            vec![append(now, EventKind::ClockMoved { by_ms: 0 })]
        }
        Input::Answer(request) => {
            assert!(files.request(&request.id).exists(), "nothing is durable yet");
            into.lock().unwrap().push(request.id.to_string());
            let accepted = append(now, EventKind::RequestAccepted { request: request.clone() });
            match request.id.as_str() {
                "last" => vec![accepted, Effect::Finish(Ending::Paused(Vec::new()))],
                _ => vec![accepted],
            }
        }
        Input::Noted(kind) => {
            let EventKind::RequestRefused { request, why } = *kind else { return Vec::new() };
            into.lock().unwrap().push(format!("{} {why}", request.id));
            vec![append(now, EventKind::RequestRefused { request, why })]
        }
        _ => Vec::new(),
    });
    let storage = MemoryStorage::default();
    let (engine, handle) = world.engine(logic, storage.clone());
    let ask = async {
        let taken = |id: &str| !dir.request(&RequestId::from(id)).exists();
        until(|| taken("early")).await;
        for (id, wrong) in [("b", 0), ("c", 1), ("d", 2), ("e", 3)] {
            let mut letter = letter(id);
            match wrong {
                1 => letter.run = RunId::from("r2"),
                2 => letter.plan_digest = Digest::from("sha256:2"),
                3 => letter.expires = Some(Timestamp::UNIX_EPOCH),
                _ => {}
            }
            post(&dir, &letter).unwrap();
            until(|| taken(id)).await;
        }
        handle.requests.submit(request("b", RequestKind::Approve));
        std::fs::write(dir.inbox().join("bad.json"), "{").unwrap();
        post(&dir, &letter("last")).unwrap();
        post(&dir, &letter("last")).unwrap();
    };
    let (ended, ()) = tokio::join!(engine.run(session()), ask);
    ended.unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "early",
            "b",
            "c it is for the run r2",
            "d it was made for another plan",
            "e it expired at 1970-01-01T00:00:00Z: ask again with `dr approve r1 one`",
            "last"
        ]
    );
    let left: Vec<_> = std::fs::read_dir(dir.inbox()).unwrap().collect();
    assert_eq!(left.len(), 1, "only what is no request stays: {left:?}");
    assert_eq!(decode(&storage.bytes(), false).unwrap().records.len(), 6);
}

#[tokio::test]
async fn what_waited_is_taken_in_the_order_in_which_it_was_asked() {
    let world = World::new();
    let second = |second: i64| Timestamp::from_second(2_000_000_000 + second).unwrap();
    let asked = [
        ("f", 1, RequestKind::Reject),
        ("a", 2, RequestKind::Approve),
        ("d", 3, RequestKind::Skip),
        ("b", 4, RequestKind::Cancel),
        ("c", 4, RequestKind::CancelNow),
    ];
    for (id, at, ask) in asked.into_iter().rev() {
        let (run, plan) = (RunId::from("r1"), Digest::from("sha256:1"));
        post(&world.dir, &Letter::new(run, plan, second(at), request(id, ask))).unwrap();
    }
    let taken = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&taken);
    let logic = Scripted(move |now: Now, input| {
        let Input::Start(session) = input else { return Vec::new() };
        let ids = session.requests.into_iter().map(|request| request.id.to_string());
        into.lock().unwrap().extend(ids);
        let moved = append(now, EventKind::ClockMoved { by_ms: 0 });
        vec![moved, Effect::Finish(Ending::Paused(Vec::new()))]
    });
    let (engine, _handle) = world.engine(logic, MemoryStorage::default());
    let said = request("0", RequestKind::Retry);
    engine.run(Session { requests: vec![said], ..session() }).await.unwrap();
    assert_eq!(*taken.lock().unwrap(), ["f", "a", "d", "b", "c", "0"]);
}

#[test]
fn what_holds_a_run_back_does_not_expire() {
    let letter = |ask| {
        let (run, plan) = (RunId::from("r1"), Digest::from("sha256:1"));
        Letter::new(run, plan, Timestamp::UNIX_EPOCH, request("a", ask)).expires
    };
    for ask in [RequestKind::Approve, RequestKind::Retry, RequestKind::AssumeDone] {
        assert_eq!(letter(ask), Some("1970-01-02T00:00:00Z".parse().unwrap()), "{ask:?}");
    }
    for ask in [RequestKind::Reject, RequestKind::Cancel, RequestKind::CancelUndo] {
        assert_eq!(letter(ask), None, "{ask:?}");
    }
}

#[tokio::test]
async fn timers_fire_when_due_and_replace_each_other() {
    let world = World::new();
    let fired = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&fired);
    let after = |now: Now, ms| now.at + jiff::SignedDuration::from_millis(ms);
    let timer = |name: &str| Timer::Next(name.into());
    let logic = Scripted(move |now: Now, input| match input {
        Input::Start(_) => vec![
            Effect::SetTimer { timer: timer("late"), at: after(now, 60) },
            Effect::SetTimer { timer: timer("moved"), at: after(now, 3_600_000) },
            Effect::SetTimer { timer: timer("moved"), at: after(now, 20) },
            Effect::SetTimer { timer: timer("past"), at: Timestamp::UNIX_EPOCH },
        ],
        Input::TimerFired(timer) => {
            into.lock().unwrap().push((timer.clone(), now.elapsed_ms));
            match timer {
                Timer::Next(step) if step.as_str() == "late" => {
                    vec![Effect::Finish(Ending::Paused(Vec::new()))]
                }
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    });
    let (engine, _handle) = world.engine(logic, MemoryStorage::default());
    engine.run(session()).await.unwrap();
    let fired = fired.lock().unwrap();
    let names: Vec<_> = fired.iter().map(|(timer, _)| timer.clone()).collect();
    assert_eq!(names, [timer("past"), timer("moved"), timer("late")]);
    assert!(fired[1].1 >= 20 && fired[2].1 >= 60, "never early: {fired:?}");
}

#[tokio::test]
async fn a_moved_wall_clock_is_noted() {
    struct Jumping(Mutex<i64>);
    impl Clock for Jumping {
        fn wall(&self) -> Timestamp {
            let ahead = jiff::SignedDuration::from_secs(*self.0.lock().unwrap());
            SystemClock.wall() + ahead
        }
        fn monotonic_ms(&self) -> u64 {
            SystemClock.monotonic_ms()
        }
    }
    let mut world = World::new();
    let clock = Arc::new(Jumping(Mutex::new(0)));
    world.clock = clock.clone();
    let logic = Scripted(move |now: Now, input| match input {
        Input::Start(_) => vec![Effect::SetTimer { timer: Timer::Gate("x".into()), at: now.at }],
        Input::TimerFired(_) => {
            *clock.0.lock().unwrap() = -7_200;
            Vec::new()
        }
        Input::Noted(kind) => {
            vec![append(now, *kind), Effect::Finish(Ending::Paused(Vec::new()))]
        }
        _ => Vec::new(),
    });
    let storage = MemoryStorage::default();
    let (engine, _handle) = world.engine(logic, storage.clone());
    engine.run(session()).await.unwrap();
    let record = decode(&storage.bytes(), false).unwrap().records.remove(0);
    let EventKind::ClockMoved { by_ms } = record.event.kind else { panic!("{record:?}") };
    assert!((-7_201_000..=-7_199_000).contains(&by_ms), "{by_ms}");
    assert!(record.event.elapsed_ms < 60_000, "durations are not touched");
}

#[tokio::test]
async fn history_is_replayed_before_the_start() {
    let world = World::new();
    let storage = MemoryStorage::default();
    let mut writer = Writer::new(storage.clone(), Head::default(), Masker::default());
    let now = Now { at: SystemClock.wall(), elapsed_ms: 7_000 };
    let Effect::Append(event) = started(now, "one") else { unreachable!() };
    writer.append(vec![*event]).unwrap();
    let mut told = Vec::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let logic = Scripted(move |now: Now, input| {
        told.push(match input {
            Input::Replayed(event) => format!("replayed {}", event.elapsed_ms),
            Input::Start(_) => format!("start {}", now.elapsed_ms >= 7_000),
            Input::Noted(_) => "preflight".to_owned(),
            _ => String::new(),
        });
        into.lock().unwrap().clone_from(&told);
        if told.len() == 3 { vec![Effect::Finish(Ending::Paused(Vec::new()))] } else { Vec::new() }
    });
    let plan = Arc::new(plan());
    let context = RunContext {
        dir: world.dir.clone(),
        clock: Arc::clone(&world.clock),
        registry: world.registry(),
        secrets: world.secrets(&plan),
        masker: world.masker.clone(),
        journal: writer,
        history: decode(&storage.bytes(), false).unwrap().records,
        preflight: Some(Vec::new()),
        signals: false,
        plan,
    };
    let (engine, _handle) = Engine::new(context, logic).unwrap();
    engine.run(session()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["replayed 7000", "start true", "preflight"]);
}
