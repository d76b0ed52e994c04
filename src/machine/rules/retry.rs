//! What follows from an error of a step's action.

use dr_plugin::{CallError, Effect, ErrorClass, Keyed};

use crate::plan::{Retry, Step};
use crate::text::TextError;

/// Launches of one attempt in one session, when nothing else limits them.
const RELAUNCHES: u32 = 4;

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::machine) enum Judgement {
    /// A further attempt, after so many milliseconds.
    Again(u64),
    /// The same attempt with the same key, after so many milliseconds.
    Relaunch(u64),
    /// It may have been applied: find out.
    Unknown,
    /// It has failed, and another attempt is allowed if it turns out not to have been applied.
    CheckThenAgain,
    /// It has failed.
    Failed,
}

/// Decides what follows from `error`, after `used` attempts and `relaunches` of the last one.
/// `wanted` evaluates the step's own `retry.when`.
///
/// # Errors
/// What `retry.when` could not be evaluated for: the step fails.
pub(in crate::machine) fn judge(
    step: &Step,
    error: &CallError,
    used: u32,
    relaunches: u32,
    wanted: impl FnOnce(&crate::text::Expr) -> Result<bool, TextError>,
) -> Result<Judgement, TextError> {
    let repeatable = step.effect.is_repeatable();
    if matches!(error.class, ErrorClass::Unknown | ErrorClass::Cancelled) {
        if step.keyed == Keyed::Token && relaunches < RELAUNCHES {
            return Ok(Judgement::Relaunch(backoff(&step.retry, relaunches + 1)));
        }
        if !repeatable {
            return Ok(Judgement::Unknown);
        }
    }
    let told = step.retry.written;
    let tempting = match error.class {
        ErrorClass::Transient => true,
        ErrorClass::Unknown => repeatable,
        ErrorClass::Permanent => told,
        // Knocking again at a door that was shut on purpose is never done unasked.
        ErrorClass::Denied => told && step.retry.when.is_some(),
        ErrorClass::Cancelled => false,
    };
    let attempts = if told || repeatable { step.retry.attempts } else { 1 };
    if !tempting || used >= attempts {
        return Ok(Judgement::Failed);
    }
    if let Some(when) = &step.retry.when
        && !wanted(when)?
    {
        return Ok(Judgement::Failed);
    }
    Ok(match (error.class, step.effect) {
        (ErrorClass::Transient, _) | (_, Effect::Pure | Effect::Idempotent) => {
            Judgement::Again(backoff(&step.retry, used))
        }
        (_, Effect::Checkable) => Judgement::CheckThenAgain,
        // Only an error that proves that nothing was applied lets it be done again.
        (_, Effect::Once) => Judgement::Failed,
    })
}

/// Whether the same attempt may be launched again in this session.
pub(in crate::machine) fn may_relaunch(relaunches: u32) -> bool {
    relaunches < RELAUNCHES
}

/// Milliseconds before the attempt that follows `used` ones: doubling, up to the limit.
pub(in crate::machine) fn backoff(retry: &Retry, used: u32) -> u64 {
    let doublings = used.saturating_sub(1).min(32);
    retry.backoff_ms.saturating_mul(1 << doublings).min(retry.max_backoff_ms.max(retry.backoff_ms))
}

/// The error as it is told when even `retry.when` could not be evaluated.
pub(in crate::machine) fn undecided(error: &CallError, why: &TextError) -> CallError {
    error.clone().with_cause(&format!("`retry.when` could not be decided: {why}"))
}
