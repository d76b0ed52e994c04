//! The run as the journal tells it: a fold over its events, and nothing else.

use std::collections::HashSet;

use super::graph::{Graph, Index};
use super::step::{Record, Stage};
use crate::event::{
    Actor, CancelRequest, Event, EventKind, Request, RunStarted, StepState, Verdict,
};
use crate::id::{RequestId, ServiceId, StepId};
use crate::time::Timestamp;

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
    /// Who asked first, and why.
    pub(super) cancelled_by: Option<(Actor, Option<String>)>,
    /// How the session ended.
    pub(super) verdict: Option<Verdict>,
    /// Requests that were seen.
    pub(super) seen: HashSet<RequestId>,
    /// Number of records.
    pub(super) count: u64,
    /// One for each step.
    pub(super) records: Vec<Record>,
    /// Services whose end was announced, with the time of it.
    pub(super) announced: Vec<bool>,
}

impl State {
    pub(super) fn new(graph: &Graph) -> Self {
        Self {
            records: vec![Record::default(); graph.len()],
            announced: vec![false; graph.services.len()],
            ..Self::default()
        }
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
            EventKind::RunFinished(finished) => self.verdict = Some(finished.verdict),
            EventKind::ServiceFinished { service, .. } => {
                if let Some(service) = service_position(graph, service) {
                    self.announced[service] = true;
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
        }
        reopened
    }

    fn fold_step(&mut self, graph: &Graph, step: Index, event: &Event, reopened: &mut Vec<Index>) {
        let record = &mut self.records[step as usize];
        let was = record.stage;
        record.fold(graph.step(step), &event.kind, event.at, event.elapsed_ms);
        if let EventKind::StepBlocked { by, .. } = &event.kind {
            record.blocked_by = by.iter().filter_map(|id| graph.find(id.as_str())).collect();
        }
        let now = record.stage;
        if was.is_over() && was != now {
            if !now.is_over() {
                reopened.push(step);
            }
            self.withdraw(graph, step);
            self.unblock(graph, step, reopened);
        }
    }

    /// What `cause` prevented is no longer prevented by it.
    fn unblock(&mut self, graph: &Graph, cause: Index, reopened: &mut Vec<Index>) {
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
            let record = &mut self.records[step as usize];
            record.resume();
            if matches!(record.stage, Stage::Over(StepState::Blocked | StepState::Cancelled)) {
                record.reopen();
                reopened.push(step);
                self.withdraw(graph, step);
            }
        }
    }

    /// The end of the step's service, if it was announced, no longer holds.
    fn withdraw(&mut self, graph: &Graph, step: Index) {
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
        | E::QuestionAsked { step, .. }
        | E::AttemptStarted { step, .. }
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
        | E::CancelRequested { .. }
        | E::ClockMoved { .. }
        | E::RunFinished(_) => None,
    }
}
