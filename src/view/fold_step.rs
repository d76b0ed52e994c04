use super::fold::Moment;
use super::{AttemptView, StepView};
use crate::event::{AttemptFinished, Next, Purpose, StepFinished, StepState};

/// What events do to the step that they are about.
impl StepView {
    /// Whether an attempt was made and the step has not come to rest since.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, StepState::Running | StepState::Waiting | StepState::Unknown)
            && self.open_gate().is_none()
    }

    /// Nobody is asked any more.
    pub(super) fn close_open(&mut self, now: Moment) {
        if let Some(gate) = self.gates.last_mut().filter(|gate| gate.closed_ms().is_none()) {
            gate.withdrawn_ms = Some(now.ms);
        }
        if let Some(question) = self.questions.last_mut() {
            question.closed_ms.get_or_insert(now.ms);
        }
    }

    pub(super) fn begin(&mut self, now: Moment) {
        if self.started_ms.is_none() {
            self.started_ms = Some(now.ms);
            self.started_at = Some(now.at);
        }
    }

    pub(super) fn end(&mut self, state: StepState, now: Moment) {
        self.state = state;
        self.finished_ms = Some(now.ms);
        self.finished_at = Some(now.at);
        self.next_at = None;
        self.polling = false;
        self.progress = None;
        self.share = None;
        self.close_open(now);
    }

    pub(super) fn put_back(&mut self, now: Moment) {
        self.state = StepState::Pending;
        self.started_ms = None;
        self.started_at = None;
        self.finished_ms = None;
        self.finished_at = None;
        self.duration_ms = None;
        self.gate_ms = 0;
        self.error = None;
        self.warnings.clear();
        self.recovery_point = None;
        self.next_at = None;
        self.polling = false;
        self.skipped = None;
        self.blocked_by.clear();
        self.by = None;
        self.reason = None;
        self.close_open(now);
    }

    pub(super) fn launch(&mut self, attempt: AttemptView, now: Moment) {
        self.begin(now);
        self.state = StepState::Running;
        self.next_at = None;
        self.polling = matches!(attempt.purpose, Purpose::Repeat | Purpose::Validate);
        self.progress = None;
        self.share = None;
        self.close_open(now);
        let same = self.attempts.iter_mut().rev().find(|known| {
            known.purpose == attempt.purpose
                && known.number == attempt.number
                && attempt.launches > 1
        });
        if let Some(known) = same {
            known.launches = attempt.launches;
            known.session = attempt.session;
            known.deadline = attempt.deadline;
            known.outcome = None;
            known.lost = false;
            return;
        }
        if self.attempts.is_empty() {
            // Most steps have but one, and room for four would be the larger half of a view.
            self.attempts.reserve_exact(1);
        }
        self.attempts.push(attempt);
    }

    /// The session that launched its attempt has ended without a word about it.
    pub(super) fn lose_attempt(&mut self) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.lost |= attempt.outcome.is_none();
        }
        self.progress = None;
        self.share = None;
    }

    /// Nobody sees it any more: what was under way may have been done or not.
    pub(super) fn lose_sight(&mut self) {
        if self.state == StepState::Running {
            self.lose_attempt();
            self.state = StepState::Unknown;
        }
    }

    pub(super) fn land(&mut self, finished: &AttemptFinished, session: u32, now: Moment) {
        let same = self.attempts.iter_mut().rev().find(|known| {
            known.purpose == finished.purpose
                && known.number == finished.attempt
                && known.outcome.is_none()
        });
        if let Some(known) = same {
            known.outcome = Some(finished.outcome);
            known.duration_ms = Some(finished.duration_ms);
            known.error.clone_from(&finished.error);
            known.expected.clone_from(&finished.expected);
            known.lost = false;
        } else {
            // Readings of `repeat` are journaled only when they change: the start is not there.
            self.attempts.push(AttemptView {
                number: finished.attempt,
                purpose: finished.purpose,
                launches: 1,
                session,
                started_ms: now.ms.saturating_sub(finished.duration_ms),
                started_at: now.at
                    - jiff::SignedDuration::from_millis(finished.duration_ms.min(now.ms) as i64),
                deadline: None,
                input: None,
                outcome: Some(finished.outcome),
                duration_ms: Some(finished.duration_ms),
                error: finished.error.clone(),
                expected: finished.expected.clone(),
                lost: false,
            });
        }
        self.begin(now);
        // A check that goes on says nothing about why it was made.
        let settles = matches!(finished.next, Next::Proceed | Next::Ask);
        if finished.purpose != Purpose::Check || settles {
            self.error.clone_from(&finished.error);
        }
        if let Some(outputs) = &finished.outputs {
            self.outputs.clone_from(outputs);
        }
        self.warnings.clone_from(&finished.warnings);
        self.recovery_point = finished.recovery_point;
        self.next_at = None;
        self.joins = matches!(finished.next, Next::Launch { joins: true, .. });
        match &finished.next {
            Next::Proceed | Next::Launch { at: None, .. } | Next::Check => {
                self.state = StepState::Running;
            }
            Next::Launch { at: Some(at), .. } => {
                self.polling = false;
                self.state = StepState::Waiting;
                self.next_at = Some(*at);
            }
            Next::Again { at } => {
                let polls = matches!(finished.purpose, Purpose::Repeat | Purpose::Validate);
                self.polling = polls;
                self.state = if polls { StepState::Running } else { StepState::Waiting };
                self.next_at = Some(*at);
            }
            Next::Ask => self.state = StepState::Unknown,
        }
    }

    pub(super) fn finish(&mut self, finished: &StepFinished, now: Moment) {
        self.end(finished.state, now);
        self.begin(now);
        self.duration_ms = Some(finished.duration_ms);
        self.gate_ms = finished.gate_ms;
        if !finished.outputs.is_empty() {
            self.outputs.clone_from(&finished.outputs);
        }
        self.warnings.clone_from(&finished.warnings);
        self.error.clone_from(&finished.error);
        self.recovery_point = finished.recovery_point;
        self.by.clone_from(&finished.by);
        self.reason.clone_from(&finished.reason);
    }
}
