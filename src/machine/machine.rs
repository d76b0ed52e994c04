use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::graph::{Graph, Index, PlanFault, Role};
use super::io::{Effect, Ending, Input, Ticket, Timer};
use super::queue::Queue;
use super::risk::Watch;
use super::rules::repeat::Poll;
use super::rules::{spans, verdict};
use super::state::{State, step_of};
use super::step::Stage;
use crate::event::{CancelRequest, Event, EventKind, Purpose, RunFinished, StepState, Verdict};
use crate::plan::Plan;
use crate::time::{Now, Timestamp};

/// A run of one plan.
///
/// What is durable of it lives in [`State`], which only events change: living through a run and
/// replaying its journal give the same state. The rest belongs to one session and is made anew from
/// the state when a session starts.
#[derive(Debug)]
pub struct Machine {
    pub(super) graph: Arc<Graph>,
    pub(super) state: State,
    pub(super) session: Session,
    pub(super) now: Now,
    effects: Vec<Effect>,
}

/// What belongs to one session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) stand: Stand,
    pub(super) live: Vec<Live>,
    pub(super) queue: Queue,
    /// Steps that are not over.
    pub(super) open: usize,
    /// Of those, steps that recover something.
    pub(super) forward: usize,
    /// Of those, steps that put traces away.
    pub(super) cleanup: usize,
    /// How far the end of the run has come.
    pub(super) ending: Ends,
    /// Steps are pending again, which may concern others.
    pub(super) reopened: bool,
    /// For each service, steps that count for it and are not over.
    pub(super) left: Vec<usize>,
    pub(super) flights: HashMap<Ticket, Flight>,
    pub(super) polls: HashMap<Index, Poll>,
    /// Failed steps that stop others.
    pub(super) halting: BTreeMap<Index, Halting>,
    /// Steps that wait for a moment.
    pub(super) timed: BTreeSet<Index>,
    /// Steps that wait for people, without a deadline.
    pub(super) people: BTreeSet<Index>,
    /// Steps that let others start first.
    pub(super) yielding: BTreeSet<Index>,
    /// Objectives that are watched.
    pub(super) watch: Watch,
    tickets: u64,
    todo: VecDeque<Index>,
}

/// Where the machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Before [`Input::Start`].
    Replaying,
    /// A session is under way.
    Running,
    /// It is over: nothing more happens.
    Ended,
}

/// How far the end of the run has come in this session.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// For each step, steps after it that are not settled; empty before steps are taken back.
    pub(super) unsettled: Vec<u32>,
    /// Steps that take others back and may begin.
    pub(super) called: BTreeSet<Index>,
    /// What can be taken back is taken back.
    pub(super) undone: bool,
    /// Closing steps no longer wait for what only people can decide.
    pub(super) forced: bool,
    /// Cleanup may begin.
    pub(super) tidy: bool,
}

/// A step in this session.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Live {
    /// What it waits for that is not over.
    pub(super) waiting: u32,
    /// Whether it holds its slots.
    pub(super) holds: bool,
    pub(super) queued: bool,
    pub(super) ticket: Option<Ticket>,
    /// Tries of the way of checking that is under way.
    pub(super) tries: u32,
    /// Whether its action was seen in this session to run on, so that launching it joins it.
    pub(super) found_running: bool,
}

/// What a failed step stops.
#[derive(Debug)]
pub(super) struct Halting {
    /// The services that it stops; without any, all.
    services: Vec<u32>,
    /// Steps that led to it: it failed because of them, so that they may be done again.
    led_to: HashSet<Index>,
}

/// A launched attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flight {
    pub(super) step: Index,
    pub(super) kind: FlightKind,
    pub(super) launched_ms: u64,
}

/// What it was launched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlightKind {
    /// The action.
    Action,
    /// A reading of its `repeat`.
    Reading,
    /// The action's own check.
    ActionCheck,
    /// The step's `check`.
    StepCheck,
}

impl Machine {
    /// A machine that will carry out this plan, before its first event.
    ///
    /// # Errors
    /// A plan that cannot be carried out.
    pub fn new(plan: Arc<Plan>) -> Result<Self, PlanFault> {
        let graph = Arc::new(Graph::new(plan)?);
        let state = State::new(&graph);
        let session = Session {
            stand: Stand::Replaying,
            live: vec![Live::default(); graph.len()],
            queue: Queue::new(&graph),
            open: 0,
            forward: 0,
            cleanup: 0,
            ending: Ends::default(),
            reopened: false,
            left: vec![0; graph.services.len()],
            flights: HashMap::new(),
            polls: HashMap::new(),
            halting: BTreeMap::new(),
            timed: BTreeSet::new(),
            people: BTreeSet::new(),
            yielding: BTreeSet::new(),
            watch: Watch::default(),
            tickets: 0,
            todo: VecDeque::new(),
        };
        let now = Now { at: Timestamp::UNIX_EPOCH, elapsed_ms: 0 };
        Ok(Self { graph, state, session, now, effects: Vec::new() })
    }

    /// Takes an input in, and says what is to be done, in order.
    #[must_use]
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Effect> {
        self.now = now;
        match (self.session.stand, input) {
            (Stand::Replaying, Input::Replayed(event)) => {
                self.grow(&event.kind);
                self.state.fold(&self.graph, &event);
                return Vec::new();
            }
            (Stand::Replaying, Input::Start(session)) => self.start(*session),
            (Stand::Running, Input::Noted(kind)) => self.emit(*kind),
            (Stand::Running, Input::AttemptDone { ticket, result }) => {
                self.attempt_done(ticket, result);
            }
            (Stand::Running, Input::TimerFired(timer)) => self.timer_fired(&timer),
            (Stand::Running, Input::Answer(request)) => self.request(request),
            (Stand::Running, Input::Cancel { by, level, reason }) => {
                self.cancel(by, level, reason);
            }
            _ => return Vec::new(),
        }
        loop {
            self.work();
            if !self.tend() {
                break;
            }
        }
        self.watch_objectives();
        self.end_if_over();
        std::mem::take(&mut self.effects)
    }

    /// The plan, with the elements that loops have found so far.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.graph.plan
    }

    /// Number of records that the journal has, as far as the machine knows.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.state.count
    }

    /// Adds a fact: it becomes part of the state and of the journal.
    pub(super) fn emit(&mut self, kind: EventKind) {
        self.grow(&kind);
        self.record(kind);
    }

    /// Records a fact of which the plan has grown already, if it grows by it.
    pub(super) fn record(&mut self, kind: EventKind) {
        let event = Event { at: self.now.at, elapsed_ms: self.now.elapsed_ms, kind };
        let about = step_of(&event.kind).and_then(|step| self.graph.find(step.as_str()));
        let was = about.map(|step| self.state.stage(step));
        let reopened = self.state.fold(&self.graph, &event);
        self.effects.push(Effect::Append(Box::new(event)));
        if self.session.stand != Stand::Running {
            return;
        }
        self.session.reopened |= !reopened.is_empty();
        self.reopened(&reopened);
        let Some((step, was)) = about.zip(was) else { return };
        self.classify(step);
        let is = self.state.stage(step);
        if is.is_over() && !was.is_over() {
            self.over(step);
        } else if is.is_over()
            && was != is
            && let Some(service) = self.graph.node(step).service
        {
            self.announce(service);
        }
    }

    /// Asks the driver for something that is no fact.
    pub(super) fn ask(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// A number for an attempt that is about to be launched.
    pub(super) fn ticket(&mut self, step: Index, kind: FlightKind) -> Ticket {
        self.session.tickets += 1;
        let ticket = Ticket(self.session.tickets);
        let flight = Flight { step, kind, launched_ms: self.now.elapsed_ms };
        self.session.flights.insert(ticket, flight);
        self.session.live[step as usize].ticket = Some(ticket);
        ticket
    }

    /// Goes on with a step once what is being done is done.
    pub(super) fn later(&mut self, step: Index) {
        self.session.todo.push_back(step);
    }

    /// A moment so many milliseconds from now.
    pub(super) fn after_ms(&self, ms: u64) -> Timestamp {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        self.now.at.checked_add(jiff::SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
    }

    /// Makes what belongs to a session from the state.
    pub(super) fn rebuild(&mut self) {
        let graph = Arc::clone(&self.graph);
        self.session.stand = Stand::Running;
        for step in 0..graph.len() as Index {
            if !self.state.stage(step).is_over() {
                self.count_open(step);
            }
            self.session.live[step as usize].waiting = self.unfinished(step);
            self.classify(step);
            self.note_halt(step);
        }
    }

    pub(super) fn count_open(&mut self, step: Index) {
        let node = self.graph.node(step);
        if matches!(node.role, Role::Undo(_)) {
            return;
        }
        self.session.open += 1;
        self.session.forward += usize::from(node.role == Role::Forward);
        self.session.cleanup += usize::from(node.role == Role::Cleanup);
        if let Some(service) = node.service.filter(|_| node.counts) {
            self.session.left[service as usize] += 1;
        }
    }

    pub(super) fn unfinished(&self, step: Index) -> u32 {
        let waits = self.graph.node(step).waits.iter();
        waits.filter(|&&on| !self.state.stage(on).is_over()).count() as u32
    }

    /// Steps that were over are pending again.
    fn reopened(&mut self, steps: &[Index]) {
        if steps.is_empty() {
            return;
        }
        let graph = Arc::clone(&self.graph);
        let anew: BTreeSet<Index> = steps.iter().copied().collect();
        for &step in &anew {
            let node = graph.node(step);
            self.count_open(step);
            self.session.live[step as usize].waiting = self.unfinished(step);
            for &(dependent, _) in &node.dependents {
                if !anew.contains(&dependent) && !self.state.stage(dependent).is_over() {
                    self.session.live[dependent as usize].waiting += 1;
                    self.leave_queue(dependent);
                }
            }
            self.session.polls.remove(&step);
            self.classify(step);
            self.later(step);
        }
    }

    /// Notes what the step waits for, if not for others.
    fn classify(&mut self, step: Index) {
        let record = self.state.record(step);
        let (timed, people) = match record.stage {
            Stage::Gate => {
                let limited = record.gate.as_ref().is_some_and(|gate| gate.deadline.is_some());
                (limited, !limited)
            }
            Stage::Asked(_) => (false, true),
            Stage::Sleep(_) | Stage::Wait(..) | Stage::Relaunch { at: Some(_), .. } => {
                (true, false)
            }
            _ => (false, false),
        };
        if timed {
            self.session.timed.insert(step);
        } else {
            self.session.timed.remove(&step);
        }
        if people {
            self.session.people.insert(step);
        } else {
            self.session.people.remove(&step);
        }
    }

    /// Whether the step has its slots, and what is around it too; if not, it gets in line.
    pub(super) fn has_slots(&mut self, step: Index) -> bool {
        if self.session.live[step as usize].holds {
            return true;
        }
        if self.is_let_in(step) {
            self.get_in_line(step);
        }
        false
    }

    pub(super) fn get_in_line(&mut self, step: Index) {
        if !std::mem::replace(&mut self.session.live[step as usize].queued, true) {
            self.session.queue.push(&self.graph, step);
        }
    }

    fn leave_queue(&mut self, step: Index) {
        let live = &mut self.session.live[step as usize];
        if std::mem::take(&mut live.queued) {
            self.session.queue.remove(&self.graph, step);
        }
    }

    /// Gives the step's slots back, or its place in line.
    pub(super) fn free_slots(&mut self, step: Index) {
        self.leave_queue(step);
        let live = &mut self.session.live[step as usize];
        if std::mem::take(&mut live.holds) {
            self.session.queue.release(&self.graph, step);
        }
    }

    /// Does what there is to do, then gives free slots to the most urgent steps, until nothing
    /// changes any more.
    pub(super) fn work(&mut self) {
        loop {
            loop {
                self.reopen_more();
                let Some(step) = self.session.todo.pop_front() else { break };
                self.advance(step);
            }
            let Some(step) = self.session.queue.pop(&self.graph) else { break };
            let live = &mut self.session.live[step as usize];
            live.queued = false;
            live.holds = true;
            self.later(step);
            self.reconsider_yielding();
        }
    }

    /// A step is over: what waits for it may go on, or never will.
    fn over(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let node = graph.node(step);
        if !self.holds_on(step) {
            self.free_slots(step);
        }
        if let Some(begin) = graph.begin_of_end(step) {
            self.free_slots(begin);
        }
        self.session.polls.remove(&step);
        self.session.yielding.remove(&step);
        self.reconsider_yielding();
        let undoes = matches!(node.role, Role::Undo(_));
        if !undoes {
            self.session.open -= 1;
            self.session.forward -= usize::from(node.role == Role::Forward);
            self.session.cleanup -= usize::from(node.role == Role::Cleanup);
            if let Some(service) = node.service.filter(|_| node.counts) {
                self.session.left[service as usize] -= 1;
            }
        }
        let met = self.state.is_met(&graph, step);
        for &(dependent, needs) in &node.dependents {
            if self.state.stage(dependent).is_over() {
                continue;
            }
            let live = &mut self.session.live[dependent as usize];
            live.waiting -= 1;
            if live.waiting == 0 || (needs && !met) {
                self.later(dependent);
            }
        }
        if undoes {
            if let Some(of) = graph.undone_with(step) {
                self.taken_back(of, step);
            }
            self.go_back_around(step);
            return;
        }
        self.stop_elements(step);
        self.go_back_around(step);
        if self.note_halt(step) {
            for other in self.halted_by(step) {
                if matches!(self.state.stage(other), Stage::Idle | Stage::Gate | Stage::Sleep(_)) {
                    self.later(other);
                }
            }
        }
        if let Some(service) = node.service {
            self.announce(service);
        }
        self.unwind_if_told(step);
    }

    /// Notes a step that failed in a way that stops others: its service and those that depend on
    /// it; without a service, all.
    fn note_halt(&mut self, step: Index) -> bool {
        let Some(services) = self.state.halted_by(&self.graph, step) else { return false };
        let led_to = self.graph.led_to(step);
        self.session.halting.insert(step, Halting { services, led_to });
        true
    }

    fn halts(&self, step: Index) -> bool {
        self.state.halts(&self.graph, step)
    }

    fn halted_by(&self, halting: Index) -> Vec<Index> {
        match self.session.halting.get(&halting) {
            Some(Halting { services, .. }) if !services.is_empty() => {
                let of = |service: &u32| self.graph.services[*service as usize].steps.clone();
                services.iter().flat_map(of).collect()
            }
            _ => self.graph.own().collect(),
        }
    }

    /// The failed step that stops this one, if one does.
    pub(super) fn halted(&self, step: Index) -> Option<Index> {
        let own = self.graph.node(step).service;
        let stops = |halting: &Halting| {
            let services = &halting.services;
            (services.is_empty() || own.is_some_and(|own| services.contains(&own)))
                && !halting.led_to.contains(&step)
        };
        let halting = self.session.halting.iter();
        let mut stopping = halting.filter(|(_, halting)| stops(halting)).map(|(&by, _)| by);
        stopping.find(|&by| by != step && self.halts(by))
    }

    /// Tells the end of a service once its last step is over.
    pub(super) fn announce(&mut self, service: u32) {
        let position = service as usize;
        let node = &self.graph.services[position];
        if node.counted.is_empty()
            || self.session.left[position] > 0
            || self.state.announced[position]
        {
            return;
        }
        let achieved = verdict::of_service(&self.graph, &self.state, position);
        self.emit(EventKind::ServiceFinished {
            service: achieved.name,
            recovered: achieved.rta_ms.is_some(),
            rta_ms: achieved.rta_ms,
        });
    }

    /// Ends the session if nothing runs and nothing will. Whoever is still in line for slots gets
    /// none until somebody else goes on.
    fn end_if_over(&mut self) {
        if self.session.stand != Stand::Running || !self.session.flights.is_empty() {
            return;
        }
        if self.is_pausing() && (self.session.open > 0 || self.state.is_unwinding()) {
            return self.pause();
        }
        if !self.session.yielding.is_empty() {
            return;
        }
        if self.session.open > 0 || self.waits_at_the_end() {
            match self.state.cancel {
                // What was begun before the cancel is found out first, if that can be.
                Some(CancelRequest::Drain) if !self.session.timed.is_empty() => return,
                Some(CancelRequest::Drain) if self.waits_at_the_end() => {
                    if !self.state.attended {
                        self.pause();
                    }
                    return;
                }
                Some(_) => {}
                None if self.state.attended || !self.session.timed.is_empty() => return,
                None => return self.pause(),
            }
        }
        let services = verdict::achieved(&self.graph, &self.state);
        let spans = spans::measured(&self.graph, &self.state);
        let (verdict, reason) = verdict::verdict(&self.graph, &self.state, &services, &spans);
        self.emit(EventKind::RunFinished(RunFinished {
            session: self.state.session,
            verdict,
            reason,
            services,
            spans,
            count: self.state.count + 1,
        }));
        self.end(Ending::Verdict(verdict));
    }

    fn pause(&mut self) {
        let mut people: Vec<Index> = self.session.people.iter().copied().collect();
        people.extend(self.unanswered());
        let waiting: Vec<_> = people.iter().map(|&step| self.graph.id(step)).collect();
        self.emit(EventKind::RunPaused { waiting: waiting.clone() });
        self.end(Ending::Paused(waiting));
    }

    /// Nothing more happens in this session.
    pub(super) fn end(&mut self, ending: Ending) {
        self.session.stand = Stand::Ended;
        self.ask(Effect::Finish(ending));
    }

    /// The verdict after which nothing may follow, if there is one.
    pub(super) fn final_verdict(&self) -> Option<Verdict> {
        self.state.verdict.filter(|verdict| verdict.is_final())
    }

    fn timer_fired(&mut self, timer: &Timer) {
        let id = match timer {
            Timer::Next(id)
            | Timer::Gate(id)
            | Timer::Remind(id)
            | Timer::Repeat(id)
            | Timer::Yield(id) => id,
            Timer::Objectives => return self.look_is_due(),
        };
        let Some(step) = self.graph.find(id.as_str()) else { return };
        match (timer, self.state.stage(step)) {
            (Timer::Yield(_), _) if self.session.yielding.remove(&step) => self.later(step),
            (Timer::Next(_), Stage::Wait(..) | Stage::Relaunch { .. })
                if self.session.live[step as usize].ticket.is_none() =>
            {
                self.due(step);
            }
            (Timer::Next(_), Stage::Sleep(until)) => self.sleep_on(step, until),
            (Timer::Gate(_), Stage::Gate) => self.gate_expired(step),
            (Timer::Remind(_), Stage::Gate) => self.remind(step),
            (
                Timer::Repeat(_),
                Stage::Wait(Purpose::Repeat | Purpose::Validate, _)
                | Stage::Running(Purpose::Repeat | Purpose::Validate),
            ) => self.repeat_expired(step),
            _ => {}
        }
    }

    /// Whether the step may start nothing new. What closes, undoes and tidies up goes on until
    /// everything is stopped.
    pub(super) fn is_stopping(&self, step: Index) -> bool {
        match self.graph.role(step) {
            Role::Forward => self.state.cancel.is_some() || self.state.is_unwinding(),
            Role::Closing(_) | Role::Cleanup | Role::Undo(_) => self.is_stopped(),
        }
    }

    /// Whether the session was asked to pause, and not to stop since.
    pub(super) fn is_pausing(&self) -> bool {
        self.state.pausing && self.state.cancel.is_none()
    }

    /// Whether running attempts are being stopped as well.
    pub(super) fn is_stopped(&self) -> bool {
        self.state.cancel == Some(CancelRequest::Stop)
    }

    /// Milliseconds from when the step could start to its end, or to now.
    pub(super) fn duration(&self, step: Index) -> u64 {
        let end = self.state.record(step).over.map_or(self.now.elapsed_ms, |(_, ms)| ms);
        // A group has lasted since it began.
        if let Some((_, ms)) =
            self.graph.begin_of_end(step).and_then(|begin| self.state.record(begin).over)
        {
            return end.saturating_sub(ms);
        }
        let waits = self.graph.node(step).waits.iter();
        let ready = match self.graph.role(step) {
            Role::Undo(_) => {
                let record = self.state.record(step);
                let asked = record.people_since.unwrap_or(self.now.elapsed_ms);
                Some(record.started.map_or(asked.saturating_sub(record.people_ms), |(_, ms)| ms))
            }
            _ => waits.filter_map(|&on| self.state.record(on).over).map(|(_, ms)| ms).max(),
        };
        end.saturating_sub(ready.unwrap_or(0).max(self.state.record(step).back_ms))
    }

    /// Word for a step that is over, for tests and reports of the driver.
    #[must_use]
    pub fn step_state(&self, id: &str) -> Option<StepState> {
        Some(self.state.record(self.graph.find(id)?).state())
    }
}
