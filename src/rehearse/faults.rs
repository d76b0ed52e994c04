//! Everything that can happen to a step, to every step in turn: where nothing in the runbook says
//! how to go on, the author hears of it before somebody on call does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::guess::Guesser;
use super::script::{Failure, GateAnswer, How, Script};
use super::simulation::{Crash, End, RehearseError, Simulation};
use super::world::FEW_NOT_YET;
use crate::event::{EventKind, Question, RequestKind, SkipReason, StepState, Verdict};
use crate::id::StepId;
use crate::machine::Ending;
use crate::plan::{Plan, Step, Uses};
use crate::text::Expr;

/// Something that happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Its action fails, whatever is tried.
    Fails,
    /// Its time runs out.
    TimesOut,
    /// It never comes back.
    Hangs,
    /// The answer is lost; it was done.
    UnknownDone,
    /// The connection is lost; it was not done.
    UnknownNotDone,
    /// `dr` dies just before its launch.
    CrashBefore,
    /// `dr` dies just after its launch.
    CrashAfter,
    /// Its gate is rejected.
    Rejected,
    /// Nobody answers at its gate in time.
    Unanswered,
}

impl Fault {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::TimesOut => "times out",
            Self::Hangs => "hangs",
            Self::UnknownDone => "was done, but nobody heard",
            Self::UnknownNotDone => "was not done, but nobody heard",
            Self::CrashBefore => "dr dies before its launch",
            Self::CrashAfter => "dr dies after its launch",
            Self::Rejected => "its gate is rejected",
            Self::Unanswered => "nobody answers at its gate",
        }
    }
}

/// A state with no defined way on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nobody knows whether it was done, nothing finds out, and nothing is said about that.
    OutcomeUnknown,
    /// It failed after this point of no return, and neither a step nor a gate follows.
    NoWayForward(StepId),
    /// This step was to be closed, and never is.
    NeverClosed(StepId),
    /// No command goes on from there; how the run stood.
    NoCommand(String),
}

/// A state with no defined way on, and what leads there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    /// The step.
    pub step: StepId,
    /// What is wrong.
    pub trouble: Trouble,
    /// What leads there: what happens to which step.
    pub after: Vec<(StepId, Fault)>,
}

/// What playing all faults found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// How many steps something can happen to.
    pub steps: usize,
    /// How many runs were played.
    pub runs: usize,
    /// What was found, in the order of the plan.
    pub undefined: Vec<Undefined>,
}

/// Plays every fault at every step that a rehearsal without faults reaches. `says_unknown` tells
/// whether the runbook says what follows from a step's unknown outcome.
///
/// # Errors
/// [`RehearseError`].
pub fn faults(
    plan: &Arc<Plan>,
    script: &Script,
    schemas: BTreeMap<Uses, Value>,
    says_unknown: &dyn Fn(&StepId) -> bool,
) -> Result<Faults, RehearseError> {
    let guesser = Guesser::new(schemas);
    let sweep = Sweep { plan, script, guesser: &guesser, says_unknown };
    let mut faults = Faults::default();
    let mut found: BTreeMap<(usize, Trouble), Undefined> = BTreeMap::new();
    for (step, kinds) in sweep.reached()? {
        faults.steps += 1;
        for fault in kinds {
            faults.runs += 1;
            for (at, trouble) in sweep.play(&step, fault)? {
                let position = plan
                    .steps
                    .iter()
                    .position(|it| it.id == at || *it.id.as_str() == *outermost(at.as_str()))
                    .unwrap_or(plan.steps.len());
                let undefined = found
                    .entry((position, trouble.clone()))
                    .or_insert_with(|| Undefined { step: at, trouble, after: Vec::new() });
                undefined.after.push((step.clone(), fault));
            }
        }
    }
    faults.undefined = found.into_values().collect();
    Ok(faults)
}

struct Sweep<'a> {
    plan: &'a Arc<Plan>,
    script: &'a Script,
    guesser: &'a Guesser,
    says_unknown: &'a dyn Fn(&StepId) -> bool,
}

impl Sweep<'_> {
    /// What can happen to which step, in the order in which a run reaches them.
    fn reached(&self) -> Result<Vec<(StepId, Vec<Fault>)>, RehearseError> {
        let mut ignore = |_: &_| {};
        let mut simulation = Simulation::new(self.plan, self.script, self.guesser, &mut ignore)?;
        simulation.people_know = true;
        simulation.world.not_yet = FEW_NOT_YET;
        simulation.session(Vec::new())?;
        let mut reached: Vec<(StepId, Vec<Fault>)> = Vec::new();
        let mut can = |step: &StepId, faults: &[Fault]| {
            let at = reached.iter().position(|(known, _)| known == step).unwrap_or_else(|| {
                reached.push((step.clone(), Vec::new()));
                reached.len() - 1
            });
            for fault in faults {
                if !reached[at].1.contains(fault) {
                    reached[at].1.push(*fault);
                }
            }
        };
        for record in &simulation.records {
            match &record.event.kind {
                EventKind::AttemptStarted { step, purpose, .. }
                    if *purpose != crate::event::Purpose::Check =>
                {
                    use Fault as F;
                    let repeats =
                        simulation.world.step(step.as_str()).is_some_and(|it| it.repeat.is_some());
                    let all = [
                        F::Fails,
                        F::TimesOut,
                        F::Hangs,
                        F::CrashBefore,
                        F::CrashAfter,
                        F::UnknownDone,
                        F::UnknownNotDone,
                    ];
                    // A lost reading is one of many.
                    can(step, if repeats { &all[..5] } else { &all });
                }
                EventKind::ApprovalRequested { step, deadline, .. } => {
                    can(step, &[Fault::Rejected]);
                    if deadline.is_some() {
                        can(step, &[Fault::Unanswered]);
                    }
                }
                EventKind::StepFinished(finished) => {
                    let guards = simulation.world.step(finished.step.as_str());
                    if guards.is_some_and(|it| it.uses.is_none() && !it.expect.is_empty()) {
                        can(&finished.step, &[Fault::Fails]);
                    }
                }
                _ => {}
            }
        }
        Ok(reached)
    }

    /// Plays one fault to where the run ends for good. What was undefined on the way.
    fn play(&self, step: &StepId, fault: Fault) -> Result<Vec<(StepId, Trouble)>, RehearseError> {
        let failing = self.failing_guard(step, fault);
        let plan = failing.as_ref().unwrap_or(self.plan);
        let mut ignore = |_: &_| {};
        let mut simulation = Simulation::new(plan, self.script, self.guesser, &mut ignore)?;
        simulation.people_know = true;
        simulation.world.not_yet = FEW_NOT_YET;
        let failure =
            |how| Some((step.clone(), Failure { how, code: None, message: None, times: None }));
        match fault {
            Fault::Fails => simulation.world.fault = failure(How::Permanent),
            Fault::TimesOut => simulation.world.fault = failure(How::Timeout),
            Fault::Hangs => simulation.world.fault = failure(How::Hang),
            Fault::UnknownDone => simulation.world.fault = failure(How::UnknownDone),
            Fault::UnknownNotDone => simulation.world.fault = failure(How::UnknownNotDone),
            Fault::CrashBefore => simulation.crash_at(step.clone(), Crash::BeforeLaunch),
            Fault::CrashAfter => simulation.crash_at(step.clone(), Crash::AfterLaunch),
            Fault::Rejected => simulation.gate = Some((step.clone(), GateAnswer::Reject)),
            Fault::Unanswered => simulation.gate = Some((step.clone(), GateAnswer::Silence)),
        }
        let mut found = Vec::new();
        let mut end = simulation.session(Vec::new())?;
        let stopped = matches!(end, End::Hangs(_));
        if stopped {
            end = simulation.stop()?;
        }
        let gate = matches!(fault, Fault::Rejected | Fault::Unanswered);
        if matches!(end, End::Ended(Ending::Verdict(_))) {
            if !gate {
                found.extend(self.no_way_forward(&simulation, step));
            }
            // Who stops everything at once leaves closing steps to the resume.
            if !stopped {
                found.extend(self.never_closed(&simulation));
            }
        }
        // What was wrong is mended, and people do what the run tells them to do.
        simulation.world.fault = None;
        if let Some(stands) = go_on(&mut simulation, end)? {
            found.push((step.clone(), Trouble::NoCommand(stands)));
        }
        for asked in &simulation.asked {
            let finds_out = asked.options.contains(&RequestKind::Retry);
            if asked.question == Question::OutcomeUnknown
                && !finds_out
                && !(self.says_unknown)(&asked.step)
            {
                found.push((asked.step.clone(), Trouble::OutcomeUnknown));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The plan in which the guard does not hold, for a step that only states what must hold.
    fn failing_guard(&self, step: &StepId, fault: Fault) -> Option<Arc<Plan>> {
        let guards = |it: &&Step| it.uses.is_none() && fault == Fault::Fails;
        self.plan.step(step.as_str()).filter(guards)?;
        let mut plan = (**self.plan).clone();
        let guard = plan.steps.iter_mut().find(|it| it.id == *step)?;
        let first = guard.expect.first_mut()?;
        first.that = Expr::parse("false").ok()?;
        Some(Arc::new(plan))
    }

    /// Whether the step failed after a point of no return, and nothing was done or asked then.
    fn no_way_forward(
        &self,
        simulation: &Simulation<'_>,
        step: &StepId,
    ) -> Option<(StepId, Trouble)> {
        let own = simulation.world.step(step.as_str())?;
        let failed = simulation.state(step.as_str()).is_some_and(is_failed);
        // A validation says how a service is; it leaves nothing half done.
        if !failed || own.validates.is_some() || own.closes.is_some() {
            return None;
        }
        let before = self
            .related(own, |step| step.needs.iter().chain(&step.after).cloned().collect::<Vec<_>>());
        let passed = self.plan.steps.iter().find(|other| {
            other.point_of_no_return
                && other.id != own.id
                && before.contains(&other.id)
                && simulation
                    .state(other.id.as_str())
                    .is_some_and(|it| matches!(it, StepState::Succeeded | StepState::Warned))
        })?;
        let behind = self.related(own, |step| {
            let waits =
                |other: &&Step| other.needs.contains(&step.id) || other.after.contains(&step.id);
            self.plan.steps.iter().filter(waits).map(|other| other.id.clone()).collect()
        });
        let mut over = false;
        let forward = simulation.records.iter().any(|record| match &record.event.kind {
            EventKind::StepFinished(finished) if finished.step == *step => {
                over = true;
                false
            }
            EventKind::QuestionAsked { step: asked, .. } => asked == step,
            EventKind::AttemptStarted { step: other, .. }
            | EventKind::ApprovalRequested { step: other, .. } => {
                over && (behind.contains(other)
                    || behind.contains(&StepId::from(outermost(other.as_str()))))
            }
            _ => false,
        });
        (!forward).then(|| (step.clone(), Trouble::NoWayForward(passed.id.clone())))
    }

    /// Steps that were opened and are not closed at an orderly end, with what should close them.
    fn never_closed(&self, simulation: &Simulation<'_>) -> Vec<(StepId, Trouble)> {
        let closing = self.plan.steps.iter().filter_map(|step| Some((step, step.closes.as_ref()?)));
        let open = closing.filter(|(step, opened)| {
            let was_opened = simulation.records.iter().any(|record| {
                matches!(&record.event.kind, EventKind::AttemptStarted { step, .. } if step == *opened)
            });
            let by_plan = matches!(step.skip, Some(SkipReason::Phase | SkipReason::When));
            let never_ran = match simulation.state(step.id.as_str()) {
                Some(StepState::Skipped) => by_plan,
                Some(state) => matches!(state, StepState::Pending | StepState::Blocked),
                None => false,
            };
            was_opened && never_ran
        });
        open.map(|(step, opened)| (opened.clone(), Trouble::NeverClosed(step.id.clone()))).collect()
    }

    /// Steps that `next` leads to from one, directly or not.
    fn related(&self, from: &Step, next: impl Fn(&Step) -> Vec<StepId>) -> BTreeSet<StepId> {
        let mut seen = BTreeSet::new();
        let mut open = next(from);
        while let Some(id) = open.pop() {
            if seen.insert(id.clone())
                && let Some(step) = self.plan.step(id.as_str())
            {
                open.extend(next(step));
            }
        }
        seen
    }
}

fn is_failed(state: StepState) -> bool {
    matches!(state, StepState::Failed | StepState::TimedOut | StepState::UndoFailed)
}

/// Does what a run that has not succeeded asks for, until it has. How it stands if nothing helps.
fn go_on(simulation: &mut Simulation<'_>, mut end: End) -> Result<Option<String>, RehearseError> {
    let mut ladder =
        [None, Some(RequestKind::Retry), Some(RequestKind::Redo), Some(RequestKind::AssumeDone)]
            .into_iter()
            .peekable();
    loop {
        match &end {
            End::Ended(Ending::Verdict(verdict)) if verdict.is_final() => return Ok(None),
            // Everything is as it was: a new run is the way on.
            End::Ended(Ending::Verdict(Verdict::Unwound)) => return Ok(None),
            End::Endless => return Ok(Some("the run goes on and on".to_owned())),
            End::Ended(Ending::Verdict(Verdict::Failed | Verdict::Stuck)) => {
                ladder.next_if(Option::is_none);
            }
            _ => {}
        }
        let Some(ask) = ladder.next() else { return Ok(Some(stands(simulation, &end))) };
        let requests = match ask {
            None => Vec::new(),
            Some(ask) => {
                let failed = unfinished(simulation);
                failed.iter().map(|step| simulation.request(step, ask, "operator")).collect()
            }
        };
        end = simulation.session(requests)?;
        let stopped = matches!(end, End::Hangs(_));
        if stopped {
            end = simulation.stop()?;
        }
    }
}

/// Steps that have failed, in the order in which they did.
fn unfinished(simulation: &Simulation<'_>) -> Vec<StepId> {
    let mut steps: Vec<StepId> = Vec::new();
    for record in &simulation.records {
        if let EventKind::StepFinished(finished) = &record.event.kind
            && simulation.state(finished.step.as_str()).is_some_and(is_failed)
            && !steps.contains(&finished.step)
        {
            steps.push(finished.step.clone());
        }
    }
    steps
}

fn stands(simulation: &Simulation<'_>, end: &End) -> String {
    let list = |steps: &[StepId]| {
        steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
    };
    match end {
        End::Waits(steps) if !steps.is_empty() => format!("the run waits at {}", list(steps)),
        End::Hangs(steps) if !steps.is_empty() => format!("the run hangs at {}", list(steps)),
        End::Ended(Ending::Paused(steps)) => format!("the run waits at {}", list(steps)),
        End::Ended(Ending::Verdict(verdict)) => {
            let failed = unfinished(simulation);
            let word = verdict.as_str();
            if failed.is_empty() {
                format!("the run is {word} whatever is asked of it")
            } else {
                format!("the run is {word} whatever is asked of {}", list(&failed))
            }
        }
        _ => "the run does not go on".to_owned(),
    }
}

/// The step of the plan that stands for one that is made during the run: the loop around it.
fn outermost(id: &str) -> &str {
    id.split('@').next().unwrap_or(id)
}
