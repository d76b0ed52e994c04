use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dr_plugin::CallError;

use super::guess::Guesser;
use super::script::{GateAnswer, QuestionAnswer, Script, answer};
use super::world::{Unguessed, World};
use crate::event::{
    Actor, CancelRequest, EventKind, Question, Record, Request, RequestKind, RunStarted, StepState,
};
use crate::id::{RequestId, RunId, StepId};
use crate::journal::{Head, JournalError, Masker, MemoryStorage, Writer, decode};
use crate::machine::{
    AttemptResult, Effect, Ending, Input, Launch, Machine, PlanFault, Session, Ticket, Timer,
};
use crate::plan::Plan;
use crate::time::{Now, Timestamp};

/// When every rehearsal begins that is not told otherwise: a Tuesday night.
pub const START: &str = "2030-01-01T02:00:00Z";
/// Between the end of a session and the next one.
const BETWEEN_MS: u64 = 5_000;
/// What `dr` waits for an attempt that was told to stop.
const STOP_MS: u64 = 15_000;
/// A session that has handled so many inputs for each step never ends.
const INPUTS_A_STEP: u64 = 20_000;

/// How a session of a rehearsed run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As sessions end.
    Ended(Ending),
    /// `dr` died.
    Crashed,
    /// Nothing goes on by itself, and nobody says anything. The steps that wait for people.
    Waits(Vec<StepId>),
    /// Nothing goes on by itself: these attempts never come back.
    Hangs(Vec<StepId>),
    /// It goes on and on.
    Endless,
}

/// Where `dr` is to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The attempt is on record, and was not launched.
    BeforeLaunch,
    /// The attempt was launched.
    AfterLaunch,
}

/// Why nothing could be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The plan cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanFault),
    /// The journal in memory is damaged: a defect of `dr`.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

enum Due {
    Back(Ticket, AttemptResult),
    Timer(Timer),
    Answer(Request),
}

/// What people were asked about a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) step: StepId,
    pub(super) question: Question,
    pub(super) options: Vec<RequestKind>,
}

/// A run on simulated systems and simulated time.
pub(super) struct Simulation<'a> {
    plan: Arc<Plan>,
    script: &'a Script,
    pub(super) world: World<'a>,
    /// Whether people answer every question truthfully.
    pub(super) people_know: bool,
    /// What people say at the gate of a step, once.
    pub(super) gate: Option<(StepId, GateAnswer)>,
    crash: Option<(StepId, Crash)>,
    start: Timestamp,
    pub(super) ms: u64,
    storage: MemoryStorage,
    pub(super) records: Vec<Record>,
    pub(super) asked: Vec<Asked>,
    machine: Machine,
    numbers: u64,
    due: BTreeMap<(u64, u64), Due>,
    timers: BTreeMap<Timer, (u64, u64)>,
    flying: BTreeMap<Ticket, StepId>,
    waiting: BTreeSet<StepId>,
    observe: &'a mut dyn FnMut(&Record),
}

impl<'a> Simulation<'a> {
    pub(super) fn new(
        plan: &'a Arc<Plan>,
        script: &'a Script,
        guesser: &'a Guesser,
        observe: &'a mut dyn FnMut(&Record),
    ) -> Result<Self, RehearseError> {
        let start = script.start.or_else(|| START.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Self {
            plan: Arc::clone(plan),
            script,
            world: World::new(plan, script, guesser),
            people_know: false,
            gate: None,
            crash: None,
            start,
            ms: 0,
            storage: MemoryStorage::default(),
            records: Vec::new(),
            asked: Vec::new(),
            machine: Machine::new(Arc::clone(plan))?,
            numbers: 0,
            due: BTreeMap::new(),
            timers: BTreeMap::new(),
            flying: BTreeMap::new(),
            waiting: BTreeSet::new(),
            observe,
        })
    }

    pub(super) fn crash_at(&mut self, step: StepId, crash: Crash) {
        self.crash = Some((step, crash));
    }

    pub(super) fn unguessed(&self) -> &[Unguessed] {
        &self.world.unguessed
    }

    pub(super) fn state(&self, step: &str) -> Option<StepState> {
        self.machine.step_state(step)
    }

    /// Plays a session: the first one, or one that goes on from the journal.
    pub(super) fn session(&mut self, requests: Vec<Request>) -> Result<End, RehearseError> {
        let mut writer = Writer::new(self.storage.clone(), Head::default(), Masker::default());
        if !self.records.is_empty() {
            self.ms += BETWEEN_MS;
            self.machine = Machine::new(Arc::clone(&self.plan))?;
            self.due.clear();
            self.timers.clear();
            self.flying.clear();
            self.waiting.clear();
            let replay = decode(&self.storage.bytes(), false)?;
            writer = Writer::new(self.storage.clone(), replay.head, Masker::default());
            for record in replay.records {
                let replayed = Input::Replayed(Box::new(record.event));
                let _ = self.machine.handle(self.now(), replayed);
            }
        }
        let session = Session {
            started: self.started(),
            reason: None,
            requests,
            refused: Vec::new(),
            lost: None,
        };
        let mut input = Input::Start(Box::new(session));
        let most = INPUTS_A_STEP * (self.plan.steps.len() as u64 + 1);
        for _ in 0..most {
            if let Some(end) = self.feed(input, &mut writer)? {
                return Ok(end);
            }
            let Some(((at, _), due)) = self.due.pop_first() else {
                let hanging: BTreeSet<StepId> = self.flying.values().cloned().collect();
                return Ok(if hanging.is_empty() {
                    End::Waits(self.waiting.iter().cloned().collect())
                } else {
                    End::Hangs(hanging.into_iter().collect())
                });
            };
            self.ms = self.ms.max(at);
            input = match due {
                Due::Back(ticket, result) => {
                    self.flying.remove(&ticket);
                    Input::AttemptDone { ticket, result }
                }
                Due::Timer(timer) => {
                    self.timers.remove(&timer);
                    Input::TimerFired(timer)
                }
                Due::Answer(request) => Input::Answer(request),
            };
        }
        Ok(End::Endless)
    }

    /// Somebody stops a run that hangs: nothing new, then the attempts as well. Plays on.
    pub(super) fn stop(&mut self) -> Result<End, RehearseError> {
        let replay = decode(&self.storage.bytes(), false)?;
        let mut writer = Writer::new(self.storage.clone(), replay.head, Masker::default());
        let by = person("operator");
        for level in [CancelRequest::Drain, CancelRequest::Stop] {
            let input = Input::Cancel { by: by.clone(), level, reason: None };
            if let Some(end) = self.feed(input, &mut writer)? {
                return Ok(end);
            }
        }
        while let Some(((at, _), due)) = self.due.pop_first() {
            self.ms = self.ms.max(at);
            let input = match due {
                Due::Back(ticket, result) => Input::AttemptDone { ticket, result },
                Due::Timer(timer) => Input::TimerFired(timer),
                Due::Answer(request) => Input::Answer(request),
            };
            if let Some(end) = self.feed(input, &mut writer)? {
                return Ok(end);
            }
        }
        Ok(End::Hangs(Vec::new()))
    }

    fn now(&self) -> Now {
        let ms = i64::try_from(self.ms).unwrap_or(i64::MAX);
        let at = self.start.checked_add(jiff::SignedDuration::from_millis(ms));
        Now { at: at.unwrap_or(Timestamp::MAX), elapsed_ms: self.ms }
    }

    fn started(&self) -> RunStarted {
        let plan = &self.plan;
        let at = self.now().at;
        RunStarted {
            format: crate::event::FORMAT,
            run: RunId::from("rehearsal"),
            runbook: plan.runbook.clone(),
            environment: plan.environment.clone(),
            mode: plan.mode,
            style: plan.style,
            plan_digest: plan.digest.clone(),
            reason: None,
            folder: None,
            seal: None,
            declared_at: at,
            incident_at: at,
            by: person("operator"),
            attended: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Tells the machine something and does what follows. The end of the session, if it is that.
    fn feed(&mut self, input: Input, writer: &mut Writer) -> Result<Option<End>, RehearseError> {
        let now = self.now();
        let mut events = Vec::new();
        let mut others = Vec::new();
        for effect in self.machine.handle(now, input) {
            match effect {
                Effect::Append(event) => events.push(*event),
                other => others.push(other),
            }
        }
        let mut dies = None;
        for record in writer.append(events)? {
            (self.observe)(&record);
            if let (EventKind::AttemptStarted { step, .. }, Some((at, crash))) =
                (&record.event.kind, &self.crash)
                && step == at
            {
                dies = Some(*crash);
            }
            self.people(&record.event.kind);
            self.records.push((*record).clone());
        }
        if dies == Some(Crash::BeforeLaunch) {
            self.crash = None;
            return Ok(Some(End::Crashed));
        }
        let mut end = None;
        for effect in others {
            match effect {
                Effect::Append(_) => {}
                Effect::Launch(launch) => self.launch(now, &launch),
                Effect::SetTimer { timer, at } => {
                    let ahead = at.as_millisecond() - now.at.as_millisecond();
                    let at = self.ms + u64::try_from(ahead).unwrap_or(0);
                    if let Some(old) = self.timers.remove(&timer) {
                        self.due.remove(&old);
                    }
                    let key = self.later(at, Due::Timer(timer.clone()));
                    self.timers.insert(timer, key);
                }
                Effect::StopAttempt(ticket) => self.stop_attempt(ticket),
                Effect::Finish(ending) => end = Some(End::Ended(ending)),
            }
        }
        if dies.is_some() {
            self.crash = None;
            return Ok(Some(End::Crashed));
        }
        Ok(end)
    }

    fn launch(&mut self, now: Now, launch: &Launch) {
        let (at, result) = self.world.perform(&self.machine, now, launch);
        self.flying.insert(launch.ticket, launch.step.clone());
        if let Some(at) = at {
            self.later(at, Due::Back(launch.ticket, result));
        }
    }

    fn stop_attempt(&mut self, ticket: Ticket) {
        let returns = |due: &Due| matches!(due, Due::Back(other, _) if *other == ticket);
        if self.due.values().any(returns) || !self.flying.contains_key(&ticket) {
            return;
        }
        let error = CallError::unknown("stop_unconfirmed", "it did not stop when told to");
        self.later(self.ms + STOP_MS, Due::Back(ticket, AttemptResult::Applied(Err(error))));
    }

    fn later(&mut self, at: u64, due: Due) -> (u64, u64) {
        self.numbers += 1;
        self.due.insert((at, self.numbers), due);
        (at, self.numbers)
    }

    /// Who is asked answers after a while.
    fn people(&mut self, kind: &EventKind) {
        match kind {
            EventKind::ApprovalRequested { step, approvers, .. } => {
                let own = self.gate.take_if(|(at, _)| at == step).map(|(_, answer)| answer);
                let scripted = self.script.step(step.as_str()).and_then(|scripted| scripted.gate);
                let (ask, count) = match own.or(scripted).unwrap_or(GateAnswer::Approve) {
                    GateAnswer::Approve => (RequestKind::Approve, *approvers),
                    GateAnswer::Reject => (RequestKind::Reject, 1),
                    GateAnswer::Silence => {
                        self.waiting.insert(step.clone());
                        return;
                    }
                };
                for number in 0..count.max(1) {
                    let at = self.ms + self.script.people_ms(step.as_str());
                    let gate = self.plan.step(step.as_str()).and_then(|step| step.approve.as_ref());
                    let named = gate.and_then(|gate| gate.from.get(number as usize)).cloned();
                    let by = named.unwrap_or_else(|| match number {
                        0 => "approver".to_owned(),
                        _ => format!("approver_{}", number + 1),
                    });
                    self.ask(at, step, ask, &by);
                }
            }
            EventKind::QuestionAsked { step, question, options, .. } => {
                self.asked.push(Asked {
                    step: step.clone(),
                    question: *question,
                    options: options.clone(),
                });
                let scripted = self.script.step(step.as_str()).and_then(|it| it.question);
                let truth = self.people_know.then_some(QuestionAnswer::Truth);
                let Some(said) = scripted.or(truth) else {
                    self.waiting.insert(step.clone());
                    return;
                };
                if said == QuestionAnswer::Truth {
                    // Whoever answers has mended what was wrong.
                    self.world.fault.take_if(|(at, _)| at == step);
                }
                let done = self.world.is_done(step.as_str());
                let at = self.ms + self.script.people_ms(step.as_str());
                self.ask(at, step, answer(said, *question, done), "operator");
            }
            EventKind::UnwindingAsked { past } if self.people_know => {
                // It was asked, which is all that a rehearsal of faults wants to know.
                let at = past.first().map_or(0, |step| self.script.people_ms(step.as_str()));
                self.numbers += 1;
                let request = Request {
                    id: RequestId::from(format!("rehearsed-{}", self.numbers)),
                    step: None,
                    ask: RequestKind::Undo,
                    by: person("operator"),
                    reason: None,
                    inputs: BTreeMap::new(),
                    signed: None,
                };
                self.later(self.ms + at, Due::Answer(request));
            }
            EventKind::UnwindingAsked { past } => self.waiting.extend(past.iter().cloned()),
            EventKind::StepFinished(finished) => {
                self.waiting.remove(&finished.step);
            }
            EventKind::StepSkipped { step, .. } | EventKind::StepCancelled { step } => {
                self.waiting.remove(step);
            }
            _ => {}
        }
    }

    fn ask(&mut self, at: u64, step: &StepId, ask: RequestKind, user: &str) {
        let request = self.request(step, ask, user);
        self.later(at, Due::Answer(request));
    }

    /// A request that was not made before.
    pub(super) fn request(&mut self, step: &StepId, ask: RequestKind, user: &str) -> Request {
        self.numbers += 1;
        let gate = self.plan.step(step.as_str()).and_then(|step| step.approve.as_ref());
        let told = gate.filter(|_| ask == RequestKind::Approve).map(|gate| gate.inputs.iter());
        let told = told.into_iter().flatten().filter(|asked| asked.default.is_none());
        Request {
            inputs: told.map(|asked| (asked.name.clone(), asked.example())).collect(),
            signed: None,
            id: RequestId::from(format!("rehearsed-{}", self.numbers)),
            step: Some(step.clone()),
            ask,
            by: person(user),
            reason: matches!(ask, RequestKind::AssumeDone | RequestKind::Skip)
                .then(|| "rehearsed".to_owned()),
        }
    }
}

fn person(user: &str) -> Actor {
    Actor { user: user.to_owned(), host: "rehearsal".to_owned(), via: "rehearsal".to_owned() }
}
