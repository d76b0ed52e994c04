use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::{
    ActionManifest, Call, CallError, CancelLevel, Checked, Context, Effect as Does, Manifest,
    Plugin, Preview, PreviewStatus, Secret, Stream,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::super::*;
use crate::event::{
    Actor, AttemptFinished, CancelRequest, Event, EventKind, Next, Outcome, Purpose, Request,
    RequestKind, RunStarted, Verdict,
};
use crate::id::{Digest, RequestId, RunId, StepId};
use crate::journal::adversary::{Adversary, Fault, Op, Trace};
use crate::journal::{Head, Masker, NewRun, RunDir, RunStore, Storage, Writer, decode};
use crate::machine::{AttemptResult, Effect, Ending, Input, Launch, LaunchKind, Session, Ticket};
use crate::plan::{Plan, PluginUse, SecretSource, Uses};
use crate::plugin::{Registry, SecretStore};
use crate::text::Templated;
use crate::time::{Clock, Now, SystemClock, Timestamp};
use crate::words::{Mode, Style};

pub(super) const CANARY: &str = "c4nary/\"quoted\" + value";

/// A plugin whose actions behave as they are named, and that traces its launches.
pub(super) struct Fake {
    pub(super) trace: Trace,
    pub(super) release: Arc<Notify>,
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
pub(super) struct Scripted<F>(pub(super) F);

impl<F: FnMut(Now, Input) -> Vec<Effect> + Send> Logic for Scripted<F> {
    fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        (self.0)(now, input)
    }
}

pub(super) fn append(now: Now, kind: EventKind) -> Effect {
    Effect::Append(Box::new(Event { at: now.at, elapsed_ms: now.elapsed_ms, kind }))
}

pub(super) fn started(now: Now, step: &str) -> Effect {
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

pub(super) fn finished(now: Now, step: &str, result: &AttemptResult) -> Effect {
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
            expected: None,
            outputs: None,
            result: None,
            warnings: Vec::new(),
            recovery_point: None,
            next: Next::Proceed,
        }),
    )
}

pub(super) fn launch(ticket: u64, step: &str, action: &str, input: Value) -> Effect {
    Effect::Launch(Box::new(Launch {
        ticket: Ticket(ticket),
        step: step.into(),
        attempt: 1,
        purpose: Purpose::Apply,
        uses: Uses { plugin: "fake".to_owned(), action: action.to_owned() },
        settings: "fake".to_owned(),
        kind: LaunchKind::Apply,
        host: None,
        input,
        effect: Does::Once,
        timeout_ms: Some(1_000),
    }))
}

/// `width` chains of `length` steps each; the launch deliberately precedes its record in the
/// effects.
pub(super) fn chains(width: u64, length: u64) -> impl Logic {
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
pub(super) fn single(
    action: &'static str,
    input: Value,
) -> (impl Logic, Arc<Mutex<Option<AttemptResult>>>) {
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

pub(super) fn actor() -> Actor {
    Actor { user: "ann".to_owned(), host: "h".to_owned(), via: "terminal".to_owned() }
}

pub(super) fn session() -> Session {
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
            reason: None,
            folder: None,
            seal: None,
        },
        reason: None,
        requests: Vec::new(),
        refused: Vec::new(),
        lost: None,
    }
}

pub(super) fn request(id: &str, ask: RequestKind) -> Request {
    Request {
        id: RequestId::from(id),
        step: Some("one".into()),
        ask,
        by: actor(),
        reason: None,
        inputs: BTreeMap::new(),
        signed: None,
    }
}

pub(super) fn plan() -> Plan {
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
        undo_on_cancel: false,
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
            PluginUse { version: "0".to_owned(), manifest, settings, executable: None },
        )]),
        pools: BTreeMap::new(),
        services: Vec::new(),
        spans: Vec::new(),
        includes: BTreeMap::new(),
        locks: std::collections::BTreeSet::new(),
        steps: Vec::new(),
        files: Vec::new(),
        history: Vec::new(),
        forecast: None,
        notices: Vec::new(),
        seal: None,
    }
}

/// A run in a folder of its own.
pub(super) struct World {
    pub(super) _folder: tempfile::TempDir,
    pub(super) dir: RunDir,
    pub(super) trace: Trace,
    pub(super) release: Arc<Notify>,
    pub(super) masker: Masker,
    pub(super) clock: Arc<dyn Clock>,
}

impl World {
    pub(super) fn new() -> Self {
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

    pub(super) fn registry(&self) -> Arc<Registry> {
        let fake = Fake { trace: self.trace.clone(), release: Arc::clone(&self.release) };
        Arc::new(Registry::new([Arc::new(fake) as Arc<dyn Plugin>]))
    }

    pub(super) fn secrets(&self, plan: &Plan) -> Arc<SecretStore> {
        let masker = self.masker.clone();
        Arc::new(SecretStore::new(&plan.secrets, &BTreeMap::new(), move |secret: &Secret| {
            masker.add(secret);
        }))
    }

    pub(super) fn engine<L: Logic>(
        &self,
        logic: L,
        storage: impl Storage + 'static,
    ) -> (Engine<L>, Handle) {
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

    pub(super) fn adversary(&self, fault: Option<(usize, Fault)>) -> Adversary {
        Adversary::new(self.trace.clone(), fault)
    }
}

/// Steps whose `attempt_started` is in a journal.
pub(super) fn started_in(bytes: &[u8]) -> BTreeSet<StepId> {
    let records = decode(bytes, false).unwrap().records;
    let steps = records.into_iter().filter_map(|record| match record.event.kind {
        EventKind::AttemptStarted { step, .. } => Some(step),
        _ => None,
    });
    steps.collect()
}

/// Walks a trace: nothing is launched that is not durable, nothing is forgotten before its end
/// is, nothing is written after a refusal. Gives the launches.
pub(super) fn judge(ops: &[Op]) -> Vec<String> {
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

pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) fn step(id: &str, action: &str, with: Value) -> crate::plan::Step {
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
