use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::build::{START_S, actor, now, run_started};
use super::world::World;
use crate::event::{Event, EventKind, Purpose, Request, RequestKind, StepState, Verdict};
use crate::id::{RequestId, StepId};
use crate::machine::graph::{Index, Role};
use crate::machine::step::Stage;
use crate::machine::{Effect, Ending, Input, Launch, LaunchKind, Machine, Session, Ticket, Timer};
use crate::plan::Plan;

/// What a run that was played to its end leaves.
#[derive(Clone)]
pub(crate) struct Played {
    /// The plan, with the elements that were found.
    pub(crate) plan: Arc<Plan>,
    pub(crate) states: BTreeMap<String, StepState>,
    pub(crate) verdict: Verdict,
    pub(crate) world: World,
    pub(crate) journal: Vec<Event>,
    /// Instants at which each session could have been ended.
    pub(crate) points: Vec<u64>,
}

impl Played {
    /// What the journal tells of a step, or of everything.
    pub(crate) fn story(&self, id: &str) -> String {
        story(&self.journal, id)
    }
}

fn story(journal: &[Event], id: &str) -> String {
    let about = journal.iter().filter_map(|event| {
        let json = serde_json::to_value(&event.kind).ok()?;
        let text = json.to_string();
        let resumed = json["type"] == "run_resumed";
        (resumed || id.is_empty() || text.contains(&format!("\"{id}\""))).then_some(text)
    });
    about.collect::<Vec<_>>().join("\n    ")
}

/// A plan, and what its runs are played with.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// Which it is, for whoever has to play it again.
    pub(crate) name: &'a str,
    pub(crate) plan: &'a Arc<Plan>,
    /// What a journal gives back of what was written to it.
    pub(crate) reread: &'a dyn Fn(&[Event]) -> Vec<Event>,
}

/// Of the instants at which a session can be ended, which ones are: every `every`-th, from `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) first: u64,
    pub(crate) every: u64,
}

impl Pick {
    pub(crate) const ALL: Self = Self { first: 1, every: 1 };

    fn takes(self, point: u64) -> bool {
        point >= self.first && (point - self.first).is_multiple_of(self.every)
    }
}

/// What is left of a run: before its beginning, or after `dr` died.
#[derive(Clone)]
pub(crate) struct Left {
    /// The instant at which each session so far was ended; one that ended by itself has none.
    crashes: Vec<u64>,
    journal: Rc<Vec<Event>>,
    /// How much of the journal is left.
    length: usize,
    world: World,
    ms: u64,
    /// Whether it is begun anew once it is taken back, by trying again what failed.
    anew: bool,
}

impl Left {
    /// Nothing was done yet.
    pub(crate) fn nothing(world: World) -> Self {
        Self { crashes: Vec::new(), journal: Rc::default(), length: 0, world, ms: 0, anew: false }
    }

    pub(super) fn begun_anew(self) -> Self {
        Self { anew: true, ..self }
    }
}

/// Plays a run against the world. Session `n` is ended at instant `crashes[n]`: before the write of
/// a batch, after the write of some of it, after its sync, after some of what follows.
pub(super) fn play(plan: &Arc<Plan>, seed: u64, crashes: &[u64]) -> Played {
    let name = format!("seed {seed}");
    let setting = Setting { name: &name, plan, reread: &<[Event]>::to_vec };
    go_on(&setting, Left::nothing(World::new(seed)), crashes, None).0
}

/// The same; a run that was taken back is begun anew once, by trying again what failed.
pub(super) fn play_anew(plan: &Arc<Plan>, seed: u64, crashes: &[u64]) -> Played {
    let name = format!("seed {seed}, begun anew");
    let setting = Setting { name: &name, plan, reread: &<[Event]>::to_vec };
    go_on(&setting, Left::nothing(World::new(seed)).begun_anew(), crashes, None).0
}

/// Plays a run as it goes, and then again and again, ended at each instant of `picks[0]`; each of
/// these is ended at every instant of `picks[1]` once it goes on, and so forth. `seen` gets each of
/// them with where it was ended. How many there were.
pub(crate) fn ended_everywhere(
    setting: &Setting<'_>,
    left: Left,
    picks: &[Pick],
    seen: &mut dyn FnMut(&[u64], &Played),
) -> u64 {
    let crashes = left.crashes.clone();
    let (played, ends) = go_on(setting, left, &[], picks.first().copied());
    let told = Told(setting.name, crashes);
    seen(&told.1, &played);
    drop(told);
    let further = |left| ended_everywhere(setting, left, &picks[1..], seen);
    1 + ends.into_iter().map(further).sum::<u64>()
}

/// Goes on with what is left, until the run is over. Also what would be left if `dr` had died at
/// each instant of `pick`.
pub(crate) fn go_on(
    setting: &Setting<'_>,
    left: Left,
    crashes: &[u64],
    pick: Option<Pick>,
) -> (Played, Vec<Left>) {
    let Left { crashes: mut before, journal, length, mut world, mut ms, mut anew } = left;
    let mut told = Told(setting.name, Vec::new());
    let mut journal = journal[..length].to_vec();
    let mut points = Vec::new();
    let mut ends: Vec<Left> = Vec::new();
    let mut requests = Vec::new();
    for session in 0.. {
        assert!(session < 50, "it never ends");
        told.1 = [&before[..], &crashes[..session.min(crashes.len())]].concat();
        let crash = crashes.get(session).copied();
        let mut player = Player::new(setting, &mut world, &journal, ms, crash);
        player.pick = pick;
        let ending = player.session(std::mem::take(&mut requests));
        let Player { machine, durable, points: reached, ms: at, left, .. } = player;
        ends.extend(left.into_iter().map(|(point, length, world, ms)| {
            let crashes = before.iter().copied().chain([point]).collect();
            Left { crashes, journal: Rc::default(), length, world, ms: ms + 5_000, anew }
        }));
        points.push(reached);
        journal = durable;
        ms = at + 5_000;
        match ending {
            None => world.crash(),
            Some(Ending::Paused(waiting)) => panic!("paused for {waiting:?}"),
            Some(Ending::Verdict(Verdict::Unwound)) if std::mem::take(&mut anew) => {
                world.settle(u64::MAX);
                let failed = machine.graph.plan.steps.iter().filter(|step| {
                    let state = machine.step_state(step.id.as_str());
                    matches!(state, Some(StepState::Failed | StepState::TimedOut))
                });
                requests = failed
                    .map(|step| Request {
                        id: RequestId::from(format!("{}-anew", step.id)),
                        step: Some(step.id.clone()),
                        ask: RequestKind::Retry,
                        by: actor("bob"),
                        reason: None,
                        inputs: BTreeMap::new(),
                        signed: None,
                    })
                    .collect();
                before.push(u64::MAX);
            }
            Some(Ending::Verdict(verdict)) => {
                world.settle(u64::MAX);
                let state = |step: &crate::plan::Step| {
                    let state = machine.step_state(step.id.as_str()).expect("a step");
                    (step.id.to_string(), state)
                };
                let plan = Arc::clone(&machine.graph.plan);
                let states = plan.steps.iter().map(state).collect();
                // What is left of a session is always a beginning of what it wrote.
                let whole = Rc::new(journal.clone());
                for left in &mut ends {
                    left.journal = Rc::clone(&whole);
                }
                return (Played { plan, states, verdict, world, journal, points }, ends);
            }
        }
    }
    unreachable!()
}

/// Says what was played when it ends in a panic.
struct Told<'a>(&'a str, Vec<u64>);

impl Drop for Told<'_> {
    #[expect(clippy::print_stderr, reason = "the way to play it again")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("played {} and ended at {:?}", self.0, self.1);
        }
    }
}

enum Due {
    Back(Ticket, crate::machine::AttemptResult),
    Timer(Timer),
    Answer(Request),
}

struct Player<'a> {
    plan: &'a Arc<Plan>,
    pick: Option<Pick>,
    /// Instants at which it could have been ended, and what would be left: how much of the journal,
    /// the world, and when that was.
    left: Vec<(u64, usize, World, u64)>,
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
    unwinds: bool,
}

impl<'a> Player<'a> {
    fn new(
        setting: &Setting<'a>,
        world: &'a mut World,
        journal: &[Event],
        ms: u64,
        crash: Option<u64>,
    ) -> Self {
        let plan = setting.plan;
        let machine = || Machine::new(Arc::clone(plan)).expect("a plan");
        let mut player = Self {
            plan,
            pick: None,
            left: Vec::new(),
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
            unwinds: false,
        };
        for event in (setting.reread)(journal) {
            let input = || Input::Replayed(Box::new(event.clone()));
            let nothing = player.machine.handle(now(ms), input());
            assert!(nothing.is_empty());
            assert!(player.shadow.handle(now(ms), input()).is_empty());
            player.record(event);
        }
        player
    }

    /// Plays until the session ends; nothing if it is ended from outside.
    fn session(&mut self, requests: Vec<Request>) -> Option<Ending> {
        let started = run_started(self.plan, true);
        let start = Session { started, reason: None, requests, refused: Vec::new(), lost: None };
        match self.feed(Input::Start(Box::new(start))) {
            Fed::Crashed => return None,
            Fed::Ended(ending) => return Some(ending),
            Fed::On => {}
        }
        loop {
            self.people();
            let Some(((at, _), due)) = self.due.pop_first() else {
                let told = story(&self.durable, "");
                panic!("nothing is due, and nothing ends: {:?}\n    {told}", self.stages())
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
        // A step that ran when the session before ended may be joined in the batch that unwinds.
        self.unwinds = self.machine.state.is_unwinding();
        let records = self.machine.state.records.iter();
        let held: Vec<bool> = std::iter::zip(&self.machine.session.live, records)
            .map(|(live, record)| live.holds || matches!(record.stage, Stage::Running(_)))
            .collect();
        let effects = self.machine.handle(now(self.ms), input);
        let appended = effects.iter().filter_map(|effect| match effect {
            Effect::Append(event) => Some((**event).clone()),
            _ => None,
        });
        let appended: Vec<Event> = appended.collect();
        if !appended.is_empty() && self.may_end() {
            return Fed::Crashed;
        }
        for event in appended {
            let replayed = Input::Replayed(Box::new(event.clone()));
            assert!(self.shadow.handle(now(self.ms), replayed).is_empty());
            self.record(event);
            if self.may_end() {
                return Fed::Crashed;
            }
        }
        assert_eq!(self.machine.state, self.shadow.state, "replaying is living");
        let mut launched = Vec::new();
        let mut ending = None;
        for effect in effects {
            match effect {
                Effect::Append(_) | Effect::StopAttempt(_) => {}
                Effect::Launch(launch) => {
                    if !launched.is_empty() && self.may_end() {
                        return Fed::Crashed;
                    }
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
        launched.retain(|&step| !held.get(step as usize).is_some_and(|held| *held));
        self.check_slots(&launched);
        ending.map_or(Fed::On, Fed::Ended)
    }

    /// An instant at which `dr` may die. Whether it does.
    fn may_end(&mut self) -> bool {
        self.points += 1;
        if self.pick.is_some_and(|pick| pick.takes(self.points)) {
            let mut world = self.world.clone();
            world.crash();
            self.left.push((self.points, self.durable.len(), world, self.ms));
        }
        self.crash == Some(self.points)
    }

    /// Writes down what is durable, and that nothing of it is ever lost.
    fn record(&mut self, event: Event) {
        match &event.kind {
            EventKind::StepFinished(finished) if finished.state.is_met() => {
                self.met.insert(finished.step.to_string());
            }
            EventKind::StepFinished(finished) => {
                self.met.remove(finished.step.as_str());
            }
            EventKind::StepSkipped { step, .. } => {
                self.met.insert(step.to_string());
            }
            EventKind::StepReset { step, .. } | EventKind::StepBlocked { step, .. } => {
                self.met.remove(step.as_str());
            }
            // Only what is said to run once more does.
            EventKind::StepsReopened { steps, .. } => {
                for step in steps {
                    self.met.remove(step.as_str());
                }
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
        let graph = Arc::clone(&self.machine.graph);
        let step = graph.step(graph.find(id).expect("a step"));
        self.check_unwinding(launch);
        for need in &step.needs {
            let met = self.met.contains(need.as_str());
            let told = || story(&self.durable, "");
            assert!(met, "`{id}` runs before `{need}` is durable:\n    {}", told());
        }
        for other in &step.after {
            let state = self.shadow.step_state(other.as_str()).expect("a step");
            assert!(state.is_over(), "`{id}` runs before `{other}` is over");
        }
        let (at, result) = self.world.perform(&self.machine, now(self.ms), launch);
        self.later(at, Due::Back(launch.ticket, result));
        // A check before an undo speaks of the step that may have to be taken back.
        let index = self.machine.session.flights[&launch.ticket].step;
        self.flying.insert(launch.ticket, index);
        index
    }

    /// Nothing is taken back while something runs, before what came after it, or twice over.
    fn check_unwinding(&self, launch: &Launch) {
        let graph = &self.machine.graph;
        let position = graph.find(launch.step.as_str()).expect("a step");
        if self.unwinds && graph.role(position) == Role::Forward {
            let looks = launch.kind == LaunchKind::Check || launch.purpose == Purpose::Check;
            let joins = self.world.has_job(launch);
            assert!(looks || joins, "`{}` runs while unwinding", launch.step);
        }
        let Role::Undo(of) = graph.role(position) else { return };
        let alone = self.shadow.state.unwinding_around(graph, of).is_some();
        assert!(self.shadow.state.is_unwinding() || alone, "`{}` without unwinding", launch.step);
        for &(later, _) in &graph.node(of).dependents {
            let record = self.shadow.state.record(later);
            let Some(undo) = graph.node(later).undo.filter(|_| record.begun) else { continue };
            let stage = self.shadow.state.stage(undo);
            // Several steps are passed over where there is nothing for them to do.
            let over = [StepState::Undone, StepState::Warned, StepState::Skipped].map(Stage::Over);
            assert!(over.contains(&stage), "`{}` before `{}`", launch.step, graph.id(undo));
        }
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
            let record = self.machine.state.record(step);
            if !matches!(record.stage, Stage::Gate | Stage::Asked(_)) {
                continue;
            }
            let id = graph.step(step).id.clone();
            let asks: Vec<(RequestKind, String)> = match record.stage {
                Stage::Gate => {
                    let approved = record.gate.as_ref().map_or(0, |gate| gate.approved_by.len());
                    let gate = graph.step(step).approve.as_ref();
                    let named = gate.and_then(|gate| gate.from.get(approved)).cloned();
                    let user = named.unwrap_or_else(|| ["bob", "carol", "dave"][approved].into());
                    if self.world.opens(id.as_str()) {
                        vec![(RequestKind::Approve, user)]
                    } else {
                        vec![(RequestKind::Reject, user)]
                    }
                }
                Stage::Asked(question) => {
                    vec![(self.world.answer(id.as_str(), question), "bob".to_owned())]
                }
                _ => Vec::new(),
            };
            self.ask_people(&id, asks);
        }
        if !self.machine.unanswered().is_empty() {
            let ask = [RequestKind::Undo, RequestKind::Fail][usize::from(!self.world.opens("end"))];
            self.ask_people(&StepId::from("end"), vec![(ask, "bob".to_owned())]);
        }
    }

    fn ask_people(&mut self, id: &StepId, asks: Vec<(RequestKind, String)>) {
        for (ask, user) in asks {
            let name = format!("{id}-{ask:?}-{user}-{}", self.machine.count());
            let request = Request {
                id: RequestId::from(name),
                step: Some(id.clone()),
                ask,
                by: actor(&user),
                reason: Some("I looked".to_owned()),
                inputs: self.told_at(id, ask),
                signed: None,
            };
            let waits = self
                .due
                .values()
                .any(|due| matches!(due, Due::Answer(other) if other.step.as_ref() == Some(id)));
            if !waits {
                self.later(self.ms + 50, Due::Answer(request));
            }
        }
    }

    /// What whoever opens the gate of a step tells there.
    fn told_at(&self, id: &StepId, ask: RequestKind) -> BTreeMap<String, serde_json::Value> {
        let step = self.machine.graph.plan.step(id.as_str());
        let gate = step.and_then(|step| step.approve.as_ref());
        let gate = gate.filter(|_| ask == RequestKind::Approve);
        let asked = gate.into_iter().flat_map(|gate| &gate.inputs);
        let asked = asked.filter(|asked| asked.default.is_none());
        asked.map(|asked| (asked.name.clone(), asked.example())).collect()
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
