use super::{
    Answered, AttemptView, CancelView, GateView, PauseView, Phase, QuestionView, ResetView,
    RiskView, SessionView, SkipView, StepView, UnwindingView, View, clean_line,
};
use crate::event::{Event, EventKind, Question, Record, RequestKind, StepState, Volatile};
use crate::id::{ServiceId, StepId};
use crate::plan::undone_by;
use crate::time::Timestamp;

/// When an event happened.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) ms: u64,
}

impl View {
    /// Takes a record in, unless it was seen before. Returns whether it was new.
    pub fn apply_record(&mut self, record: &Record) -> bool {
        if record.seq <= self.last_seq {
            return false;
        }
        self.missed += record.seq - self.last_seq - 1;
        self.last_seq = record.seq;
        self.apply(&record.event);
        true
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        let now = Moment { at: event.at, ms: event.elapsed_ms };
        self.at = Some(now.at);
        self.elapsed_ms = self.elapsed_ms.max(now.ms);
        let about = step_of(&event.kind).cloned();
        let was = about.as_ref().map(|step| self.step_mut(step).state);
        self.take_in(event, now);
        if let (Some(step), Some(was)) = (about, was)
            && was.is_over()
            && self.step_mut(&step).state != was
        {
            self.withdraw(&step);
            // What was taken back lets nothing go on.
            let taken_back = [StepState::Undone, StepState::UndoFailed];
            if !taken_back.contains(&self.step_mut(&step).state) {
                self.unblock(step.clone(), now);
                self.regroup(&step, now);
            }
        }
    }

    fn take_in(&mut self, event: &Event, now: Moment) {
        match &event.kind {
            EventKind::RunStarted(started) => {
                self.started = Some((started.clone(), now.at));
                self.phase = Phase::Open;
                self.sessions.push(SessionView {
                    number: 1,
                    by: started.by.clone(),
                    attended: started.attended,
                    reason: None,
                    started_ms: now.ms,
                    started_at: now.at,
                    ended_ms: None,
                    ended_at: None,
                    verdict: None,
                });
            }
            EventKind::RunResumed { session, by, attended, reason } => {
                self.reopen(now);
                self.sessions.push(SessionView {
                    number: *session,
                    by: by.clone(),
                    attended: *attended,
                    reason: reason.clone(),
                    started_ms: now.ms,
                    started_at: now.at,
                    ended_ms: None,
                    ended_at: None,
                    verdict: None,
                });
            }
            EventKind::RunPaused { waiting } => {
                self.phase = Phase::Paused(waiting.clone());
                self.end_session(now, None);
            }
            EventKind::PreflightFinished { findings } => self.findings.clone_from(findings),
            EventKind::StepSkipped { step, reason, by, note } => {
                let step = self.step_mut(step);
                step.failed_before_skip |= step.has_failed() || step.is_under_way();
                step.skipped =
                    Some(SkipView { reason: *reason, by: by.clone(), note: note.clone() });
                step.end(StepState::Skipped, now);
            }
            EventKind::StepBlocked { step, by } => {
                let step = self.step_mut(step);
                step.blocked_by.clone_from(by);
                step.end(StepState::Blocked, now);
            }
            EventKind::StepCancelled { step } => self.step_mut(step).end(StepState::Cancelled, now),
            EventKind::ApprovalRequested { step, request, message, approvers, deadline } => {
                let step = self.step_mut(step);
                step.begin(now);
                step.state = StepState::Waiting;
                // A gate that is asked for again after a resume goes on; it is not a second one.
                if step.gates.last().is_none_or(|gate| gate.request != *request) {
                    step.gates.push(GateView {
                        request: request.clone(),
                        message: message.clone(),
                        approvers: *approvers,
                        deadline: *deadline,
                        asked_ms: now.ms,
                        asked_at: now.at,
                        answers: Vec::new(),
                        settled: None,
                        withdrawn_ms: None,
                    });
                }
            }
            EventKind::ApprovalReminded { .. } => {}
            EventKind::ApprovalAnswered {
                step,
                approved,
                by,
                reason,
                settled,
                inputs,
                signed,
                ..
            } => {
                let step = self.step_mut(step);
                if let Some(gate) = step.gates.last_mut() {
                    gate.answers.push(Answered {
                        approved: *approved,
                        by: by.clone(),
                        reason: reason.clone(),
                        inputs: inputs.clone(),
                        signed: signed.clone(),
                        at_ms: now.ms,
                        at: now.at,
                    });
                    if *settled {
                        gate.settled = Some((*approved, now.ms));
                        if step.state == StepState::Waiting {
                            step.state = StepState::Pending;
                        }
                    }
                }
            }
            EventKind::QuestionAsked { step, question, message, options } => {
                let step = self.step_mut(step);
                step.state = match question {
                    Question::OutcomeUnknown => StepState::Unknown,
                    Question::Failed => StepState::Waiting,
                };
                step.next_at = None;
                step.questions.push(QuestionView {
                    question: *question,
                    message: message.clone(),
                    options: options.clone(),
                    asked_ms: now.ms,
                    asked_at: now.at,
                    answer: None,
                    closed_ms: None,
                });
            }
            EventKind::RequestAccepted { request } => {
                if let Some(id) = &request.step {
                    let step = self.step_mut(id);
                    step.requests.push(request.clone());
                    if answers_question(request.ask)
                        && let Some(question) = step.questions.last_mut()
                        && question.closed_ms.is_none()
                    {
                        question.answer = Some((request.ask, request.by.clone(), now.ms));
                        question.closed_ms = Some(now.ms);
                    }
                }
            }
            EventKind::RequestRefused { request, why } => {
                self.refused.push((request.clone(), why.clone()));
            }
            EventKind::StepSleeping { step, until } => {
                let step = self.step_mut(step);
                step.begin(now);
                step.state = StepState::Waiting;
                step.next_at = Some(*until);
            }
            EventKind::AttemptStarted { step, attempt, purpose, launch, input, deadline } => {
                let session = self.sessions.last().map_or(1, |session| session.number);
                let step = self.step_mut(step);
                step.launch(
                    AttemptView {
                        number: *attempt,
                        purpose: *purpose,
                        launches: *launch,
                        session,
                        started_ms: now.ms,
                        started_at: now.at,
                        deadline: *deadline,
                        input: input.clone(),
                        outcome: None,
                        duration_ms: None,
                        error: None,
                        expected: None,
                        lost: false,
                    },
                    now,
                );
            }
            EventKind::AttemptFinished(finished) => {
                let session = self.sessions.last().map_or(1, |session| session.number);
                self.step_mut(&finished.step).land(finished, session, now);
            }
            EventKind::StepFinished(finished) => {
                let incident =
                    self.planned(finished.step.as_str()).is_some_and(|planned| planned.incident);
                if let (true, true, Some((started, _))) =
                    (incident, finished.state.is_met(), self.started.as_mut())
                {
                    started.declared_at = now.at;
                    started.incident_at = now.at;
                }
                self.step_mut(&finished.step).finish(finished, now);
            }
            EventKind::StepReset { step, redo, by, reason } => {
                let step = self.step_mut(step);
                let reset = ResetView {
                    redo: *redo,
                    by: by.clone(),
                    reason: reason.clone(),
                    at_ms: now.ms,
                    was: step.state,
                };
                step.resets.push(reset);
                step.put_back(now);
                step.failed_before_skip = false;
                if *redo {
                    step.outputs.clear();
                }
            }
            EventKind::ServiceFinished { service, recovered, rta_ms } => {
                let state = self.services.entry(service.clone()).or_default();
                state.recovered = Some(*recovered);
                state.rta_ms = *rta_ms;
                state.finished_ms = Some(now.ms);
            }
            EventKind::RtoAtRisk { service, expected_ms, .. } => {
                self.tell_risk(service, Some(*expected_ms), *expected_ms, now.ms);
            }
            EventKind::RtoOnTrack { service, expected_ms, .. } => {
                self.tell_risk(service, None, *expected_ms, now.ms);
            }
            EventKind::CancelRequested { by, level, reason } => {
                self.cancel = Some(CancelView {
                    by: by.clone(),
                    level: *level,
                    reason: reason.clone(),
                    at_ms: now.ms,
                });
            }
            EventKind::PauseRequested { by, reason } => {
                let (by, reason) = (by.clone(), reason.clone());
                self.pause = Some(PauseView { by, reason, at_ms: now.ms });
            }
            EventKind::UnwindingStarted { cause, by, reason } => {
                self.unwindings.push(UnwindingView {
                    cause: cause.clone(),
                    by: by.clone(),
                    reason: reason.clone(),
                    at_ms: now.ms,
                    past: Vec::new(),
                    asked: None,
                    answer: None,
                });
            }
            EventKind::UnwindingAsked { past } => {
                if let Some(unwinding) = self.unwindings.last_mut() {
                    unwinding.past.clone_from(past);
                    unwinding.asked = Some((now.ms, now.at));
                }
            }
            EventKind::UnwindingAnswered { go_on, by, reason, .. } => {
                if let Some(unwinding) = self.unwindings.last_mut() {
                    unwinding.answer = Some((*go_on, by.clone(), reason.clone(), now.ms));
                }
            }
            EventKind::StepsReopened { steps, .. } => {
                // What took a step back has done so, and is shown until it does so again.
                for step in steps.iter().filter(|step| undone_by(step.as_str()).is_none()) {
                    self.step_mut(step).put_back(now);
                    self.withdraw(step);
                }
            }
            EventKind::LossAccepted(lost) => self.losses.push((now.ms, lost.clone())),
            grows @ (EventKind::Expanded { .. } | EventKind::RoundStarted { .. }) => {
                self.grow(grows);
            }
            EventKind::ClockMoved { by_ms } => self.clock_moves.push((now.ms, *by_ms)),
            EventKind::RunFinished(finished) => {
                self.phase = Phase::Finished(finished.clone());
                self.lose_sight();
                self.end_session(now, Some(finished.verdict));
            }
        }
    }

    /// Takes in what passes by. Late events, of steps that no longer run, are ignored.
    pub fn apply_volatile(&mut self, volatile: &Volatile) {
        let (id, line, share) = match volatile {
            Volatile::Progress { step, message, share } => (step, message, *share),
            Volatile::Output { step, text, .. } => (step, text, None),
        };
        let Some(&position) = self.index.get(id) else { return };
        let step = &mut self.steps[position];
        if step.state != StepState::Running {
            return;
        }
        if let Some(line) = line.lines().map(clean_line).rfind(|line| !line.is_empty()) {
            step.progress = Some(line);
        }
        if let Some(share) = share.filter(|share| share.is_finite()) {
            step.share = Some(share.clamp(0.0, 1.0));
        }
    }

    fn step_mut(&mut self, id: &StepId) -> &mut StepView {
        let position = *self.index.entry(id.clone()).or_insert_with(|| {
            let planned = self.plan.step_or_undo(id.as_str());
            self.steps.push(planned.map_or_else(|| StepView::new(id.clone()), StepView::of));
            self.steps.len() - 1
        });
        &mut self.steps[position]
    }

    fn end_session(&mut self, now: Moment, verdict: Option<crate::event::Verdict>) {
        if let Some(session) = self.sessions.last_mut() {
            session.ended_ms = Some(now.ms);
            session.ended_at = Some(now.at);
            session.verdict = verdict;
        }
    }

    /// No process works on the run any more: of what was under way nobody knows how it ended.
    pub(super) fn lose_sight(&mut self) {
        for step in &mut self.steps {
            step.lose_sight();
        }
    }

    /// A further session: what was prevented is pending again, what was under way is lost until
    /// its next event.
    fn reopen(&mut self, now: Moment) {
        self.phase = Phase::Open;
        self.cancel = None;
        self.pause = None;
        let mut reopened = Vec::new();
        let spoken_for: Vec<bool> =
            self.steps.iter().map(|step| self.is_spoken_for(step.id.as_str())).collect();
        for (step, spoken_for) in self.steps.iter_mut().zip(spoken_for) {
            match step.state {
                // What a loop bore without is not tried again because others are.
                StepState::Blocked | StepState::Cancelled if spoken_for => {}
                StepState::Blocked | StepState::Cancelled => {
                    step.put_back(now);
                    reopened.push(step.id.clone());
                }
                StepState::Running => step.lose_attempt(),
                _ => {}
            }
        }
        for step in &reopened {
            self.withdraw(step);
            self.regroup(step, now);
        }
    }

    /// Whether the end of a group around a step speaks for it: it is met.
    fn is_spoken_for(&self, step: &str) -> bool {
        let around = |id: &str| self.planned(id).and_then(|step| step.inside.as_ref());
        let ends = std::iter::successors(around(step), |end| around(end.as_str()));
        ends.into_iter().any(|end| {
            let end = self.step(end.as_str());
            end.is_some_and(|end| end.state.is_met() && !end.failed_before_skip)
        })
    }

    /// What is inside a group is no longer as it was: neither is the group.
    fn regroup(&mut self, changed: &StepId, now: Moment) {
        let mut around = self.planned(changed.as_str()).and_then(|step| step.inside.clone());
        while let Some(end) = around {
            around = self.planned(end.as_str()).and_then(|step| step.inside.clone());
            let step = self.step_mut(&end);
            if step.state.is_over() && step.state != StepState::Skipped {
                step.put_back(now);
                self.withdraw(&end);
                self.unblock(end, now);
            }
        }
    }

    /// What was said about the step's service as a whole no longer holds.
    fn withdraw(&mut self, step: &StepId) {
        let Some(step) = self.step(step.as_str()) else { return };
        if let Some(service) = step.service.clone().filter(|_| self.counts_for_service(step)) {
            self.services.remove(&service);
        }
    }

    /// What `cause` prevented, directly or not, is no longer prevented by it.
    fn unblock(&mut self, cause: StepId, now: Moment) {
        let mut causes = vec![cause];
        while let Some(cause) = causes.pop() {
            let freed: Vec<StepId> = self
                .steps
                .iter()
                .filter(|step| step.state == StepState::Blocked && step.blocked_by.contains(&cause))
                .map(|step| step.id.clone())
                .collect();
            for step in freed {
                self.step_mut(&step).put_back(now);
                self.withdraw(&step);
                self.regroup(&step, now);
                causes.push(step);
            }
        }
    }
}

impl View {
    fn tell_risk(&mut self, service: &ServiceId, late: Option<u64>, expected_ms: u64, at_ms: u64) {
        self.services.entry(service.clone()).or_default().at_risk_ms = late;
        let service = service.clone();
        self.risks.push(RiskView { service, at_ms, expected_ms, late: late.is_some() });
    }
}

/// The step whose state an event may change.
fn step_of(kind: &EventKind) -> Option<&StepId> {
    match kind {
        EventKind::StepSkipped { step, .. }
        | EventKind::StepBlocked { step, .. }
        | EventKind::StepCancelled { step }
        | EventKind::ApprovalRequested { step, .. }
        | EventKind::ApprovalAnswered { step, .. }
        | EventKind::ApprovalReminded { step, .. }
        | EventKind::QuestionAsked { step, .. }
        | EventKind::StepSleeping { step, .. }
        | EventKind::AttemptStarted { step, .. }
        | EventKind::StepReset { step, .. } => Some(step),
        EventKind::AttemptFinished(finished) => Some(&finished.step),
        EventKind::StepFinished(finished) => Some(&finished.step),
        EventKind::RunStarted(_)
        | EventKind::RunResumed { .. }
        | EventKind::LossAccepted(_)
        | EventKind::RunPaused { .. }
        | EventKind::PreflightFinished { .. }
        | EventKind::RequestAccepted { .. }
        | EventKind::RequestRefused { .. }
        | EventKind::ServiceFinished { .. }
        | EventKind::RtoAtRisk { .. }
        | EventKind::RtoOnTrack { .. }
        | EventKind::CancelRequested { .. }
        | EventKind::PauseRequested { .. }
        | EventKind::ClockMoved { .. }
        | EventKind::UnwindingStarted { .. }
        | EventKind::UnwindingAsked { .. }
        | EventKind::UnwindingAnswered { .. }
        | EventKind::StepsReopened { .. }
        | EventKind::Expanded { .. }
        | EventKind::RoundStarted { .. }
        | EventKind::RunFinished(_) => None,
    }
}

fn answers_question(ask: RequestKind) -> bool {
    match ask {
        RequestKind::Retry
        | RequestKind::Redo
        | RequestKind::Skip
        | RequestKind::AssumeDone
        | RequestKind::AssumeNotDone
        | RequestKind::Undo
        | RequestKind::Fail => true,
        RequestKind::Approve
        | RequestKind::Reject
        | RequestKind::Cancel
        | RequestKind::CancelUndo
        | RequestKind::Pause
        | RequestKind::CancelNow => false,
    }
}
