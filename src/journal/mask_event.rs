use std::borrow::Cow;

use dr_plugin::CallError;

use super::Masker;
use crate::event::{
    AttemptFinished, Event, EventKind, Request, RunFinished, RunStarted, Signed, StepFinished,
};

impl Masker {
    /// Masks what people and systems have said in `event`. Ids and words of the vocabulary stay,
    /// even where they equal a secret: the journal must stay readable.
    pub(super) fn mask_event(&self, event: &mut Event) {
        // Every field is named, so that a new one with free text cannot be forgotten.
        match &mut event.kind {
            EventKind::LossAccepted(_)
            | EventKind::RunPaused { waiting: _ }
            | EventKind::StepBlocked { step: _, by: _ }
            | EventKind::StepCancelled { step: _ }
            | EventKind::StepSleeping { step: _, until: _ }
            | EventKind::ApprovalReminded { step: _, request: _, number: _ }
            | EventKind::ServiceFinished { service: _, recovered: _, rta_ms: _ }
            | EventKind::RtoAtRisk { service: _, rto_ms: _, expected_ms: _ }
            | EventKind::RtoOnTrack { service: _, rto_ms: _, expected_ms: _ }
            | EventKind::ClockMoved { by_ms: _ }
            | EventKind::StepsReopened { steps: _, because: _ }
            | EventKind::RoundStarted { step: _, round: _, held: _ }
            | EventKind::UnwindingAsked { past: _ } => {}
            EventKind::RunResumed { session: _, by: _, attended: _, reason }
            | EventKind::StepReset { step: _, redo: _, by: _, reason }
            | EventKind::CancelRequested { by: _, level: _, reason }
            | EventKind::PauseRequested { by: _, reason }
            | EventKind::UnwindingStarted { cause: _, by: _, reason }
            | EventKind::UnwindingAnswered { go_on: _, by: _, request: _, reason }
            | EventKind::StepSkipped { step: _, reason: _, by: _, note: reason } => {
                self.optional(reason);
            }
            EventKind::RunStarted(RunStarted {
                format: _,
                run: _,
                runbook: _,
                environment: _,
                mode: _,
                style: _,
                plan_digest: _,
                declared_at: _,
                incident_at: _,
                by: _,
                attended: _,
                version: _,
                reason,
                folder: _,
                seal: _,
            }) => self.optional(reason),
            EventKind::PreflightFinished { findings } => {
                for line in findings.iter_mut().flat_map(|finding| &mut finding.lines) {
                    self.string(line);
                }
            }
            EventKind::ApprovalRequested { step: _, request: _, message, .. }
            | EventKind::QuestionAsked { step: _, question: _, message, options: _ } => {
                self.string(message);
            }
            EventKind::ApprovalAnswered { reason, inputs, signed, .. } => {
                self.optional(reason);
                self.signed(signed);
                for value in inputs.values_mut() {
                    self.data(value);
                }
            }
            EventKind::RequestAccepted { request } => self.request(request),
            EventKind::RequestRefused { request, why } => {
                self.request(request);
                self.string(why);
            }
            EventKind::Expanded { step: _, items } => self.data(items),
            EventKind::AttemptStarted { input, .. } => {
                if let Some(input) = input {
                    self.data(input);
                }
            }
            EventKind::AttemptFinished(AttemptFinished {
                step: _,
                attempt: _,
                purpose: _,
                outcome: _,
                duration_ms: _,
                error,
                expected,
                outputs,
                result,
                warnings,
                recovery_point: _,
                next: _,
            }) => {
                self.error(error);
                self.error(expected);
                if let Some(result) = result {
                    self.data(result);
                }
                for warning in warnings {
                    self.string(warning);
                }
                for value in outputs.iter_mut().flat_map(|outputs| outputs.values_mut()) {
                    self.data(value);
                }
            }
            EventKind::StepFinished(StepFinished {
                step: _,
                state: _,
                duration_ms: _,
                gate_ms: _,
                outputs,
                warnings,
                error,
                recovery_point: _,
                by: _,
                reason,
            }) => {
                for value in outputs.values_mut() {
                    self.data(value);
                }
                for warning in warnings {
                    self.string(warning);
                }
                self.error(error);
                self.optional(reason);
            }
            EventKind::RunFinished(RunFinished {
                session: _,
                verdict: _,
                reason,
                services,
                spans: _,
                count: _,
            }) => {
                self.string(reason);
                for service in services {
                    self.optional(&mut service.reason);
                }
            }
        }
    }

    fn request(&self, request: &mut Request) {
        self.optional(&mut request.reason);
        self.signed(&mut request.signed);
        request.inputs.values_mut().for_each(|value| self.data(value));
    }

    /// Nothing is worth showing a secret, not even that the signature can be verified.
    fn signed(&self, signed: &mut Option<Signed>) {
        if let Some(signed) = signed {
            self.string(&mut signed.challenge);
        }
    }

    /// Masks what a plugin has said of an error.
    pub fn error(&self, error: &mut Option<CallError>) {
        if let Some(CallError { class: _, code: _, message, help, causes }) = error {
            self.string(message);
            self.optional(help);
            for cause in causes {
                self.string(cause);
            }
        }
    }

    fn optional(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.string(text);
        }
    }

    fn string(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.text(text) {
            *text = masked;
        }
    }
}
