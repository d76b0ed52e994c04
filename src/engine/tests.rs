use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::{
    ActionManifest, Call, CallError, CancelLevel, Checked, Context, Effect as Does, ErrorClass,
    Manifest, Plugin, Preview, PreviewStatus, Secret, Stream,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::event::{
    Actor, AttemptFinished, CancelRequest, Event, EventKind, Next, Outcome, Purpose, Request,
    RequestKind, RunStarted, Verdict, Volatile,
};
use crate::id::{Digest, RequestId, RunId, StepId};
use crate::journal::adversary::{Adversary, Fault, Op, Trace};
use crate::journal::{
    Head, Masker, MemoryStorage, NewRun, RunDir, RunStore, Storage, Writer, decode,
};
use crate::machine::{
    AttemptResult, Effect, Ending, Input, Launch, LaunchKind, Session, Ticket, Timer,
};
use crate::plan::{Plan, PluginUse, SecretSource, Uses};
use crate::plugin::{Registry, SecretStore};
use crate::text::Templated;
use crate::time::{Clock, Now, SystemClock, Timestamp};
use crate::words::{Mode, Style};

const CANARY: &str = "c4nary/\"quoted\" + value";

/// A plugin whose actions behave as they are named, and that traces its launches.
struct Fake {
    trace: Trace,
    release: Arc<Notify>,
}

#[async_trait]
impl Plugin for Fake {
    fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::new::<()>("fake", "0", "for tests");
        for name in ["ok", "slow", "panic", "say", "fail", "hang"] {
            let mut action =
                ActionManifest::action::<Value, Value>("for tests", Does::Once).as_job();
            action.has_preview = true;
            manifest = manifest.with(name, action);
        }
        manifest
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        self.trace.push(Op::Other(format!("launch {}", call.key.step)));
        match call.action.as_str() {
            "slow" => {
                let mut cancel = context.cancel.clone();
                tokio::select! {
                    () = self.release.notified() => Ok(json!("released")),
                    level = cancel.cancelled() => {
                        assert_ne!(level, CancelLevel::None);
                        Err(CallError::cancelled(format!("{level:?}")))
                    }
                }
            }
            "panic" => panic!("as asked"),
            "say" => {
                let input: BTreeMap<String, String> = call.input()?;
                let said = input["text"].as_bytes();
                context.progress.output(Stream::Stdout, &said[..said.len() / 2]);
                context.progress.output(Stream::Stdout, &said[said.len() / 2..]);
                context.progress.progress(&input["text"], None);
                Err(CallError::permanent("said", format!("failed with {}", input["text"])))
            }
            "fail" => Err(CallError::unknown("lost", "lost")),
            _ => Ok(json!({"ok": true})),
        }
    }

    async fn check(&self, _: &Call, _: &Context) -> Result<Checked, CallError> {
        Ok(Checked::NotDone)
    }

    async fn preview(&self, call: &Call, _: &Context) -> Result<Preview, CallError> {
        match call.action.as_str() {
            "ok" => Ok(Preview::of(PreviewStatus::Ok)),
            "say" => {
                let input: BTreeMap<String, String> = call.input()?;
                let changes = vec![format!("says {}", input["text"])];
                Ok(Preview { status: PreviewStatus::WouldChange, changes })
            }
            "fail" => Err(CallError::denied("denied", "not for you")),
            "panic" => panic!("as asked"),
            _ => std::future::pending().await,
        }
    }

    async fn forget(&self, call: &Call) {
        self.trace.push(Op::Other(format!("forget {}", call.key.step)));
    }

    async fn close(&self) {
        self.trace.push(Op::Other("close".to_owned()));
    }
}

/// Decisions by hand.
struct Scripted<F>(F);

impl<F: FnMut(Now, Input) -> Vec<Effect> + Send> Logic for Scripted<F> {
    fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        (self.0)(now, input)
    }
}

fn append(now: Now, kind: EventKind) -> Effect {
    Effect::Append(Box::new(Event { at: now.at, elapsed_ms: now.elapsed_ms, kind }))
}

fn started(now: Now, step: &str) -> Effect {
    append(
        now,
        EventKind::AttemptStarted {
            step: step.into(),
            attempt: 1,
            purpose: Purpose::Apply,
            launch: 1,
            input: None,
            deadline: None,
        },
    )
}

fn finished(now: Now, step: &str, result: &AttemptResult) -> Effect {
    let error = match result {
        AttemptResult::Applied(Err(error)) | AttemptResult::Checked(Err(error)) => {
            Some(error.clone())
        }
        _ => None,
    };
    append(
        now,
        EventKind::AttemptFinished(AttemptFinished {
            step: step.into(),
            attempt: 1,
            purpose: Purpose::Apply,
            outcome: Outcome::Succeeded,
            duration_ms: 1,
            error,
            outputs: None,
            result: None,
            warnings: Vec::new(),
            recovery_point: None,
            next: Next::Proceed,
        }),
    )
}

fn launch(ticket: u64, step: &str, action: &str, input: Value) -> Effect {
    Effect::Launch(Box::new(Launch {
        ticket: Ticket(ticket),
        step: step.into(),
        attempt: 1,
        purpose: Purpose::Apply,
        uses: Uses { plugin: "fake".to_owned(), action: action.to_owned() },
        kind: LaunchKind::Apply,
        host: None,
        input,
        effect: Does::Once,
        timeout_ms: Some(1_000),
    }))
}

/// `width` chains of `length` steps each; the launch deliberately precedes its record in the
/// effects.
fn chains(width: u64, length: u64) -> impl Logic {
    let mut left = width * length;
    Scripted(move |now: Now, input| match input {
        Input::Start(_) => (0..width)
            .flat_map(|chain| {
                let step = format!("s{chain}");
                [launch(chain, &step, "ok", Value::Null), started(now, &step)]
            })
            .collect(),
        Input::AttemptDone { ticket, result } => {
            let mut effects = vec![finished(now, &format!("s{}", ticket.0), &result)];
            left -= 1;
            let next = ticket.0 + width;
            if next < width * length {
                let step = format!("s{next}");
                effects.extend([launch(next, &step, "ok", Value::Null), started(now, &step)]);
            } else if left == 0 {
                effects.push(Effect::Finish(Ending::Verdict(Verdict::Succeeded)));
            }
            effects
        }
        _ => Vec::new(),
    })
}

/// One attempt of `action`; the session ends with it and gives its result out.
fn single(action: &'static str, input: Value) -> (impl Logic, Arc<Mutex<Option<AttemptResult>>>) {
    let out = Arc::new(Mutex::new(None));
    let into = Arc::clone(&out);
    let logic = Scripted(move |now, given| match given {
        Input::Start(_) => vec![started(now, "one"), launch(1, "one", action, input.clone())],
        Input::Cancel { level: CancelRequest::Stop, .. } => vec![Effect::StopAttempt(Ticket(1))],
        Input::AttemptDone { result, .. } => {
            let finished = finished(now, "one", &result);
            *into.lock().unwrap() = Some(result);
            vec![finished, Effect::Finish(Ending::Verdict(Verdict::Succeeded))]
        }
        _ => Vec::new(),
    });
    (logic, out)
}

fn actor() -> Actor {
    Actor { user: "ann".to_owned(), host: "h".to_owned(), via: "terminal".to_owned() }
}

fn session() -> Session {
    Session {
        started: RunStarted {
            format: 1,
            run: RunId::from("r1"),
            runbook: "shop".to_owned(),
            environment: "default".to_owned(),
            mode: Mode::Live,
            style: Style::Graceful,
            plan_digest: Digest::from("sha256:1"),
            declared_at: Timestamp::UNIX_EPOCH,
            incident_at: Timestamp::UNIX_EPOCH,
            by: actor(),
            attended: false,
            version: "0".to_owned(),
        },
        reason: None,
        requests: Vec::new(),
    }
}

fn request(id: &str, ask: RequestKind) -> Request {
    Request { id: RequestId::from(id), step: Some("one".into()), ask, by: actor(), reason: None }
}

fn plan() -> Plan {
    let settings = Templated::literal(Value::Null);
    let manifest = Digest::from("sha256:0");
    Plan {
        format: 1,
        runbook: "shop".to_owned(),
        description: None,
        owner: None,
        environment: "default".to_owned(),
        protected: false,
        mode: Mode::Live,
        style: Style::Graceful,
        phases: Vec::new(),
        digest: Digest::from("sha256:1"),
        makespan_ms: 0,
        lower_bound_ms: 0,
        critical_path: Vec::new(),
        inputs: BTreeMap::new(),
        values: BTreeMap::new(),
        hosts: BTreeMap::new(),
        secrets: BTreeMap::from([(
            "pw".to_owned(),
            vec![SecretSource::Command(vec![
                "printf".to_owned(),
                "%s".to_owned(),
                CANARY.to_owned(),
            ])],
        )]),
        plugins: BTreeMap::from([(
            "fake".to_owned(),
            PluginUse { version: "0".to_owned(), manifest, settings },
        )]),
        pools: BTreeMap::new(),
        services: Vec::new(),
        steps: Vec::new(),
        notices: Vec::new(),
    }
}

/// A run in a folder of its own.
struct World {
    _folder: tempfile::TempDir,
    dir: RunDir,
    trace: Trace,
    release: Arc<Notify>,
    masker: Masker,
    clock: Arc<dyn Clock>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = RunStore::new(folder.path());
        let dir = store.create_run(&RunId::from("r1"), &NewRun::default()).unwrap();
        Self {
            _folder: folder,
            dir,
            trace: Trace::default(),
            release: Arc::new(Notify::new()),
            masker: Masker::default(),
            clock: Arc::new(SystemClock),
        }
    }

    fn registry(&self) -> Arc<Registry> {
        let fake = Fake { trace: self.trace.clone(), release: Arc::clone(&self.release) };
        Arc::new(Registry::new([Arc::new(fake) as Arc<dyn Plugin>]))
    }

    fn secrets(&self, plan: &Plan) -> Arc<SecretStore> {
        let masker = self.masker.clone();
        Arc::new(SecretStore::new(&plan.secrets, move |secret: &Secret| {
            masker.add(secret);
        }))
    }

    fn engine<L: Logic>(&self, logic: L, storage: impl Storage + 'static) -> (Engine<L>, Handle) {
        let plan = Arc::new(plan());
        let context = RunContext {
            dir: self.dir.clone(),
            clock: Arc::clone(&self.clock),
            registry: self.registry(),
            secrets: self.secrets(&plan),
            masker: self.masker.clone(),
            journal: Writer::new(storage, Head::default(), self.masker.clone()),
            history: Vec::new(),
            preflight: None,
            signals: false,
            plan,
        };
        Engine::new(context, logic).unwrap()
    }

    fn adversary(&self, fault: Option<(usize, Fault)>) -> Adversary {
        Adversary::new(self.trace.clone(), fault)
    }
}

/// Steps whose `attempt_started` is in a journal.
fn started_in(bytes: &[u8]) -> BTreeSet<StepId> {
    let records = decode(bytes, false).unwrap().records;
    let steps = records.into_iter().filter_map(|record| match record.event.kind {
        EventKind::AttemptStarted { step, .. } => Some(step),
        _ => None,
    });
    steps.collect()
}

/// Walks a trace: nothing is launched that is not durable, nothing is forgotten before its end
/// is, nothing is written after a refusal. Gives the launches.
fn judge(ops: &[Op]) -> Vec<String> {
    let so_far = Trace::default();
    let (mut launches, mut refused) = (Vec::new(), false);
    for op in ops {
        assert!(!refused || matches!(op, Op::Other(_)), "the journal was used after its error");
        if let Op::Other(what) = op {
            let durable = so_far.durable();
            if let Some(step) = what.strip_prefix("launch ") {
                assert!(started_in(&durable).contains(step), "{step} was launched too early");
                launches.push(step.to_owned());
            } else if let Some(step) = what.strip_prefix("forget ") {
                let text = String::from_utf8(durable).unwrap();
                let finished = format!(r#""type":"attempt_finished","step":"{step}","#);
                assert!(text.contains(&finished), "{step} was forgotten too early");
            }
        }
        refused |= *op == Op::Refused;
        so_far.push(op.clone());
    }
    launches
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_launched_before_it_is_durable() {
    let world = World::new();
    let (engine, mut handle) = world.engine(chains(8, 12), world.adversary(None));
    let ending = engine.run(session()).await.unwrap();
    assert_eq!(ending, Ending::Verdict(Verdict::Succeeded));
    let ops = world.trace.ops();
    assert_eq!(judge(&ops).len(), 96);
    assert_eq!(
        ops.iter().filter(|op| matches!(op, Op::Other(what) if what.starts_with("forget"))).count(),
        96
    );
    assert_eq!(ops.last(), Some(&Op::Other("close".to_owned())));
    let mut seen = Vec::new();
    while let Some(record) = handle.records.recv().await {
        seen.push(record.seq);
    }
    assert_eq!(seen, (1..=192).collect::<Vec<_>>(), "everything is told, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_failure_of_the_journal_nothing_new_is_started() {
    let faults = [
        Fault::Write(0, libc::EIO),
        Fault::Write(40, libc::ENOSPC),
        Fault::Write(usize::MAX, libc::ENOSPC),
        Fault::Sync(libc::EIO),
    ];
    for fault in faults {
        for failing in 1..12 {
            let world = World::new();
            let adversary = world.adversary(Some((failing, fault)));
            let (engine, handle) = world.engine(chains(3, 4), adversary);
            // A run with few batches may end before the fault.
            let Err(error) = engine.run(session()).await else { continue };
            drop(handle);
            let launches = judge(&world.trace.ops());
            let EngineError::Unrecorded { recovered, source } = error else { panic!("{error}") };
            assert!(source.to_string().starts_with("cannot write the journal: "), "{source}");
            let durable = String::from_utf8(world.trace.durable()).unwrap();
            let recorded = durable.matches("attempt_finished").count();
            assert_eq!(recorded + recovered.len(), launches.len(), "a result was lost");
            if !recovered.is_empty() {
                let kept = std::fs::read_to_string(world.dir.recovered()).unwrap();
                let kept: Vec<Recovered> =
                    kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!(kept, recovered);
            }
        }
    }
}

#[tokio::test]
async fn running_attempts_are_waited_for_when_the_journal_fails() {
    let world = World::new();
    let logic = Scripted(|now, input| match input {
        Input::Start(_) => vec![started(now, "one"), launch(1, "one", "slow", Value::Null)],
        Input::Answer(_) => vec![started(now, "two"), launch(2, "two", "ok", Value::Null)],
        _ => panic!("the machine was asked after the journal had failed"),
    });
    let (engine, handle) = world.engine(logic, world.adversary(Some((2, Fault::Sync(libc::EIO)))));
    let requests = handle.requests.clone();
    let run = engine.run(session());
    let poke = async {
        until(|| world.trace.ops().contains(&Op::Other("launch one".to_owned()))).await;
        requests.submit(request("a", RequestKind::Retry));
        until(|| world.trace.ops().contains(&Op::Refused)).await;
        world.release.notify_one();
    };
    let (ended, ()) = tokio::join!(run, poke);
    let Err(EngineError::Unrecorded { recovered, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(recovered[0].result, RecoveredResult::Applied(json!("released")));
    assert_eq!(judge(&world.trace.ops()), ["one"]);
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn result_of(action: &'static str, input: Value) -> (AttemptResult, World) {
    let world = World::new();
    let (logic, out) = single(action, input);
    let (engine, _handle) = world.engine(logic, world.adversary(None));
    engine.run(session()).await.unwrap();
    let result = out.lock().unwrap().take().unwrap();
    (result, world)
}

fn error(result: AttemptResult) -> CallError {
    match result {
        AttemptResult::Applied(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_that_panics_leaves_an_unknown_outcome() {
    let (result, world) = result_of("panic", Value::Null).await;
    let error = error(result);
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "plugin_panicked"));
    assert_eq!(error.causes, ["as asked"]);
    let forgotten = Op::Other("forget one".to_owned());
    assert!(!world.trace.ops().contains(&forgotten), "what is unknown is not cleaned away");
}

#[tokio::test]
async fn an_attempt_is_stopped_on_request() {
    let world = World::new();
    let (logic, out) = single("slow", Value::Null);
    let (engine, handle) = world.engine(logic, world.adversary(None));
    let ask = async {
        until(|| world.trace.ops().contains(&Op::Other("launch one".to_owned()))).await;
        handle.requests.cancel(actor(), CancelRequest::Stop, None);
    };
    let (ended, ()) = tokio::join!(engine.run(session()), ask);
    ended.unwrap();
    let error = error(out.lock().unwrap().take().unwrap());
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Cancelled, "Stop"));
}

#[tokio::test]
async fn secrets_reach_the_plugin_and_nothing_else() {
    let text = json!({"text": {"$text": ["with ", {"$secret": "pw"}]}});
    let world = World::new();
    let (logic, out) = single("say", text);
    let storage = MemoryStorage::default();
    let (engine, mut handle) = world.engine(logic, storage.clone());
    engine.run(session()).await.unwrap();
    let told = error(out.lock().unwrap().take().unwrap());
    assert!(told.message.contains(CANARY), "the machine's own data are whole");
    let journal = String::from_utf8(storage.bytes()).unwrap();
    assert!(journal.contains("failed with with ***"), "{journal}");
    let mut shown = String::new();
    while let Ok(event) = handle.volatile.try_recv() {
        match event {
            Volatile::Output { text, .. } => shown.push_str(&text),
            Volatile::Progress { message, .. } => assert_eq!(message, "with ***"),
        }
    }
    assert_eq!(shown, "with ***");
    let kept = std::fs::read_to_string(world.dir.outputs().join("one.1.stdout")).unwrap();
    assert_eq!(kept, "with ***");
    assert_no_canary(world.dir.path());
    assert!(!journal.contains("c4nary"));
}

fn assert_no_canary(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_canary(&path);
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("c4nary"), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_secret_that_is_not_to_be_had_applies_nothing() {
    let world = World::new();
    let (logic, out) = single("ok", json!({"$text": [{"$secret": "other"}]}));
    let (engine, _handle) = world.engine(logic, world.adversary(None));
    engine.run(session()).await.unwrap();
    let error = error(out.lock().unwrap().take().unwrap());
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "secret_unavailable"));
    assert!(judge(&world.trace.ops()).is_empty());
}

#[tokio::test]
async fn requests_of_other_terminals_are_taken_once_and_kept_until_durable() {
    let world = World::new();
    let dir = world.dir.clone();
    let letter = |id: &str| {
        Letter::new(RunId::from("r1"), Digest::from("sha256:1"), request(id, RequestKind::Approve))
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
            "e it expired at 1970-01-01T00:00:00Z",
            "last"
        ]
    );
    let left: Vec<_> = std::fs::read_dir(dir.inbox()).unwrap().collect();
    assert_eq!(left.len(), 1, "only what is no request stays: {left:?}");
    assert_eq!(decode(&storage.bytes(), false).unwrap().records.len(), 6);
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

#[tokio::test]
async fn a_plan_whose_plugin_is_missing_is_not_started() {
    let world = World::new();
    let plan = Arc::new(plan());
    let context = RunContext {
        dir: world.dir.clone(),
        clock: Arc::clone(&world.clock),
        registry: Arc::new(Registry::default()),
        secrets: world.secrets(&plan),
        masker: world.masker.clone(),
        journal: Writer::new(world.adversary(None), Head::default(), Masker::default()),
        history: Vec::new(),
        preflight: None,
        signals: false,
        plan,
    };
    let error = Engine::new(context, chains(1, 1)).map(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::PluginMissing { .. }), "{error}");
    assert!(world.trace.ops().is_empty());
}

#[tokio::test]
async fn who_leaves_at_once_leaves_jobs_alone() {
    let world = World::new();
    let (logic, out) = single("slow", Value::Null);
    let (engine, handle) = world.engine(logic, world.adversary(None));
    let leave = engine.leave();
    let ask = async {
        until(|| world.trace.ops().contains(&Op::Other("launch one".to_owned()))).await;
        leave();
        handle
    };
    let (ended, _handle) = tokio::join!(engine.run(session()), ask);
    assert!(matches!(ended, Err(EngineError::Abandoned { running: 1 })), "{ended:?}");
    assert!(out.lock().unwrap().is_none(), "the machine is not told: for it this is a crash");
    let durable = String::from_utf8(world.trace.durable()).unwrap();
    assert!(!durable.contains("attempt_finished"));
}

#[tokio::test]
async fn the_preflight_asks_everything_at_once_and_never_waits_for_long() {
    let world = World::new();
    let mut plan = plan();
    let said = json!({"text": {"$text": ["now ", {"$secret": "pw"}]}});
    let open = json!({"text": {"$template": "{{ steps.x.outputs.y }}"}});
    for (id, action, with) in [
        ("fine", "ok", Value::Null),
        ("says", "say", said),
        ("refused", "fail", Value::Null),
        ("broken", "panic", Value::Null),
        ("silent", "hang", Value::Null),
        ("later", "fail", open),
        ("done", "fail", Value::Null),
        ("skipped", "fail", Value::Null),
    ] {
        let mut step = step(id, action, with);
        step.skip = (id == "skipped").then_some(crate::event::SkipReason::Phase);
        plan.steps.push(step);
    }
    plan.secrets.insert("none".to_owned(), vec![SecretSource::Env("DR_NO_SUCH".to_owned())]);
    let secrets = world.secrets(&plan);
    let found = preflight(
        &plan,
        |step| step.as_str() != "done",
        &world.registry(),
        &secrets,
        &world.masker,
        Duration::from_millis(1_500),
    )
    .await;
    let findings: Vec<_> = found
        .findings
        .iter()
        .map(|finding| format!("{} {} {}", finding.step, finding.status, finding.lines.join("|")))
        .collect();
    assert_eq!(
        findings,
        [
            "says would_change says now ***",
            "refused denied not for you",
            "broken failed the plugin broke down|as asked",
            "silent unreachable no answer within 1 s",
        ]
    );
    assert_eq!(found.denied, [StepId::from("refused")]);
    assert_eq!(found.unreachable, [StepId::from("silent")]);
    assert_eq!(found.missing[0].name, "none");
    assert!(!found.is_ready());
}

fn step(id: &str, action: &str, with: Value) -> crate::plan::Step {
    let with: Templated = serde_json::from_value(with).unwrap();
    let json = json!({
        "id": id, "service": null, "phase": null, "uses": format!("fake.{action}"), "with": with,
        "needs": [], "after": [], "effect": "once", "keyed": "never", "on_unknown": "ask",
        "on_failure": "halt", "timeout_ms": null, "takes": {}, "estimate_ms": 0,
        "retry": {"attempts": 1, "backoff_ms": 1, "max_backoff_ms": 1, "written": false},
        "urgency": {"class": "low", "latest_start_ms": 0, "order": 0},
        "estimate_source": "none", "start_ms": 0, "finish_ms": 0, "slack_ms": 0, "critical": false
    });
    serde_json::from_value(json).unwrap()
}
