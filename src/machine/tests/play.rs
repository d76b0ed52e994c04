use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::{START_S, actor, now, run_started};
use super::world::World;
use crate::event::{Event, EventKind, Question, Request, RequestKind, StepState, Verdict};
use crate::id::RequestId;
use crate::machine::graph::Index;
use crate::machine::step::Stage;
use crate::machine::{Effect, Ending, Input, Launch, Machine, Session, Ticket, Timer};
use crate::plan::Plan;

/// What a run that was played to its end leaves.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) states: BTreeMap<String, StepState>,
    pub(super) verdict: Verdict,
    pub(super) world: World,
    pub(super) journal: Vec<Event>,
    /// Instants at which each session could have been ended.
    pub(super) points: Vec<u64>,
}

/// Plays a run against the world. Session `n` is ended at instant `crashes[n]`: before the write of
/// a batch, after the write of some of it, after its sync.
pub(super) fn play(plan: &Arc<Plan>, seed: u64, crashes: &[u64]) -> Played {
    let mut world = World::new(seed);
    let mut journal = Vec::new();
    let mut points = Vec::new();
    let mut ms = 0;
    for session in 0.. {
        assert!(session < 50, "it never ends");
        let crash = crashes.get(session).copied();
        let mut player = Player::new(plan, &mut world, journal, ms, crash);
        let ending = player.session();
        let Player { machine, durable, points: reached, ms: at, .. } = player;
        points.push(reached);
        journal = durable;
        ms = at + 5_000;
        match ending {
            None => world.crash(),
            Some(Ending::Paused(waiting)) => panic!("paused for {waiting:?}"),
            Some(Ending::Verdict(verdict)) => {
                world.settle(u64::MAX);
                let state = |step: &crate::plan::Step| {
                    let state = machine.step_state(step.id.as_str()).expect("a step");
                    (step.id.to_string(), state)
                };
                let states = plan.steps.iter().map(state).collect();
                return Played { states, verdict, world, journal, points };
            }
        }
    }
    unreachable!()
}

enum Due {
    Back(Ticket, crate::machine::AttemptResult),
    Timer(Timer),
    Answer(Request),
}

struct Player<'a> {
    plan: &'a Arc<Plan>,
    world: &'a mut World,
    machine: Machine,
    shadow: Machine,
    durable: Vec<Event>,
    met: BTreeSet<String>,
    ms: u64,
    points: u64,
    crash: Option<u64>,
    due: BTreeMap<(u64, u64), Due>,
    timers: BTreeMap<Timer, (u64, u64)>,
    numbers: u64,
    flying: BTreeMap<Ticket, Index>,
}

impl<'a> Player<'a> {
    fn new(
        plan: &'a Arc<Plan>,
        world: &'a mut World,
        journal: Vec<Event>,
        ms: u64,
        crash: Option<u64>,
    ) -> Self {
        let machine = || Machine::new(Arc::clone(plan)).expect("a plan");
        let mut player = Self {
            plan,
            world,
            machine: machine(),
            shadow: machine(),
            durable: Vec::new(),
            met: BTreeSet::new(),
            ms,
            points: 0,
            crash,
            due: BTreeMap::new(),
            timers: BTreeMap::new(),
            numbers: 0,
            flying: BTreeMap::new(),
        };
        for event in journal {
            let input = || Input::Replayed(Box::new(event.clone()));
            let nothing = player.machine.handle(now(ms), input());
            assert!(nothing.is_empty());
            assert!(player.shadow.handle(now(ms), input()).is_empty());
            player.record(event);
        }
        player
    }

    /// Plays until the session ends; nothing if it is ended from outside.
    fn session(&mut self) -> Option<Ending> {
        let started = run_started(self.plan, true);
        let start = Session { started, reason: None, requests: Vec::new(), lost: None };
        match self.feed(Input::Start(Box::new(start))) {
            Fed::Crashed => return None,
            Fed::Ended(ending) => return Some(ending),
            Fed::On => {}
        }
        loop {
            self.people();
            let Some(((at, _), due)) = self.due.pop_first() else {
                panic!("nothing is due, and nothing ends: {:?}", self.stages())
            };
            self.ms = self.ms.max(at);
            self.world.settle(self.ms);
            let input = match due {
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
            match self.feed(input) {
                Fed::Crashed => return None,
                Fed::Ended(ending) => return Some(ending),
                Fed::On => {}
            }
        }
    }

    fn feed(&mut self, input: Input) -> Fed {
        let records = self.machine.state.records.iter();
        let held: Vec<bool> = std::iter::zip(&self.machine.session.live, records)
            .map(|(live, record)| live.holds || matches!(record.stage, Stage::Running(_)))
            .collect();
        let effects = self.machine.handle(now(self.ms), input);
        let appended: Vec<&Event> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Append(event) => Some(&**event),
                _ => None,
            })
            .collect();
        if !appended.is_empty() {
            for written in 0..=appended.len() {
                self.points += 1;
                if self.crash == Some(self.points) {
                    let survivors: Vec<_> = appended[..written].iter().copied().cloned().collect();
                    for event in survivors {
                        self.record(event);
                    }
                    return Fed::Crashed;
                }
            }
        }
        for event in appended.into_iter().cloned().collect::<Vec<_>>() {
            let replayed = Input::Replayed(Box::new(event.clone()));
            assert!(self.shadow.handle(now(self.ms), replayed).is_empty());
            self.record(event);
        }
        assert_eq!(self.machine.state, self.shadow.state, "replaying is living");
        let mut launched = Vec::new();
        let mut ending = None;
        for effect in effects {
            match effect {
                Effect::Append(_) | Effect::StopAttempt(_) => {}
                Effect::Launch(launch) => {
                    launched.push(self.launch(&launch));
                }
                Effect::SetTimer { timer, at } => {
                    let at = (at.as_millisecond() - START_S * 1_000).max(0) as u64;
                    if let Some(old) = self.timers.remove(&timer) {
                        self.due.remove(&old);
                    }
                    let key = self.later(at, Due::Timer(timer.clone()));
                    self.timers.insert(timer, key);
                }
                Effect::Finish(end) => ending = Some(end),
            }
        }
        launched.retain(|&step| !held[step as usize]);
        self.check_slots(&launched);
        ending.map_or(Fed::On, Fed::Ended)
    }

    /// Writes down what is durable, and that nothing of it is ever lost.
    fn record(&mut self, event: Event) {
        match &event.kind {
            EventKind::StepFinished(finished) if finished.state.is_met() => {
                self.met.insert(finished.step.to_string());
            }
            EventKind::StepSkipped { step, .. } => {
                self.met.insert(step.to_string());
            }
            EventKind::StepReset { step, .. } => {
                self.met.remove(step.as_str());
            }
            EventKind::AttemptStarted { step, .. } => {
                assert!(!self.met.contains(step.as_str()), "`{step}` is done and runs again");
            }
            _ => {}
        }
        self.durable.push(event);
    }

    fn launch(&mut self, launch: &Launch) -> Index {
        let id = launch.step.as_str();
        let step = self.plan.step(id).expect("a step");
        for need in &step.needs {
            assert!(self.met.contains(need.as_str()), "`{id}` runs before `{need}` is durable");
        }
        for other in &step.after {
            let state = self.shadow.step_state(other.as_str()).expect("a step");
            assert!(state.is_over(), "`{id}` runs before `{other}` is over");
        }
        let (at, result) = self.world.perform(self.plan, launch, self.ms);
        self.later(at, Due::Back(launch.ticket, result));
        let index = self.machine.graph.find(id).expect("a step");
        self.flying.insert(launch.ticket, index);
        index
    }

    fn later(&mut self, at: u64, due: Due) -> (u64, u64) {
        self.numbers += 1;
        self.due.insert((at, self.numbers), due);
        (at, self.numbers)
    }

    /// Never above a pool, and nobody waits who is more urgent and would fit.
    fn check_slots(&self, launched: &[Index]) {
        let graph = &self.machine.graph;
        let mut free: Vec<i64> = graph.pools.iter().map(|&pool| i64::from(pool)).collect();
        let live = &self.machine.session.live;
        let takes = |step: Index| &graph.demands[graph.node(step).demand as usize];
        for step in (0..graph.len() as Index).filter(|&step| live[step as usize].holds) {
            for &(pool, units) in takes(step) {
                free[pool as usize] -= i64::from(units);
            }
        }
        assert!(free.iter().all(|&free| free >= 0), "a pool is overdrawn");
        for &step in self.flying.values() {
            assert!(live[step as usize].holds, "it runs without its slots");
        }
        for step in (0..graph.len() as Index).filter(|&step| live[step as usize].queued) {
            let fits = |extra: Option<Index>| {
                takes(step).iter().all(|&(pool, units)| {
                    let back = extra.map_or(0, |extra| {
                        let of = takes(extra).iter().find(|&&(other, _)| other == pool);
                        of.map_or(0, |&(_, units)| i64::from(units))
                    });
                    free[pool as usize] + back >= i64::from(units)
                })
            };
            assert!(!fits(None), "it is ready, fits and waits");
            for &other in launched {
                if graph.node(step).rank < graph.node(other).rank {
                    assert!(!fits(Some(other)), "a less urgent step went first");
                }
            }
        }
    }

    /// Whoever is asked answers a little later.
    fn people(&mut self) {
        let graph = Arc::clone(&self.machine.graph);
        for step in 0..graph.len() as Index {
            let id = graph.step(step).id.clone();
            let record = self.machine.state.record(step);
            let asks: Vec<(RequestKind, String)> = match record.stage {
                Stage::Gate => {
                    let approved = record.gate.as_ref().map_or(0, |gate| gate.approved_by.len());
                    let user = ["bob", "carol", "dave"][approved];
                    if self.world.opens(id.as_str()) {
                        vec![(RequestKind::Approve, user.to_owned())]
                    } else {
                        vec![(RequestKind::Reject, user.to_owned())]
                    }
                }
                Stage::Asked(question) => {
                    vec![(self.world.answer(id.as_str(), question), "bob".to_owned())]
                }
                _ => Vec::new(),
            };
            for (ask, user) in asks {
                let name = format!("{id}-{ask:?}-{user}-{}", self.machine.count());
                let request = Request {
                    id: RequestId::from(name),
                    step: Some(id.clone()),
                    ask,
                    by: actor(&user),
                    reason: Some("I looked".to_owned()),
                };
                let waits = self.due.values().any(
                    |due| matches!(due, Due::Answer(other) if other.step.as_ref() == Some(&id)),
                );
                if !waits {
                    self.later(self.ms + 50, Due::Answer(request));
                }
            }
        }
    }

    fn stages(&self) -> Vec<(String, Stage)> {
        let graph = &self.machine.graph;
        let stage = |step| (graph.id(step).to_string(), self.machine.state.stage(step));
        (0..graph.len() as Index).map(stage).collect()
    }
}

enum Fed {
    On,
    Crashed,
    Ended(Ending),
}

/// What must hold of every run that was played.
pub(super) fn check_played(plan: &Plan, played: &Played) {
    for step in &plan.steps {
        let id = step.id.as_str();
        let count = played.world.effects.get(id).copied().unwrap_or(0);
        if !step.effect.is_repeatable() {
            assert!(count <= 1, "`{id}` was done {count} times");
        }
        let acts = step.uses.is_some() && step.repeat.is_none();
        let asked = played.journal.iter().any(|event| {
            matches!(
                &event.kind,
                EventKind::RequestAccepted { request }
                    if request.step.as_ref() == Some(&step.id)
                        && request.ask == RequestKind::AssumeDone
            )
        });
        let by_word = step.on_unknown == crate::words::OnUnknown::Done || asked;
        if played.states[id] == StepState::Succeeded && acts && !by_word {
            assert!(count >= 1, "`{id}` is said to be done and is not");
        }
        if !played.states[id].is_met() {
            continue;
        }
        for need in &step.needs {
            let reached = played.states[id] != StepState::Skipped;
            assert!(!reached || played.states[need.as_str()].is_met(), "`{id}` without `{need}`");
        }
    }
    for event in &played.journal {
        if let EventKind::QuestionAsked { step, question: Question::OutcomeUnknown, .. } =
            &event.kind
        {
            let step = plan.step(step.as_str()).expect("a step");
            assert!(!step.effect.is_repeatable(), "`{}` need not be asked about", step.id);
        }
    }
}
