use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::{START_S, actor, now, run_started};
use super::world::World;
use crate::event::{
    Event, EventKind, Purpose, Question, Reopening, Request, RequestKind, StepState, Verdict,
};
use crate::id::{RequestId, StepId};
use crate::machine::graph::{Index, Role};
use crate::machine::step::Stage;
use crate::machine::{Effect, Ending, Input, Launch, LaunchKind, Machine, Session, Ticket, Timer};
use crate::plan::{Plan, Step};

/// What a run that was played to its end leaves.
#[derive(Debug)]
pub(super) struct Played {
    /// The plan, with the elements that were found.
    pub(super) plan: Arc<Plan>,
    pub(super) states: BTreeMap<String, StepState>,
    pub(super) verdict: Verdict,
    pub(super) world: World,
    pub(super) journal: Vec<Event>,
    /// Instants at which each session could have been ended.
    pub(super) points: Vec<u64>,
}

impl Played {
    /// What the journal tells of a step, or of everything.
    pub(super) fn story(&self, id: &str) -> String {
        let about = self.journal.iter().filter_map(|event| {
            let json = serde_json::to_value(&event.kind).ok()?;
            let text = json.to_string();
            let resumed = json["type"] == "run_resumed";
            (resumed || id.is_empty() || text.contains(&format!("\"{id}\""))).then_some(text)
        });
        about.collect::<Vec<_>>().join("\n    ")
    }
}

/// Plays a run against the world. Session `n` is ended at instant `crashes[n]`: before the write of
/// a batch, after the write of some of it, after its sync.
pub(super) fn play(plan: &Arc<Plan>, seed: u64, crashes: &[u64]) -> Played {
    play_on(plan, seed, crashes, false)
}

/// The same; a run that was taken back may be begun anew once, by trying again what failed.
pub(super) fn play_on(plan: &Arc<Plan>, seed: u64, crashes: &[u64], anew: bool) -> Played {
    let _told = Told(seed, crashes);
    let mut world = World::new(seed);
    let mut journal = Vec::new();
    let mut points = Vec::new();
    let mut ms = 0;
    let mut anew = anew;
    let mut requests = Vec::new();
    for session in 0.. {
        assert!(session < 50, "it never ends");
        let crash = crashes.get(session).copied();
        let mut player = Player::new(plan, &mut world, journal, ms, crash);
        let ending = player.session(std::mem::take(&mut requests));
        let Player { machine, durable, points: reached, ms: at, .. } = player;
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
            }
            Some(Ending::Verdict(verdict)) => {
                world.settle(u64::MAX);
                let state = |step: &crate::plan::Step| {
                    let state = machine.step_state(step.id.as_str()).expect("a step");
                    (step.id.to_string(), state)
                };
                let plan = Arc::clone(&machine.graph.plan);
                let states = plan.steps.iter().map(state).collect();
                return Played { plan, states, verdict, world, journal, points };
            }
        }
    }
    unreachable!()
}

/// Says what was played when it ends in a panic.
struct Told<'a>(u64, &'a [u64]);

impl Drop for Told<'_> {
    #[expect(clippy::print_stderr, reason = "the way to play it again")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("played with seed {} and ended at {:?}", self.0, self.1);
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
            unwinds: false,
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
    fn session(&mut self, requests: Vec<Request>) -> Option<Ending> {
        let started = run_started(self.plan, true);
        let start = Session { started, reason: None, requests, lost: None };
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
        // A step that ran when the session before ended may be joined in the batch that unwinds.
        self.unwinds = self.machine.state.is_unwinding();
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
        launched.retain(|&step| !held.get(step as usize).is_some_and(|held| *held));
        self.check_slots(&launched);
        ending.map_or(Fed::On, Fed::Ended)
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
            EventKind::StepReset { step, .. } => {
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
            assert!(self.met.contains(need.as_str()), "`{id}` runs before `{need}` is durable");
        }
        for other in &step.after {
            let state = self.shadow.step_state(other.as_str()).expect("a step");
            assert!(state.is_over(), "`{id}` runs before `{other}` is over");
        }
        let (at, result) = self.world.perform(&self.machine.graph.plan, launch, self.ms);
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
            let checks = launch.kind == LaunchKind::Check;
            assert!(checks, "`{}` runs while unwinding", launch.step);
        }
        let Role::Undo(of) = graph.role(position) else { return };
        let alone = self.shadow.state.unwinding_around(graph, of).is_some();
        assert!(self.shadow.state.is_unwinding() || alone, "`{}` without unwinding", launch.step);
        for &(later, _) in &graph.node(of).dependents {
            let record = self.shadow.state.record(later);
            let Some(undo) = graph.node(later).undo.filter(|_| record.begun) else { continue };
            let stage = self.shadow.state.stage(undo);
            let over = [StepState::Undone, StepState::Warned].map(Stage::Over);
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
                inputs: BTreeMap::new(),
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
pub(super) fn check_played(played: &Played) {
    let plan = &*played.plan;
    for step in &plan.steps {
        let id = step.id.as_str();
        let count = played.world.effects.get(id).copied().unwrap_or(0);
        if !step.effect.is_repeatable() {
            // What was closed is opened again on purpose.
            let opened = |event: &&Event| {
                matches!(&event.kind, EventKind::StepsReopened { steps, because: Reopening::Closed }
                    if steps.contains(&step.id))
            };
            let most = 1 + played.journal.iter().filter(opened).count() as u32;
            assert!(count <= most, "`{id}` was done {count} times:\n{}", played.story(""));
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
            let state = played.states[need.as_str()];
            let met = state.is_met() || matches!(state, StepState::Undone | StepState::UndoFailed);
            // What nothing takes back stays done when what it needed begins anew.
            let anew = played.journal.iter().any(|event| {
                matches!(&event.kind, EventKind::StepsReopened { steps, because: Reopening::TakenBack }
                    if steps.contains(need))
            });
            let met = met || anew;
            let story = || played.story(need.as_str());
            assert!(!reached || met, "`{id}` without `{need}`:\n    {}", story());
        }
    }
    check_end(plan, played);
    for event in &played.journal {
        if let EventKind::QuestionAsked { step, question: Question::OutcomeUnknown, .. } =
            &event.kind
        {
            let step = plan.step(step.as_str()).expect("a step");
            assert!(!step.effect.is_repeatable(), "`{}` need not be asked about", step.id);
        }
    }
}

/// What was opened is closed, what is said to be taken back is, and the verdict says what is so.
fn check_end(plan: &Plan, played: &Played) {
    let began = |id: &str| {
        // What ran before it was put back is closed.
        let put_back = |event: &Event| {
            matches!(&event.kind, EventKind::StepsReopened { steps, .. }
                if steps.iter().any(|step| step.as_str() == id))
        };
        let from = played.journal.iter().rposition(put_back).unwrap_or(0);
        played.journal[from..].iter().any(|event| {
            matches!(&event.kind, EventKind::AttemptStarted { step, purpose, .. }
                if step.as_str() == id && *purpose != Purpose::Check)
        })
    };
    for step in &plan.steps {
        let id = step.id.as_str();
        let state = played.states[id];
        if let Some(opener) = &step.closes {
            let computed = plan.step(opener.as_str()).is_some_and(|step| step.uses.is_none());
            if !computed {
                let skipped = state == StepState::Skipped;
                assert_eq!(began(opener.as_str()), !skipped, "`{id}` closes `{opener}`: {state:?}");
            }
            assert!(state.is_over(), "`{id}` is left open");
        }
        if state == StepState::Undone {
            let nothing = !played.world.is_done(id);
            let back = played.world.undone.contains(id);
            assert!(back || nothing, "`{id}` is not taken back:\n{}", played.story(id));
        }
        let verdict_fits = match played.verdict {
            Verdict::Unwound => {
                !(began(id) && step.undo.is_some() && state == StepState::Succeeded)
            }
            Verdict::Succeeded => state.is_met() || spoken_for(plan, played, step),
            _ => true,
        };
        assert!(verdict_fits, "{:?} with `{id}` {state:?}", played.verdict);
    }
}

/// Whether a group around the step came out well all the same.
fn spoken_for(plan: &Plan, played: &Played, step: &Step) -> bool {
    let around = |step: &Step| plan.step(step.inside.as_ref()?.as_str());
    std::iter::successors(around(step), |group| around(group))
        .any(|group| played.states[group.id.as_str()].is_met())
}
