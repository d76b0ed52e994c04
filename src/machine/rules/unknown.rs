//! How the outcome of an attempt that did not come back is found out.

use dr_plugin::{CallError, Keyed};

use crate::plan::{Check, Retry, Step};

/// Milliseconds that an action has to say what became of an attempt.
pub(in crate::machine) const CHECK_LIMIT_MS: u64 = 60_000;
/// Tries of one way of checking before it is said that it cannot tell.
pub(in crate::machine) const CHECK_TRIES: u32 = 3;
/// Attempts after which `on_unknown: retry` gives up, if the step does not say how many there are.
const UNKNOWN_ATTEMPTS: u32 = 3;

/// Attempts, the first included, after which `on_unknown: retry` gives up.
pub(in crate::machine) fn attempts(retry: &Retry) -> u32 {
    if retry.written { retry.attempts } else { retry.attempts.max(UNKNOWN_ATTEMPTS) }
}

/// A way of finding out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::machine) enum Way<'a> {
    /// The action itself, asked with the attempt's key.
    Action,
    /// The step's `check`.
    Check(&'a Check),
}

/// The ways of a step, most trustworthy first.
pub(in crate::machine) fn ways(step: &Step) -> impl Iterator<Item = Way<'_>> {
    let action = (step.keyed == Keyed::Job || step.action_checks).then_some(Way::Action);
    action.into_iter().chain(step.check.as_ref().map(Way::Check))
}

/// The way that is tried after `tried` ones could not tell.
pub(in crate::machine) fn way(step: &Step, tried: u32) -> Option<Way<'_>> {
    ways(step).nth(tried as usize)
}

/// The way of finding out whether a step is to be taken back that is tried after `tried` ones could
/// not tell. A job tells only of itself: once its end is `recorded` it is put away, and says nothing.
pub(in crate::machine) fn way_before_undo(
    step: &Step,
    recorded: bool,
    tried: u32,
) -> Option<Way<'_>> {
    let silent = recorded && step.keyed == Keyed::Job;
    ways(step).filter(|way| !(silent && *way == Way::Action)).nth(tried as usize)
}

/// Milliseconds between the questions of a check that says "still going".
pub(in crate::machine) fn pause(asked: u32) -> u64 {
    1_000_u64.saturating_mul(1 << asked.saturating_sub(1).min(4))
}

/// The error of an attempt that may have been launched, which a damaged journal no longer tells.
pub(in crate::machine) fn unrecorded() -> CallError {
    CallError::unknown(
        "record_lost",
        "it may have been done in the part of the journal that is lost",
    )
    .with_help("look at the target, then say what became of it")
}

/// The error of an attempt whose end nobody saw.
pub(in crate::machine) fn crashed() -> CallError {
    CallError::unknown("interrupted", "the run was interrupted while the step was running")
        .with_help("look at the target, then say what became of it")
}
