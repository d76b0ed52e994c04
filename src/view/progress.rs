use std::sync::Arc;

use super::{Attention, Damage, Phase, StepView, View};
use crate::event::{Achieved, Actor, SkipReason, StepState, Verdict};
use crate::id::{RunId, ServiceId, StepId};
use crate::plan::{Progress, Projection, Projector};
use crate::time::Timestamp;
use crate::words::{Class, Mode, Style};

/// How many steps stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All steps.
    pub total: usize,
    /// Over, however they ended.
    pub over: usize,
    /// Succeeded, with or without a remark.
    pub succeeded: usize,
    /// Of these, with a remark.
    pub warned: usize,
    /// Passed over by decision.
    pub skipped: usize,
    /// Under way.
    pub running: usize,
    /// Waiting for a person or a moment, unknown outcomes included.
    pub waiting: usize,
    /// Able to start.
    pub ready: usize,
    /// Waiting for other steps.
    pub pending: usize,
    /// Failed, timed out, or not taken back.
    pub failed: usize,
    /// Prevented by what became of others.
    pub blocked: usize,
    /// Prevented or stopped by a cancel.
    pub cancelled: usize,
}

/// What events say about a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceState {
    /// Whether all of it succeeded, once all of it is over.
    pub recovered: Option<bool>,
    /// Achieved recovery time in milliseconds from the declaration.
    pub rta_ms: Option<u64>,
    /// When it was over, in milliseconds since the start of the run.
    pub finished_ms: Option<u64>,
    /// Set while it is told that it will be late: when it was expected then, in milliseconds from
    /// the declaration.
    pub at_risk_ms: Option<u64>,
}

/// A change of what is expected of a service's objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskView {
    /// The service.
    pub service: ServiceId,
    /// When it was told, in milliseconds since the start of the run.
    pub at_ms: u64,
    /// When the service was expected then, in milliseconds from the declaration.
    pub expected_ms: u64,
    /// Whether that is too late; otherwise it is in time again.
    pub late: bool,
}

/// A service, its objectives and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceView {
    /// Its name.
    pub name: ServiceId,
    /// Its class.
    pub priority: Class,
    /// Recovery time objective, milliseconds from the declaration.
    pub rto_ms: Option<u64>,
    /// Recovery point objective, milliseconds.
    pub rpo_ms: Option<u64>,
    /// What events say about it as a whole.
    pub state: ServiceState,
    /// Its steps that count for its recovery.
    pub steps: usize,
    /// Of these, over.
    pub over: usize,
    /// Of these, under way.
    pub running: usize,
    /// Of these, failed, blocked or cancelled: it cannot recover before somebody acts.
    pub lost: usize,
    /// What the close record says.
    pub achieved: Option<Achieved>,
}

/// One line of a list of runs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// Name of the runbook.
    pub runbook: String,
    /// Name of the environment.
    pub environment: String,
    /// Live or drill.
    pub mode: Mode,
    /// Graceful or ungraceful.
    pub style: Style,
    /// Who started it.
    pub by: Option<Actor>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Milliseconds from its start to its last record.
    pub elapsed_ms: u64,
    /// The verdict of its last session.
    pub verdict: Option<Verdict>,
    /// Whether it waits for people, without a process.
    pub paused: bool,
    /// Whether a process works on it now.
    pub alive: bool,
    /// How many sessions it had.
    pub sessions: usize,
    /// Steps that wait for a person.
    pub open: Vec<StepId>,
    /// Steps that hold something open which no process is about to close.
    pub held_open: Vec<StepId>,
    /// How many services recovered, of how many.
    pub recovered: (usize, usize),
    /// Where its journal does not hold any more: the rest is told by what comes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
    /// Set if somebody should look at it now.
    pub attention: Option<Attention>,
}

impl RunSummary {
    /// Whether `dr resume` can go on with it.
    #[must_use]
    pub fn resumable(&self) -> bool {
        !self.alive && self.damage.is_none() && !self.verdict.is_some_and(Verdict::is_final)
    }

    /// One word for where it stands: a verdict, `running`, `paused`,
    /// `interrupted`, or `damaged`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.verdict {
            Some(verdict) => verdict.as_str(),
            None if self.damage.is_some() => "damaged",
            None if self.alive => "running",
            None if self.paused => "paused",
            None => "interrupted",
        }
    }
}

impl View {
    /// How many steps stand where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { total: self.steps().len(), ..Counts::default() };
        for step in self.steps() {
            let state = self.state(step);
            counts.over += usize::from(state.is_over());
            match state {
                StepState::Pending => counts.pending += 1,
                StepState::Ready => counts.ready += 1,
                StepState::Waiting | StepState::Unknown => counts.waiting += 1,
                StepState::Running => counts.running += 1,
                StepState::Succeeded | StepState::Undone => counts.succeeded += 1,
                StepState::Warned => {
                    counts.succeeded += 1;
                    counts.warned += 1;
                }
                StepState::Failed | StepState::TimedOut | StepState::UndoFailed => {
                    counts.failed += 1;
                }
                StepState::Skipped => counts.skipped += 1,
                StepState::Blocked => counts.blocked += 1,
                StepState::Cancelled => counts.cancelled += 1,
            }
        }
        counts
    }

    /// Steps under way, the one that started first at the front.
    #[must_use]
    pub fn running(&self) -> Vec<&StepView> {
        let mut running: Vec<_> =
            self.steps().iter().filter(|step| step.state == StepState::Running).collect();
        running.sort_by_key(|step| step.started_ms);
        running
    }

    /// Whether a step counts for the recovery of its service: steps to back up, to go home or to
    /// clean up do not, nor do those whose phase is not taken.
    #[must_use]
    pub fn counts_for_service(&self, step: &StepView) -> bool {
        step.service.is_some()
            && self.planned(step.id.as_str()).is_none_or(crate::plan::Step::counts_for_recovery)
            && step.skipped.as_ref().is_none_or(|skip| skip.reason != SkipReason::Phase)
    }

    /// Every service in the order of the runbook.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceView> {
        let mut services: Vec<ServiceView> = self
            .plan()
            .services
            .iter()
            .map(|service| ServiceView {
                name: service.name.clone(),
                priority: service.priority,
                rto_ms: service.rto_ms,
                rpo_ms: service.rpo_ms,
                state: self.services.get(&service.name).cloned().unwrap_or_default(),
                steps: 0,
                over: 0,
                running: 0,
                lost: 0,
                achieved: self.achieved(&service.name).cloned(),
            })
            .collect();
        let places: std::collections::HashMap<ServiceId, usize> = services
            .iter()
            .enumerate()
            .map(|(place, service)| (service.name.clone(), place))
            .collect();
        for step in self.steps().iter().filter(|step| self.counts_for_service(step)) {
            let Some(&place) = step.service.as_ref().and_then(|name| places.get(name)) else {
                continue;
            };
            let service = &mut services[place];
            service.steps += 1;
            service.over += usize::from(step.state.is_over());
            service.running += usize::from(step.state == StepState::Running);
            service.lost += usize::from(step.state.is_over() && !step.meets_needs());
        }
        services
    }

    fn achieved(&self, service: &ServiceId) -> Option<&Achieved> {
        match self.phase() {
            Phase::Finished(finished) => {
                finished.services.iter().find(|achieved| achieved.name == *service)
            }
            Phase::New | Phase::Open | Phase::Paused(_) => None,
        }
    }

    /// When what is left will be done, if it takes as long as estimated. People are not predicted:
    /// an open gate counts as answered now.
    #[must_use]
    pub fn projection(&self, elapsed_ms: u64) -> Projection {
        let mut progress = Progress { elapsed_ms, ..Progress::default() };
        for step in self.steps() {
            if step.state.is_over() {
                if step.meets_needs() {
                    let ended = step.finished_ms.unwrap_or(0);
                    progress.finished.insert(step.id.clone(), ended);
                } else {
                    progress.dropped.push(step.id.clone());
                }
            } else if let Some(started) = step.started_ms.filter(|_| step.open_gate().is_none()) {
                progress.started.insert(step.id.clone(), started);
            }
        }
        self.projector.get_or_init(|| Arc::new(Projector::new(&self.plan))).project(&progress)
    }

    /// The run as one line of a list. `alive`: whether a process works on it, which the journal
    /// cannot tell.
    #[must_use]
    pub fn summary(&self, alive: bool) -> RunSummary {
        let plan = self.plan();
        let services = self.services();
        let recovered = services.iter().filter(|service| service.state.recovered == Some(true));
        let open = if self.verdict().is_some_and(Verdict::is_final) {
            Vec::new()
        } else {
            self.open()
                .iter()
                .flat_map(|open| match open {
                    super::Open::Gate(step, _) | super::Open::Question(step, _) => {
                        vec![step.id.clone()]
                    }
                    super::Open::Unwinding(unwinding) => unwinding.past.clone(),
                })
                .collect()
        };
        RunSummary {
            run: self.run(),
            runbook: plan.runbook.clone(),
            environment: plan.environment.clone(),
            mode: plan.mode,
            style: plan.style,
            by: self.started().map(|started| started.by.clone()),
            started_at: self.started_at(),
            elapsed_ms: self.elapsed_ms(),
            verdict: self.verdict(),
            paused: matches!(self.phase(), Phase::Paused(_)),
            alive,
            sessions: self.sessions().len(),
            open,
            held_open: self.left_open(alive).into_iter().map(|(step, _)| step.id.clone()).collect(),
            recovered: (recovered.count(), services.len()),
            damage: self.damage().cloned(),
            attention: self.attention(alive, &self.run()),
        }
    }
}
