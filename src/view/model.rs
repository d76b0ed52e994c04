use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{ServiceState, StepView, quote};
use crate::event::{
    Actor, CancelRequest, EventKind, Finding, LossAccepted, Request, RunFinished, RunStarted,
    StepState, Verdict,
};
use crate::id::{RunId, ServiceId, StepId};
use crate::plan::{Plan, Projector, undone_by};
use crate::time::Timestamp;

/// Where a run stands, folded from its events.
///
/// Tolerates: records seen before (they are ignored by their number), missing volatile events,
/// volatile events that come late, records about steps that the plan does not list (steps made at
/// run time). A gap in the numbers is counted in [`View::missed`]: what is shown may then be
/// older than the journal. It does not tolerate records out of order: an older one is taken for
/// a copy.
#[derive(Debug, Clone)]
pub struct View {
    pub(super) plan: Arc<Plan>,
    pub(super) index: HashMap<StepId, usize>,
    pub(super) steps: Vec<StepView>,
    pub(super) services: BTreeMap<ServiceId, ServiceState>,
    pub(super) started: Option<(RunStarted, Timestamp)>,
    pub(super) phase: Phase,
    pub(super) sessions: Vec<SessionView>,
    pub(super) cancel: Option<CancelView>,
    pub(super) pause: Option<PauseView>,
    pub(super) unwindings: Vec<UnwindingView>,
    pub(super) refused: Vec<(Request, String)>,
    pub(super) findings: Vec<Finding>,
    pub(super) clock_moves: Vec<(u64, i64)>,
    pub(super) risks: Vec<super::RiskView>,
    pub(super) losses: Vec<(u64, LossAccepted)>,
    pub(super) last_seq: u64,
    pub(super) missed: u64,
    pub(super) at: Option<Timestamp>,
    pub(super) elapsed_ms: u64,
    pub(super) projector: OnceLock<Arc<Projector>>,
    /// What a command has to say before the run's name: `--state-dir DIR `, or nothing.
    pub(super) place: String,
    pub(super) damage: Option<Damage>,
}

/// Where the record of a run stops to be believed. What comes before is shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// The run, by its folder: its first record may be the damaged one.
    #[serde(skip)]
    pub run: RunId,
    /// Number of the first record that is not as it was written.
    pub record: u64,
    /// Where its line begins in the journal.
    pub offset: u64,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { record, offset, .. } = self;
        write!(f, "its journal is damaged at record {record} (byte {offset})")
    }
}

/// What the journal says about the run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Nothing is recorded yet.
    New,
    /// A session is open. Whether a process still works on it, the journal cannot tell.
    Open,
    /// The last session ended without a verdict: these steps wait for somebody.
    Paused(Vec<StepId>),
    /// The last session ended with a verdict.
    Finished(RunFinished),
}

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionView {
    /// Its number, from 1.
    pub number: u32,
    /// Who started it.
    pub by: Actor,
    /// Whether somebody sat at the terminal.
    pub attended: bool,
    /// Why it was resumed.
    pub reason: Option<String>,
    /// When it began, in milliseconds since the start of the run.
    pub started_ms: u64,
    /// The same on the wall clock.
    pub started_at: Timestamp,
    /// When it ended, if it did so in order.
    pub ended_ms: Option<u64>,
    /// The same on the wall clock.
    pub ended_at: Option<Timestamp>,
    /// With which verdict; absent for a pause or a crash.
    pub verdict: Option<Verdict>,
}

/// A request to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct CancelView {
    /// Who.
    pub by: Actor,
    /// How.
    pub level: CancelRequest,
    /// Why.
    pub reason: Option<String>,
    /// When, in milliseconds since the start of the run.
    pub at_ms: u64,
}

/// A request to pause.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseView {
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Option<String>,
    /// When, in milliseconds since the start of the run.
    pub at_ms: u64,
}

/// What was done is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct UnwindingView {
    /// The failed step; absent when the run was cancelled.
    pub cause: Option<StepId>,
    /// Who wanted it; absent when the step says so itself.
    pub by: Option<Actor>,
    /// Why.
    pub reason: Option<String>,
    /// When it began, in milliseconds since the start of the run.
    pub at_ms: u64,
    /// Points of no return that people were asked about.
    pub past: Vec<StepId>,
    /// When they were asked, in milliseconds since the start of the run, and on the wall clock.
    pub asked: Option<(u64, Timestamp)>,
    /// What they answered: whether it goes on, who, why and when.
    pub answer: Option<(bool, Actor, Option<String>, u64)>,
}

impl UnwindingView {
    /// The question, while nobody has answered it.
    #[must_use]
    pub fn open(&self) -> Option<String> {
        self.asked.filter(|_| self.answer.is_none()).map(|_| self.question())
    }

    /// What people are asked.
    #[must_use]
    pub fn question(&self) -> String {
        let past: Vec<&str> = self.past.iter().map(StepId::as_str).collect();
        format!("go back past the point of no return ({})?", past.join(", "))
    }
}

/// Something that waits for a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Open<'a> {
    /// An approval.
    Gate(&'a StepView, &'a super::GateView),
    /// An answer.
    Question(&'a StepView, &'a super::QuestionView),
    /// A decision whether to go back past a point of no return.
    Unwinding(&'a UnwindingView),
}

/// A step of the plan before anything has happened.
fn planned(step: &crate::plan::Step) -> StepView {
    let mut shown = StepView::of(step);
    shown.service.clone_from(&step.service);
    shown.host.clone_from(&step.host);
    shown.uses = step.uses.as_ref().map(ToString::to_string);
    shown.estimate_ms = step.estimate_ms;
    if let Some(reason) = step.skip {
        shown.state = StepState::Skipped;
        shown.skipped = Some(super::SkipView { reason, by: None, note: None });
        shown.finished_ms = Some(0);
    }
    shown
}

impl View {
    /// The plan before anything has happened.
    #[must_use]
    pub fn new(plan: &Arc<Plan>) -> Self {
        let mut view = Self {
            plan: Arc::clone(plan),
            index: HashMap::with_capacity(plan.steps.len()),
            steps: Vec::with_capacity(plan.steps.len()),
            services: BTreeMap::new(),
            started: None,
            phase: Phase::New,
            sessions: Vec::new(),
            cancel: None,
            pause: None,
            unwindings: Vec::new(),
            refused: Vec::new(),
            findings: Vec::new(),
            clock_moves: Vec::new(),
            risks: Vec::new(),
            losses: Vec::new(),
            last_seq: 0,
            missed: 0,
            at: None,
            elapsed_ms: 0,
            projector: OnceLock::new(),
            place: String::new(),
            damage: None,
        };
        for step in &plan.steps {
            view.index.insert(step.id.clone(), view.steps.len());
            view.steps.push(planned(step));
        }
        view
    }

    /// A loop turns out to go over certain elements, or goes into another round: their steps come
    /// behind those of the plan.
    pub(super) fn grow(&mut self, event: &EventKind) {
        let Some((plan, _)) = crate::plan::grown_by(&self.plan, event) else { return };
        let before = self.plan.steps.len();
        let made = self.steps.split_off(before);
        self.steps.extend(plan.steps[before..].iter().map(planned));
        self.steps.extend(made);
        self.index =
            self.steps.iter().enumerate().map(|(at, step)| (step.id.clone(), at)).collect();
        self.plan = Arc::new(plan);
        self.projector = OnceLock::new();
    }

    /// The plan that is carried out.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The first event of the run.
    #[must_use]
    pub fn started(&self) -> Option<&RunStarted> {
        self.started.as_ref().map(|(started, _)| started)
    }

    /// When the run started.
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started.as_ref().map(|(_, at)| *at)
    }

    /// The run's id; `RUN` before its first event.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.started().map_or_else(|| RunId::from("RUN"), |started| started.run.clone())
    }

    /// Says that a command finds the run only if it names this state directory.
    #[must_use]
    pub fn kept_in(mut self, folder: Option<&Path>) -> Self {
        self.place = folder.map_or_else(String::new, |folder| {
            format!("--state-dir {} ", quote(&folder.display().to_string()))
        });
        self
    }

    /// Says that the journal does not hold from there on, so that what follows is not known.
    #[must_use]
    pub fn damaged(mut self, damage: Option<Damage>) -> Self {
        self.damage = damage;
        self
    }

    /// Where the journal does not hold any more, if it is damaged.
    #[must_use]
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// The command that goes on without what a damaged journal no longer tells; none if the run is
    /// over by what it does tell.
    #[must_use]
    pub fn past_damage(&self, damage: &Damage) -> Option<String> {
        let over = self.verdict().is_some_and(Verdict::is_final);
        (!over).then(|| format!("dr resume {} --accept-loss", self.spoken_as(&damage.run)))
    }

    /// The run as a command of a shell names it.
    #[must_use]
    pub fn spoken(&self) -> String {
        self.spoken_as(&self.run())
    }

    /// The same under its id, which the journal does not know before its first record.
    pub(super) fn spoken_as(&self, run: &RunId) -> String {
        format!("{}{}", self.place, quote(run.as_str()))
    }

    /// What the journal says about the run as a whole.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The verdict of the last session, if it has one.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.phase {
            Phase::Finished(finished) => Some(finished.verdict),
            Phase::New | Phase::Open | Phase::Paused(_) => None,
        }
    }

    /// Sessions, oldest first.
    #[must_use]
    pub fn sessions(&self) -> &[SessionView] {
        &self.sessions
    }

    /// Who asked the current session to stop, and how.
    #[must_use]
    pub fn cancel(&self) -> Option<&CancelView> {
        self.cancel.as_ref()
    }

    /// Who asked the current session to pause.
    #[must_use]
    pub fn pause(&self) -> Option<&PauseView> {
        self.pause.as_ref()
    }

    /// The view of a run that no process works on: the journal of one that was killed does not tell.
    #[must_use]
    pub fn unattended(mut self) -> Self {
        self.lose_sight();
        self
    }

    /// What is held open: steps that were started, each with the step that will close it.
    #[must_use]
    pub fn held_open(&self) -> Vec<(&StepView, &StepId)> {
        let closings = self.plan.steps.iter().filter(|step| step.skip.is_none());
        let open = closings.filter_map(|closing| {
            let opener = self.step(closing.closes.as_ref()?.as_str())?;
            let closed = self.step(closing.id.as_str())?.state.is_over();
            let begun = opener.started_ms.is_some() && opener.state != StepState::Waiting;
            (begun && !closed).then_some((opener, &closing.id))
        });
        open.collect()
    }

    /// The same, if no process is about to close it. `alive`: whether one works on the run.
    #[must_use]
    pub fn left_open(&self, alive: bool) -> Vec<(&StepView, &StepId)> {
        let over = self.verdict().is_some_and(Verdict::is_final);
        if alive || over || self.started().is_none() { Vec::new() } else { self.held_open() }
    }

    /// Each time that what was done was taken back, oldest first.
    #[must_use]
    pub fn unwindings(&self) -> &[UnwindingView] {
        &self.unwindings
    }

    /// Requests that could not be followed, and why.
    #[must_use]
    pub fn refused(&self) -> &[(Request, String)] {
        &self.refused
    }

    /// What the last preflight found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// When services were expected to be late, and in time again, oldest first.
    #[must_use]
    pub fn risks(&self) -> &[super::RiskView] {
        &self.risks
    }

    /// Jumps of the wall clock: when (milliseconds since the start) and by how much.
    #[must_use]
    pub fn clock_moves(&self) -> &[(u64, i64)] {
        &self.clock_moves
    }

    /// Parts of the journal that were given up, and when, in milliseconds since the start.
    #[must_use]
    pub fn losses(&self) -> &[(u64, LossAccepted)] {
        &self.losses
    }

    /// Number of the last record seen.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// How many records were not seen.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Wall clock of the last event.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// Milliseconds since the start, at the last event.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.elapsed_ms
    }

    /// Milliseconds from the declaration to the start of the run: what objectives are shifted by.
    #[must_use]
    pub fn clock_offset_ms(&self) -> i64 {
        let Some((started, at)) = &self.started else { return 0 };
        // What the run's own clock already showed at its first event.
        let shown = self.sessions.first().map_or(0, |session| session.started_ms as i64);
        at.as_millisecond() - shown - started.declared_at.as_millisecond()
    }

    /// Every step: those of the plan in its order, then those made at run time.
    #[must_use]
    pub fn steps(&self) -> &[StepView] {
        &self.steps
    }

    /// All steps; those that an expanded loop or a round added stand before its end, where they
    /// belong.
    #[must_use]
    pub fn steps_by_place(&self) -> Vec<&StepView> {
        let around = |position: usize| {
            let end = self.plan.steps.get(position)?.inside.as_ref()?;
            self.index.get(end).copied()
        };
        // The ends of what is around it from the outside in, then itself, then what is behind all
        // that stands inside it.
        let place = |position: usize| {
            let mut place: Vec<usize> =
                std::iter::successors(Some(position), |inner| around(*inner)).collect();
            place.reverse();
            place.push(usize::MAX);
            place
        };
        let mut positions: Vec<usize> = (0..self.steps.len()).collect();
        let has_grown = |position: &usize| around(*position).is_some_and(|end| end < *position);
        if positions.iter().any(has_grown) {
            positions.sort_by_cached_key(|position| place(*position));
        }
        positions.into_iter().map(|position| &self.steps[position]).collect()
    }

    /// When a step began and how long it took, in milliseconds: a group since its beginning.
    #[must_use]
    pub fn lasted(&self, step: &StepView) -> (Option<u64>, Option<u64>) {
        let is_group = || self.planned(step.id.as_str()).is_some_and(|it| it.group.is_some());
        match step.finished_ms.zip(step.duration_ms) {
            Some((to, took)) if is_group() => (Some(to.saturating_sub(took)), Some(took)),
            _ => {
                let took = step.started_ms.zip(step.finished_ms);
                (step.started_ms, took.map(|(from, to)| to.saturating_sub(from)))
            }
        }
    }

    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&StepView> {
        self.index.get(id).map(|&position| &self.steps[position])
    }

    /// The step of the plan with this id: as [`Plan::step_or_undo`], without a search.
    #[must_use]
    pub fn planned(&self, id: &str) -> Option<&crate::plan::Step> {
        let own = |id: &str| self.index.get(id).and_then(|at| self.plan.steps.get(*at));
        match undone_by(id) {
            Some(of) => own(of)?.undo_step(id),
            None => own(id),
        }
    }

    /// Where a step stands: `ready` where all that it waits for is over as it must be.
    #[must_use]
    pub fn state(&self, step: &StepView) -> StepState {
        if step.state == StepState::Pending && self.is_startable(step) {
            return StepState::Ready;
        }
        step.state
    }

    fn is_startable(&self, step: &StepView) -> bool {
        let Some(planned) = self.planned(step.id.as_str()) else { return false };
        let over = |id: &StepId| self.step(id.as_str()).is_none_or(|other| other.state.is_over());
        let met = |id: &StepId| self.step(id.as_str()).is_none_or(StepView::meets_needs);
        planned.needs.iter().all(met) && planned.after.iter().all(over)
    }

    /// Everything that waits for a person, oldest first.
    #[must_use]
    pub fn open(&self) -> Vec<Open<'_>> {
        let mut open: Vec<(u64, Open<'_>)> = Vec::new();
        for step in &self.steps {
            if let Some(gate) = step.open_gate() {
                open.push((gate.asked_ms, Open::Gate(step, gate)));
            }
            if let Some(question) = step.open_question() {
                open.push((question.asked_ms, Open::Question(step, question)));
            }
        }
        if let Some(unwinding) = self.unwindings.last()
            && let (Some(_), Some((asked, _))) = (unwinding.open(), unwinding.asked)
        {
            open.push((asked, Open::Unwinding(unwinding)));
        }
        open.sort_by_key(|(asked, _)| *asked);
        open.into_iter().map(|(_, open)| open).collect()
    }
}
