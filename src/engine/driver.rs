use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, mpsc as sync_mpsc};
use std::time::Duration;

use dr_plugin::{Call, Keyed, Plugin};
use tokio::task::JoinSet;

use super::at_once::at_once;
use super::attempt::{Shared, captures};
use super::batch::{Batch, Landed};
use super::flights::Flights;
use super::handle::{Ends, Handle, Incoming, ends};
use super::inbox::{Inbox, remove};
use super::leftovers::leftovers;
use super::panic::caught;
use super::session_clock::SessionClock;
use super::timers::Timers;
use super::{EngineError, Logic, signals};
use crate::event::{EventKind, Finding, Record};
use crate::id::RequestId;
use crate::journal::{Journal, Masker, RunDir, Writer};
use crate::machine::{Effect, Ending, Input, Session};
use crate::plan::{Plan, PlanNames, Uses, plugin_of};
use crate::plugin::{Registry, SecretStore};
use crate::time::Clock;

/// The driver looks at the clocks at least this often: it notices that one was moved, and that the
/// machine has slept.
const NAP: Duration = Duration::from_secs(1);

/// What a session of a run works with.
pub struct RunContext {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The run's folder, locked by this process. Its name is the run's id.
    pub dir: RunDir,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The plugins.
    pub registry: Arc<Registry>,
    /// The secrets. Told to `masker` before they are used.
    pub secrets: Arc<SecretStore>,
    /// Masks what is kept and shown; the journal's own.
    pub masker: Masker,
    /// The journal, open at its end.
    pub journal: Writer,
    /// What it holds already; nothing for a first session.
    pub history: Vec<Record>,
    /// What the preflight found, if there was one.
    pub preflight: Option<Vec<Finding>>,
    /// Whether the process's signals are this run's.
    pub signals: bool,
}

/// A session that is about to start.
pub struct Engine<L> {
    logic: L,
    journal: Journal,
    pub(super) clock: SessionClock,
    timers: Timers,
    pub(super) flights: Flights,
    inbox: Option<Inbox>,
    pub(super) ends: Ends,
    /// Plugins that the plan uses, with what is known of their actions.
    pub(super) used: BTreeMap<String, UsedPlugin>,
    /// Requests of this session, to tell copies.
    requests: HashSet<RequestId>,
    pub(super) chores: JoinSet<()>,
    history: Vec<Record>,
    preflight: Option<Vec<Finding>>,
    /// What earlier sessions did not come to clean up.
    leftovers: Vec<(Arc<dyn Plugin>, Call)>,
    signals: bool,
}

pub(super) struct UsedPlugin {
    pub(super) plugin: Arc<dyn Plugin>,
    /// Actions of which something is kept for a second call with the same key.
    keyed: HashSet<String>,
}

/// Tells plugins of attempts whose results are on record, one after the other, beside the run.
async fn tidy(calls: Vec<(Arc<dyn Plugin>, Call)>) {
    for (plugin, call) in calls {
        let _ = caught(plugin.forget(&call)).await;
        tokio::task::yield_now().await;
    }
}

impl<L: Logic> Engine<L> {
    /// Makes everything ready; nothing is started or written yet.
    ///
    /// # Errors
    /// [`EngineError::PluginMissing`], [`EngineError::Settings`], [`EngineError::Journal`].
    pub fn new(context: RunContext, logic: L) -> Result<(Self, Handle), EngineError> {
        let RunContext { plan, dir, clock, registry, secrets, masker, journal, .. } = context;
        let run = dir.id();
        let names = PlanNames { plan: &plan, host: None };
        let (mut used, mut settings) = (BTreeMap::new(), BTreeMap::new());
        let mut inputs = BTreeMap::new();
        for (place, use_) in &plan.plugins {
            let name = plugin_of(place);
            let known = registry.get(name).zip(registry.manifest(name));
            let (plugin, manifest) =
                known.ok_or_else(|| EngineError::PluginMissing { plugin: name.to_owned() })?;
            let actions = &manifest.actions;
            inputs.extend(actions.iter().map(|(action, manifest)| {
                let action = Uses { plugin: name.to_owned(), action: action.clone() };
                (action, manifest.input.clone())
            }));
            let keyed = actions.iter().filter(|(_, action)| action.keyed != Keyed::Never);
            let keyed = keyed.map(|(name, _)| name.clone()).collect();
            used.insert(name.to_owned(), UsedPlugin { plugin: Arc::clone(plugin), keyed });
            let rendered = use_.settings.render(&names).map_err(|error| EngineError::Settings {
                plugin: place.clone(),
                message: error.message,
            })?;
            settings.insert(place.clone(), rendered);
        }
        let journal = Journal::start(journal)?;
        let (ends, handle) = ends();
        let volatile = ends.volatile.clone();
        let inbox = Inbox::new(dir.clone(), run.clone(), plan.digest.clone(), Arc::clone(&clock));
        let captures = captures(&plan);
        let shared =
            Shared { run, dir, registry, secrets, masker, settings, inputs, captures, volatile };
        let leftovers = leftovers(&context.history, &plan, &shared);
        let engine = Self {
            logic,
            journal,
            clock: SessionClock::new(clock, context.history.last()),
            timers: Timers::default(),
            flights: Flights::new(Arc::new(shared), ends.sender.clone()),
            inbox: Some(inbox),
            ends,
            used,
            requests: HashSet::new(),
            chores: JoinSet::new(),
            history: context.history,
            preflight: context.preflight,
            leftovers,
            signals: context.signals,
        };
        Ok((engine, handle))
    }

    /// Carries the session out. Requests that waited in the inbox join those of `session`.
    ///
    /// # Errors
    /// [`EngineError::Unrecorded`] once something could not be recorded; [`EngineError::Abandoned`];
    /// [`EngineError::System`].
    pub async fn run(mut self, mut session: Session) -> Result<Ending, EngineError> {
        let system = |source| EngineError::System { source };
        let mut batch = Batch::default();
        for record in std::mem::take(&mut self.history) {
            self.feed(Input::Replayed(Box::new(record.event)), &mut batch);
        }
        let sender = self.ends.sender.clone();
        let listen = self.signals.then(|| signals::listen(&session.started.by, sender));
        let _signals = listen.transpose().map_err(system)?;
        // What waited in the inbox was said before what the command line says.
        let said = std::mem::take(&mut session.requests);
        let mut watch = None;
        if let Some(mut inbox) = self.inbox.take() {
            for incoming in inbox.look() {
                match incoming {
                    Incoming::Request { request, file } => {
                        batch.files.extend(file);
                        if self.requests.insert(request.id.clone()) {
                            session.requests.push(request);
                        }
                    }
                    Incoming::Refused { request, why, file } => {
                        batch.files.push(file);
                        session.refused.push((request, why));
                    }
                    // An inbox holds nothing else.
                    _ => {}
                }
            }
            watch = Some(inbox);
        }
        self.requests.extend(said.iter().map(|request| request.id.clone()));
        session.requests.extend(said);
        self.feed(Input::Start(Box::new(session)), &mut batch);
        if let Some(findings) = self.preflight.take() {
            let found = EventKind::PreflightFinished { findings };
            self.feed(Input::Noted(Box::new(found)), &mut batch);
        }
        let watched: Option<sync_mpsc::Sender<()>> = match watch {
            Some(inbox) => Some(inbox.watch(self.ends.sender.clone()).map_err(system)?),
            None => None,
        };
        let leftovers = std::mem::take(&mut self.leftovers);
        if !leftovers.is_empty() {
            self.chores.spawn(tidy(leftovers));
        }
        let ending = self.drive(batch).await;
        drop(watched);
        self.close().await;
        ending
    }

    /// Does what a third interrupt does.
    #[cfg(test)]
    pub(super) fn leave(&self) -> impl Fn() + use<L> {
        let sender = self.ends.sender.clone();
        move || {
            let _ = sender.send(Incoming::Abandon);
        }
    }

    async fn drive(&mut self, mut batch: Batch) -> Result<Ending, EngineError> {
        loop {
            if let Some(ending) = self.settle(batch).await? {
                return Ok(ending);
            }
            batch = self.next().await?;
        }
    }

    /// Tells the machine something and collects what follows.
    fn feed(&mut self, input: Input, batch: &mut Batch) {
        for effect in self.logic.handle(self.clock.now(), input) {
            match effect {
                Effect::Append(event) => batch.events.push(*event),
                other => batch.effects.push(other),
            }
        }
    }

    /// Writes the batch, then does what is to be done.
    async fn settle(&mut self, mut batch: Batch) -> Result<Option<Ending>, EngineError> {
        let events = std::mem::take(&mut batch.events);
        if !events.is_empty() {
            match self.journal.append(events).await {
                Ok(records) => {
                    tracing::debug!(records = records.len(), "durable");
                    // Nobody may be looking.
                    let _ = self.ends.records.send(records);
                }
                Err(source) => return Err(self.give_up(source, batch).await),
            }
        }
        remove(&batch.files);
        for landed in batch.landed {
            self.forget(landed);
        }
        for effect in batch.effects {
            match effect {
                // All of them were taken out by `feed`.
                Effect::Append(_) => {}
                Effect::Launch(launch) => {
                    tracing::info!(
                        step = %launch.step,
                        attempt = launch.attempt,
                        purpose = launch.purpose.as_str(),
                        uses = %launch.uses,
                        "launched"
                    );
                    self.flights.launch(*launch);
                }
                Effect::SetTimer { timer, at } => {
                    let due = self.clock.due_ms(at);
                    self.timers.set(timer, due);
                }
                Effect::StopAttempt(ticket) => self.flights.stop(ticket),
                Effect::Finish(ending) => return Ok(Some(ending)),
            }
        }
        Ok(None)
    }

    /// Waits for something to happen and takes everything that has.
    async fn next(&mut self) -> Result<Batch, EngineError> {
        let mut batch = Batch::default();
        loop {
            if let Some(by_ms) = self.clock.moved_ms() {
                self.feed(Input::Noted(Box::new(EventKind::ClockMoved { by_ms })), &mut batch);
            }
            while let Ok(incoming) = self.ends.incoming.try_recv() {
                if !self.take(incoming, &mut batch) {
                    return Err(self.abandon().await);
                }
            }
            while let Some(timer) = self.timers.pop(self.clock.monotonic_ms()) {
                self.feed(Input::TimerFired(timer), &mut batch);
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
            let wait = self.timers.next_ms().map_or(NAP, |due| {
                Duration::from_millis(due.saturating_sub(self.clock.monotonic_ms())).min(NAP)
            });
            tokio::select! {
                biased;
                incoming = self.ends.incoming.recv() => {
                    if let Some(incoming) = incoming && !self.take(incoming, &mut batch) {
                        return Err(self.abandon().await);
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes one thing in. False: somebody wants to leave at once.
    fn take(&mut self, incoming: Incoming, batch: &mut Batch) -> bool {
        match incoming {
            Incoming::Done { ticket, result, call } => {
                if let Some(flight) = self.flights.land(ticket) {
                    tracing::info!(
                        step = %flight.step,
                        attempt = flight.attempt,
                        purpose = flight.purpose.as_str(),
                        "came back"
                    );
                    batch.landed.push(Landed { flight, result: result.clone(), call });
                }
                self.feed(Input::AttemptDone { ticket, result }, batch);
            }
            Incoming::Request { request, file } => {
                batch.files.extend(file);
                if self.requests.insert(request.id.clone()) {
                    self.feed(Input::Answer(request), batch);
                }
            }
            Incoming::Refused { request, why, file } => {
                batch.files.push(file);
                let refused = EventKind::RequestRefused { request, why };
                self.feed(Input::Noted(Box::new(refused)), batch);
            }
            Incoming::Cancel { by, level, reason } => {
                self.feed(Input::Cancel { by, level, reason }, batch);
            }
            Incoming::Abandon => return false,
        }
        true
    }

    /// The attempt's result is durable: its plugin may clean up after it.
    fn forget(&mut self, landed: Landed) {
        if !landed.is_settled() {
            return;
        }
        let Some((call, used)) = landed.call.zip(self.used.get(&landed.flight.plugin)) else {
            return;
        };
        if used.keyed.contains(&call.action) {
            let plugin = Arc::clone(&used.plugin);
            let mut chore = Box::pin(async move {
                let _ = caught(plugin.forget(&call)).await;
            });
            // Most often nothing was kept, which the plugin sees at once.
            if at_once(&mut chore).is_pending() {
                self.chores.spawn(chore);
                while self.chores.try_join_next().is_some() {}
            }
        }
    }
}
