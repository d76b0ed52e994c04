use dr_plugin::CallError;

use super::Tone;
use crate::event::{Purpose, RequestKind, SkipReason, StepState, Verdict};
use crate::time::Millis;
use crate::view::clean_line;

/// How much data a service has lost: what lies between the recovery point and the incident, if
/// anything.
pub(super) fn lost_text(rpa_ms: i64) -> String {
    match u64::try_from(rpa_ms) {
        Ok(lost) if lost > 0 => Millis(lost).short(),
        _ => "nothing".to_owned(),
    }
}

/// Why a paused run does not go on by itself.
pub(super) fn paused_for(waiting: &[crate::id::StepId]) -> String {
    let steps: Vec<&str> = waiting.iter().map(crate::id::StepId::as_str).collect();
    match &steps[..] {
        [] => "somebody wanted it; nothing waits for a person".to_owned(),
        steps => format!("waits for a person at {}", steps.join(", ")),
    }
}

/// The word for what a person asks.
#[must_use]
pub(super) fn request_word(ask: RequestKind) -> &'static str {
    match ask {
        RequestKind::Approve => "approve",
        RequestKind::Reject => "reject",
        RequestKind::Retry => "retry",
        RequestKind::Redo => "redo",
        RequestKind::Skip => "skip",
        RequestKind::AssumeDone => "assume done",
        RequestKind::AssumeNotDone => "assume not done",
        RequestKind::Fail => "count as failed",
        RequestKind::Cancel => "cancel",
        RequestKind::CancelNow => "cancel now",
        RequestKind::Undo => "undo",
        RequestKind::CancelUndo => "cancel and undo",
        RequestKind::Pause => "pause",
    }
}

/// Why a step was passed over, in words.
#[must_use]
pub(super) fn skip_reason(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::When => "its condition does not hold",
        SkipReason::Phase => "its phase is not taken",
        SkipReason::Person => "on request",
        SkipReason::Rejected => "its gate was rejected",
        SkipReason::NotOpened => "there is nothing to close",
        SkipReason::NotDone => "there is nothing to take back",
    }
}

/// The name of an attempt for people.
#[must_use]
pub(super) fn attempt_name(purpose: Purpose, number: u32) -> String {
    match purpose {
        Purpose::Apply => format!("attempt {number}"),
        Purpose::Check => format!("check {number}"),
        Purpose::Repeat | Purpose::Validate => format!("reading {number}"),
        Purpose::Undo => format!("undo {number}"),
    }
}

/// An error on one line: message, code and what is behind it.
#[must_use]
pub(super) fn error_text(error: &CallError) -> String {
    let mut text = format!("{} [{} {}]", error.message, error.class.as_str(), error.code);
    for cause in &error.causes {
        text.push_str("; ");
        text.push_str(cause);
    }
    clean_line(&text)
}

/// The colour of a state.
#[must_use]
pub(super) fn state_tone(state: StepState) -> Tone {
    match state {
        StepState::Succeeded => Tone::Good,
        StepState::Warned | StepState::Blocked | StepState::Cancelled | StepState::Undone => {
            Tone::Warning
        }
        StepState::Failed | StepState::TimedOut | StepState::UndoFailed => Tone::Bad,
        StepState::Waiting | StepState::Unknown => Tone::Asks,
        StepState::Skipped => Tone::Faint,
        StepState::Pending | StepState::Ready | StepState::Running => Tone::Plain,
    }
}

/// The colour of a verdict.
#[must_use]
pub(super) fn verdict_tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Succeeded => Tone::Good,
        Verdict::ObjectiveMissed | Verdict::Cancelled => Tone::Warning,
        Verdict::Failed | Verdict::Unwound | Verdict::Stuck => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::lost_text;

    #[test]
    fn data_that_is_newer_than_the_incident_is_no_loss() {
        let told = [2_500, 0, -299_000].map(lost_text);
        assert_eq!(told, ["2.5s", "nothing", "nothing"]);
    }
}
