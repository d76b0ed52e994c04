//! The run as the journal tells it: a fold over its events, and nothing else.

use std::collections::HashSet;

use super::graph::{Graph, Index, Role};
use super::groups;
use super::step::{Record, Stage};
use crate::event::{
    Actor, CancelRequest, Event, EventKind, Request, RunStarted, StepState, Verdict,
};
use crate::id::{RequestId, ServiceId, StepId};
use crate::time::Timestamp;
use crate::words::OnFailure;

/// What is durable of a run. Two machines with equal states decide the same.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct State {
    /// Facts of the run; absent before its first event.
    pub(super) started: Option<Box<RunStarted>>,
    /// When it began, and the run's own time then.
    pub(super) began: Option<(Timestamp, u64)>,
    /// Number of the session, from 1.
    pub(super) session: u32,
    /// Whether somebody can answer in this session.
    pub(super) attended: bool,
    /// How the session was asked to stop.
    pub(super) cancel: Option<CancelRequest>,
    /// Whether the session was asked to pause.
    pub(super) pausing: bool,
    /// Who asked first, and why.
    pub(super) cancelled_by: Option<(Actor, Option<String>)>,
    /// Whether what was done is taken back.
    pub(super) unwinding: Option<Box<Unwinding>>,
    /// How the session ended.
    pub(super) verdict: Option<Verdict>,
    /// Requests that were seen.
    pub(super) seen: HashSet<RequestId>,
    /// Number of records.
    pub(super) count: u64,
    /// One for each step.
    pub(super) records: Vec<Record>,
    /// Whether a step failed because of which a group was to be taken back by itself.
    pub(super) alone: bool,
    /// Services whose end was announced, with the time of it.
    pub(super) announced: Vec<bool>,
    /// Services of which it was told that they will be late.
    pub(super) at_risk: Vec<bool>,
}

/// Taking back what was done. It goes on over sessions until it is finished or refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unwinding {
    /// The failed step; absent after a cancel.
    pub(super) cause: Option<Index>,
    /// Points of no return that a person was asked about.
    pub(super) asked: Vec<Index>,
    /// The answer.
    pub(super) answer: Option<bool>,
}

impl State {
    pub(super) fn new(graph: &Graph) -> Self {
        Self {
            records: vec![Record::default(); graph.len()],
            announced: vec![false; graph.services.len()],
            at_risk: vec![false; graph.services.len()],
            ..Self::default()
        }
    }

    /// Room for steps that were added behind those of the plan.
    pub(super) fn grow(&mut self, graph: &Graph) {
        self.records.resize(graph.len(), Record::default());
    }

    pub(super) fn record(&self, position: Index) -> &Record {
        &self.records[position as usize]
    }

    pub(super) fn stage(&self, position: Index) -> Stage {
        self.records[position as usize].stage
    }

    /// Takes an event in. Gives the steps that were over and are no longer.
    pub(super) fn fold(&mut self, graph: &Graph, event: &Event) -> Vec<Index> {
        self.count += 1;
        let mut reopened = Vec::new();
        match &event.kind {
            EventKind::RunStarted(started) => {
                self.session = 1;
                self.attended = started.attended;
                self.began = Some((event.at, event.elapsed_ms));
                self.started = Some(Box::new(started.clone()));
            }
            EventKind::RunResumed { session, attended, .. } => {
                self.session = *session;
                self.attended = *attended;
                self.cancel = None;
                self.cancelled_by = None;
                self.pausing = false;
                self.verdict = None;
                self.resume(graph, &mut reopened);
            }
            EventKind::LossAccepted(_) => {
                for record in &mut self.records {
                    record.lost = !record.is_met();
                }
            }
            EventKind::CancelRequested { level, by, reason } => {
                if self.cancelled_by.is_none() {
                    self.cancelled_by = Some((by.clone(), reason.clone()));
                }
                self.cancel = self.cancel.max(Some(*level));
            }
            EventKind::PauseRequested { .. } => self.pausing = true,
            EventKind::UnwindingStarted { cause, .. } => {
                let cause = cause.as_ref().and_then(|cause| graph.find(cause.as_str()));
                let unwinding = Unwinding { cause, asked: Vec::new(), answer: None };
                self.unwinding = Some(Box::new(unwinding));
                self.records.iter_mut().for_each(|record| record.unwinds = false);
            }
            EventKind::UnwindingAsked { past } => {
                if let Some(unwinding) = &mut self.unwinding {
                    unwinding.asked =
                        past.iter().filter_map(|step| graph.find(step.as_str())).collect();
                }
            }
            EventKind::UnwindingAnswered { go_on, request, .. } => {
                self.seen.insert(request.clone());
                if let Some(unwinding) = &mut self.unwinding {
                    unwinding.answer = Some(*go_on);
                }
            }
            EventKind::StepsReopened { steps, because } => {
                for step in steps.iter().filter_map(|step| graph.find(step.as_str())) {
                    let record = &mut self.records[step as usize];
                    if record.stage.is_over() {
                        reopened.push(step);
                    }
                    record.put_back(*because, event.elapsed_ms);
                    self.withdraw(graph, step);
                }
            }
            EventKind::RunFinished(finished) => {
                self.verdict = Some(finished.verdict);
                if finished.verdict == Verdict::Unwound
                    || self.unwinding.as_ref().is_some_and(|u| u.answer == Some(false))
                {
                    self.unwinding = None;
                }
            }
            EventKind::ServiceFinished { service, .. } => {
                if let Some(service) = service_position(graph, service) {
                    self.announced[service] = true;
                }
            }
            EventKind::RtoAtRisk { service, .. } | EventKind::RtoOnTrack { service, .. } => {
                if let Some(service) = service_position(graph, service) {
                    self.at_risk[service] = matches!(event.kind, EventKind::RtoAtRisk { .. });
                }
            }
            EventKind::RequestAccepted { request } | EventKind::RequestRefused { request, .. } => {
                self.seen.insert(request.id.clone());
            }
            EventKind::ApprovalAnswered { request: Some(request), .. } => {
                self.seen.insert(request.clone());
            }
            _ => {}
        }
        if let Some(step) = step_of(&event.kind).and_then(|step| graph.find(step.as_str())) {
            if let (EventKind::StepFinished(finished), true, Some(started)) =
                (&event.kind, graph.step(step).incident, self.started.as_mut())
                && finished.state.is_met()
            {
                started.declared_at = event.at;
                started.incident_at = event.at;
            }
            self.fold_step(graph, step, event, &mut reopened);
            self.records[step as usize].unwinds &= self.unwinding.is_none();
        }
        reopened
    }

    /// Whether a need on the step is met. A closing step vouches for all that it closes.
    pub(super) fn is_met(&self, graph: &Graph, step: Index) -> bool {
        self.record(step).is_met()
            && match graph.role(step) {
                Role::Closing(opener) => {
                    let scope = graph.scope(step).iter().copied();
                    scope.chain([opener]).all(|step| self.record(step).is_met())
                }
                _ => true,
            }
    }

    /// Whether everything of the plan's own is taken back or is being so.
    pub(super) fn is_unwinding(&self) -> bool {
        self.unwinding.as_ref().is_some_and(|unwinding| unwinding.answer != Some(false))
    }

    /// The services that the step stops, if it failed in a way that stops others: its own and those
    /// that depend on it. None at all: it stops everything.
    pub(super) fn halted_by(&self, graph: &Graph, step: Index) -> Option<Vec<u32>> {
        if !self.halts(graph, step) {
            return None;
        }
        let service = graph.node(step).service.filter(|_| !self.record(step).undid);
        Some(service.map(|service| graph.downstream(service)).unwrap_or_default())
    }

    /// Whether the step failed in a way that stops others.
    pub(super) fn halts(&self, graph: &Graph, step: Index) -> bool {
        self.record(step).is_failed()
            && graph.role(step) == Role::Forward
            && groups::answers(graph, self, step)
            && !(graph.step(step).fails_group
                && self.record(step).undid
                && graph.scope_of(step).is_some())
            && matches!(
                graph.step(step).on_failure,
                OnFailure::Halt | OnFailure::Undo | OnFailure::Ask
            )
    }

    fn fold_step(&mut self, graph: &Graph, step: Index, event: &Event, reopened: &mut Vec<Index>) {
        let record = &mut self.records[step as usize];
        let was = record.stage;
        record.fold(graph.step(step), &event.kind, event.at, event.elapsed_ms);
        if record.stage.is_under_way() || matches!(record.stage, Stage::Gate | Stage::Sleep(_)) {
            self.enter(graph, step);
        }
        let record = &mut self.records[step as usize];
        self.alone |= record.undid && graph.scope_of(step).is_some();
        if let EventKind::StepBlocked { by, .. } = &event.kind {
            record.blocked_by = by.iter().filter_map(|id| graph.find(id.as_str())).collect();
        }
        let now = record.stage;
        if was.is_over() && was != now {
            if !now.is_over() {
                reopened.push(step);
            }
            self.withdraw(graph, step);
            // What was taken back lets nothing go on.
            let taken_back = [StepState::Undone, StepState::UndoFailed].map(Stage::Over);
            if !taken_back.contains(&now) {
                self.unblock(graph, step, reopened);
                let first = reopened.len();
                self.regroup(graph, step, reopened);
                self.regroup_all(graph, first, reopened);
            }
        }
    }

    /// The groups around what is pending again are so too.
    fn regroup_all(&mut self, graph: &Graph, mut first: usize, reopened: &mut Vec<Index>) {
        while let Some(&step) = reopened.get(first) {
            first += 1;
            self.regroup(graph, step, reopened);
        }
    }

    /// What `cause` prevented is no longer prevented by it.
    pub(super) fn unblock(&mut self, graph: &Graph, cause: Index, reopened: &mut Vec<Index>) {
        let mut causes = HashSet::from([cause]);
        for &step in &graph.order {
            let record = &mut self.records[step as usize];
            if record.stage == Stage::Over(StepState::Blocked)
                && record.blocked_by.iter().any(|by| causes.contains(by))
            {
                record.reopen();
                causes.insert(step);
                reopened.push(step);
                self.withdraw(graph, step);
            }
        }
    }

    fn resume(&mut self, graph: &Graph, reopened: &mut Vec<Index>) {
        for step in 0..graph.len() as Index {
            self.records[step as usize].resume();
            let prevented = [StepState::Blocked, StepState::Cancelled].map(Stage::Over);
            // What a loop bore without is not tried again because others are.
            if prevented.contains(&self.stage(step)) && !groups::is_spoken_for(graph, self, step) {
                self.records[step as usize].reopen();
                reopened.push(step);
                self.withdraw(graph, step);
            }
        }
        self.regroup_all(graph, 0, reopened);
    }

    /// The end of the step's service, if it was announced, no longer holds.
    pub(super) fn withdraw(&mut self, graph: &Graph, step: Index) {
        let node = graph.node(step);
        if let Some(service) = node.service.filter(|_| node.counts) {
            self.announced[service as usize] = false;
        }
    }
}

pub(super) fn service_position(graph: &Graph, name: &ServiceId) -> Option<usize> {
    graph.plan.services.iter().position(|service| service.name == *name)
}

/// The step that an event is about.
pub(super) fn step_of(kind: &EventKind) -> Option<&StepId> {
    use EventKind as E;
    match kind {
        E::StepSkipped { step, .. }
        | E::StepBlocked { step, .. }
        | E::StepCancelled { step }
        | E::ApprovalRequested { step, .. }
        | E::ApprovalAnswered { step, .. }
        | E::ApprovalReminded { step, .. }
        | E::QuestionAsked { step, .. }
        | E::StepSleeping { step, .. }
        | E::AttemptStarted { step, .. }
        | E::RoundStarted { step, .. }
        | E::StepReset { step, .. } => Some(step),
        E::AttemptFinished(finished) => Some(&finished.step),
        E::StepFinished(finished) => Some(&finished.step),
        E::RequestAccepted { request: Request { step, .. } } => step.as_ref(),
        E::RunStarted(_)
        | E::RunResumed { .. }
        | E::LossAccepted(_)
        | E::RunPaused { .. }
        | E::PreflightFinished { .. }
        | E::RequestRefused { .. }
        | E::ServiceFinished { .. }
        | E::RtoAtRisk { .. }
        | E::RtoOnTrack { .. }
        | E::CancelRequested { .. }
        | E::PauseRequested { .. }
        | E::ClockMoved { .. }
        | E::UnwindingStarted { .. }
        | E::UnwindingAsked { .. }
        | E::UnwindingAnswered { .. }
        | E::StepsReopened { .. }
        | E::Expanded { .. }
        | E::RunFinished(_) => None,
    }
}
