use std::collections::BTreeMap;

use serde_json::Value;

use super::graph::{Index, Role};
use super::io::{Effect, Timer};
use super::machine::Machine;
use super::rules::finish::Finish;
use super::rules::gate::{self, Approval, approve};
use super::rules::request::refuse;
use super::step::Stage;
use crate::event::{
    Actor, CancelRequest, EventKind, Outcome, Purpose, Request, RequestKind, SkipReason, StepState,
};
use crate::time::Timestamp;
use dr_plugin::CallError;

impl Machine {
    /// Follows a request of a person, or says why not.
    pub(super) fn request(&mut self, request: Request) {
        if self.state.seen.contains(&request.id) {
            return;
        }
        if self.answers_unwinding(&request) {
            return;
        }
        if request.ask == RequestKind::Pause {
            self.pause_on_request(request);
            return;
        }
        let level = match request.ask {
            RequestKind::Cancel | RequestKind::CancelUndo => Some(CancelRequest::Drain),
            RequestKind::CancelNow => Some(CancelRequest::Stop),
            _ => None,
        };
        if let Some(level) = level {
            let (by, reason) = (request.by.clone(), request.reason.clone());
            let undo = request.ask == RequestKind::CancelUndo;
            self.emit(EventKind::RequestAccepted { request: Request { step: None, ..request } });
            self.cancel(by.clone(), level, reason.clone());
            if undo {
                self.start_unwinding(None, Some(by), reason);
            }
            return;
        }
        let Some(id) = &request.step else {
            let why = "it names no step".to_owned();
            self.emit(EventKind::RequestRefused { request, why });
            return;
        };
        let Some(step) = self.graph.find(id.as_str()) else {
            let why = format!("the plan has no step `{id}`");
            self.emit(EventKind::RequestRefused { request, why });
            return;
        };
        if let Some(requests) = self.about_group(step, &request) {
            for request in requests {
                self.request(request);
            }
            return;
        }
        let busy = self.session.live[step as usize].ticket.is_some();
        if let Some(why) = refuse(&self.graph, &self.state, step, busy, &request) {
            self.emit(EventKind::RequestRefused { request, why });
        } else if matches!(request.ask, RequestKind::Approve | RequestKind::Reject) {
            self.answer_gate(step, request);
        } else {
            self.emit(EventKind::RequestAccepted { request });
            self.later(step);
        }
    }

    /// Why a request about a step would not be followed as the run stands; nothing if it would.
    #[must_use]
    pub fn refuses(&self, request: &Request, at: Timestamp) -> Option<String> {
        let step = self.graph.find(request.step.as_ref()?.as_str())?;
        if let Some(requests) = self.about_group(step, request) {
            let refused = requests.iter().map(|request| self.refuses(request, at));
            return refused.collect::<Option<Vec<_>>>()?.into_iter().next();
        }
        let busy = self.session.live[step as usize].ticket.is_some();
        refuse(&self.graph, &self.state, step, busy, request).or_else(|| {
            let answers = matches!(request.ask, RequestKind::Approve | RequestKind::Reject);
            answers.then(|| self.counts(step, request, at).err()).flatten()
        })
    }

    /// What an answer to the open gate of a step tells, and whether it settles the gate; or why it
    /// does not count.
    fn counts(
        &self,
        step: Index,
        request: &Request,
        at: Timestamp,
    ) -> Result<(BTreeMap<String, Value>, bool), String> {
        let asked = self.graph.step(step).approve.as_ref();
        let (Some((plan, gate)), RequestKind::Approve) =
            (asked.zip(self.state.record(step).gate.as_ref()), request.ask)
        else {
            return Ok((BTreeMap::new(), true));
        };
        let told = gate::told(&self.graph.plan, &self.state, plan, gate, (request, at))?;
        match approve(gate, &request.by, plan.approvers) {
            Approval::Opens => Ok((told, true)),
            Approval::Counts => Ok((told, false)),
            Approval::Repeated => {
                Err(format!("{} has already approved: another person must", request.by.user))
            }
        }
    }

    fn answer_gate(&mut self, step: Index, request: Request) {
        let (inputs, settled) = match self.counts(step, &request, self.now.at) {
            Ok(counts) => counts,
            Err(why) => {
                self.emit(EventKind::RequestRefused { request, why });
                return;
            }
        };
        self.emit(EventKind::ApprovalAnswered {
            step: self.graph.id(step),
            approved: request.ask == RequestKind::Approve,
            by: Some(request.by),
            request: Some(request.id),
            reason: request.reason,
            inputs,
            signed: request.signed,
            settled,
        });
        self.later(step);
    }

    /// The gate asks again in a while, if it says so.
    pub(super) fn remind_later(&mut self, step: Index) {
        let every = self.graph.step(step).approve.as_ref().and_then(|gate| gate.remind_ms);
        let Some((every, gate)) = every.zip(self.state.record(step).gate.as_ref()) else { return };
        let after = every.saturating_mul(u64::from(gate.reminded) + 1);
        let after = jiff::SignedDuration::from_millis(i64::try_from(after).unwrap_or(i64::MAX));
        if let Ok(at) = gate.asked.checked_add(after) {
            let timer = Timer::Remind(self.graph.id(step));
            self.ask(Effect::SetTimer { timer, at });
        }
    }

    /// Nobody has settled the gate yet.
    pub(super) fn remind(&mut self, step: Index) {
        let Some(gate) = &self.state.record(step).gate else { return };
        let (request, number) = (gate.request.clone(), gate.reminded + 1);
        self.emit(EventKind::ApprovalReminded { step: self.graph.id(step), request, number });
        self.remind_later(step);
    }

    /// Nobody answered in time.
    pub(super) fn gate_expired(&mut self, step: Index) {
        self.emit(EventKind::ApprovalAnswered {
            step: self.graph.id(step),
            approved: false,
            by: None,
            request: None,
            reason: None,
            inputs: BTreeMap::new(),
            signed: None,
            settled: true,
        });
        self.later(step);
    }

    /// Whether a person decided to pass the step over before it began: that waits for its turn.
    pub(super) fn skips_later(&self, step: Index) -> bool {
        let record = self.state.record(step);
        let skips = record.decision.as_ref().is_some_and(|r| r.ask == RequestKind::Skip);
        let prevented = [StepState::Blocked, StepState::Cancelled].map(Stage::Over);
        skips && (record.stage == Stage::Idle || prevented.contains(&record.stage))
    }

    /// Does what a person decided.
    pub(super) fn carry_out(&mut self, step: Index) {
        let Some(request) = self.state.record(step).decision.clone() else { return };
        let Request { by, reason, ask, .. } = *request;
        let id = self.graph.id(step);
        let record = self.state.record(step);
        match ask {
            RequestKind::Retry | RequestKind::Redo => {
                let redo = ask == RequestKind::Redo;
                self.emit(EventKind::StepReset { step: id, redo, by, reason });
                self.later(step);
            }
            RequestKind::Skip => self.emit(EventKind::StepSkipped {
                step: id,
                reason: SkipReason::Person,
                by: Some(by),
                note: reason,
            }),
            RequestKind::AssumeDone => {
                let mut outputs = record.told();
                outputs.extend(record.outputs.clone());
                let finish =
                    Finish { outputs, recovery_point: record.recovery_point, ..Finish::default() };
                self.finished(step, Outcome::Succeeded, finish, Some(by), reason);
            }
            RequestKind::Fail | RequestKind::Undo => {
                let said = || CallError::permanent("said_failed", format!("{by} said it failed"));
                let error = record.error.as_deref().cloned().unwrap_or_else(said);
                let finish = Finish {
                    outputs: record.outputs.clone(),
                    error: Some(error),
                    ..Finish::default()
                };
                self.finished(step, Outcome::Failed, finish, Some(by), reason);
            }
            RequestKind::AssumeNotDone
            | RequestKind::Approve
            | RequestKind::Reject
            | RequestKind::Cancel
            | RequestKind::CancelNow
            | RequestKind::CancelUndo
            | RequestKind::Pause => {}
        }
    }

    /// Nothing new starts; the session ends once what runs has ended.
    fn pause_on_request(&mut self, request: Request) {
        let why = match (self.state.pausing, self.state.cancel) {
            (true, _) => "the run is pausing already",
            (_, Some(_)) => "the run is stopping",
            (false, None) => {
                let (by, reason) = (request.by.clone(), request.reason.clone());
                let request = Request { step: None, ..request };
                self.emit(EventKind::RequestAccepted { request });
                self.emit(EventKind::PauseRequested { by, reason });
                return;
            }
        };
        self.emit(EventKind::RequestRefused { request, why: why.to_owned() });
    }

    /// Somebody asks the run to stop.
    pub(super) fn cancel(&mut self, by: Actor, level: CancelRequest, reason: Option<String>) {
        if self.state.cancel >= Some(level) {
            return;
        }
        let undo = self.graph.plan.undo_on_cancel && level == CancelRequest::Drain;
        let paused = self.is_pausing();
        self.emit(EventKind::CancelRequested { by, level, reason });
        if paused {
            // What stood still for the pause now follows the cancel.
            for step in 0..self.graph.len() as Index {
                if !self.state.stage(step).is_over() {
                    self.later(step);
                }
            }
        }
        for step in 0..self.graph.len() as Index {
            self.cancel_step(step, level);
        }
        if undo {
            self.start_unwinding(None, None, None);
        }
    }

    fn cancel_step(&mut self, step: Index, level: CancelRequest) {
        if let Some(ticket) = self.session.live[step as usize].ticket {
            if level == CancelRequest::Stop {
                self.ask(Effect::StopAttempt(ticket));
            }
            return;
        }
        if self.state.record(step).decision.is_some() && !self.skips_later(step) {
            return;
        }
        let forward = self.graph.role(step) == Role::Forward;
        match self.state.stage(step) {
            Stage::Idle | Stage::Gate | Stage::Sleep(_) if forward => {
                self.emit(EventKind::StepCancelled { step: self.graph.id(step) });
            }
            Stage::Wait(purpose, _) if forward && purpose != Purpose::Check => {
                self.stop_waiting(step);
            }
            _ if level == CancelRequest::Stop => self.free_slots(step),
            _ => {}
        }
    }

    /// A step between two attempts, none of which was applied, is not tried again.
    pub(super) fn stop_waiting(&mut self, step: Index) {
        let record = self.state.record(step);
        let error = record.error.as_deref().cloned();
        let finish = Finish {
            error: Some(error.unwrap_or_else(|| CallError::cancelled("not tried again"))),
            ..Finish::default()
        };
        debug_assert!(!matches!(record.stage, Stage::Over(StepState::Succeeded)));
        self.over_with(step, Outcome::Cancelled, finish);
    }
}
