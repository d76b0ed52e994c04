//! Readings of a `repeat`, until something holds.

use std::collections::BTreeMap;

use dr_plugin::{CallError, ErrorClass};
use serde_json::Value;

use crate::machine::names::Scope;
use crate::machine::rules::finish::{self, Finish};
use crate::plan::{Repeat, Step};

/// Where the readings of a step stand in this session.
#[derive(Debug, Clone, Default)]
pub(in crate::machine) struct Poll {
    /// Number of the last reading: part of its key, never used twice.
    pub(in crate::machine) number: u32,
    /// How many readings were made.
    pub(in crate::machine) iteration: u32,
    /// For how many readings in a row the condition has held.
    pub(in crate::machine) held: u32,
    /// Outputs of the reading before.
    pub(in crate::machine) previous: Option<BTreeMap<String, Value>>,
    /// What the last journaled reading said.
    pub(in crate::machine) told: Option<(BTreeMap<String, Value>, Option<CallError>)>,
    /// Whether the time of all readings is up.
    pub(in crate::machine) expired: bool,
}

/// What one reading says.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::machine) enum Reading {
    /// The condition holds, with all that follows from the result.
    Holds(Box<Finish>),
    /// It does not hold yet, and why.
    NotYet(BTreeMap<String, Value>, CallError),
    /// It never will.
    Failed(BTreeMap<String, Value>, CallError),
}

/// Reads `result` in the light of `names`, which hold `result`, `iteration` and `previous`.
pub(in crate::machine) fn read(
    step: &Step,
    repeat: &Repeat,
    result: &Result<Value, CallError>,
    names: Scope<'_>,
) -> Reading {
    let value = match result {
        Err(error) => return tolerate(step, repeat, error, &names),
        Ok(value) => value,
    };
    let names = Scope { result: Some(value), ..names };
    // A validation is asked until its expectations hold, and so until they can be decided, as
    // long as something limits that. A condition of `until` that cannot be decided fails at once.
    let patient =
        repeat.until.is_none() && (repeat.timeout_ms.is_some() || repeat.at_most.is_some());
    let (outputs, error) = finish::outputs(step, &names);
    match error {
        Some(error) if patient => return Reading::NotYet(outputs, error),
        Some(error) => return Reading::Failed(outputs, error),
        None => {}
    }
    let Some(until) = &repeat.until else {
        let finish = finish::judge(step, outputs, &names);
        return match &finish.error {
            None => Reading::Holds(Box::new(finish)),
            Some(error) if patient || !finish.undecided => {
                Reading::NotYet(finish.outputs, error.clone())
            }
            Some(error) => Reading::Failed(finish.outputs, error.clone()),
        };
    };
    match until.decide(&Scope { outputs: Some(&outputs), ..names }) {
        Ok(true) => Reading::Holds(Box::new(finish::judge(step, outputs, &names))),
        Ok(false) => {
            let message = format!("`{}` does not hold yet", until.source());
            Reading::NotYet(outputs, CallError::permanent("not_yet", message))
        }
        Err(error) => {
            Reading::Failed(outputs, finish::not_evaluated("condition", until.source(), &error))
        }
    }
}

fn tolerate(step: &Step, repeat: &Repeat, error: &CallError, names: &Scope<'_>) -> Reading {
    let tolerated = match &repeat.tolerate {
        // A command of a validation says "not yet" by how it ends, as a probe does by what it reads.
        None if step.validates.is_some() && answers_no(error) => Ok(true),
        None => Ok(matches!(error.class, ErrorClass::Transient | ErrorClass::Unknown)),
        Some(tolerate) => tolerate.decide(&Scope { error: Some(error), ..*names }),
    };
    match tolerated {
        Ok(true) => Reading::NotYet(BTreeMap::new(), error.clone()),
        Ok(false) => Reading::Failed(BTreeMap::new(), error.clone()),
        Err(why) => Reading::Failed(
            BTreeMap::new(),
            error.clone().with_cause(&format!("`tolerate` could not be decided: {why}")),
        ),
    }
}

/// Whether a command was carried out and ended with a code that says no. What a shell says of a program
/// that it cannot start is no answer.
fn answers_no(error: &CallError) -> bool {
    let code = error.code.strip_prefix("exit_").and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| !matches!(code, 126 | 127))
}

/// The error of a step whose condition never held.
pub(in crate::machine) fn gave_up(why: &str, code: &str, last: Option<CallError>) -> CallError {
    let mut error = CallError::permanent(code, why.to_owned());
    if let Some(last) = last {
        error.message = format!("{why}: {}", last.message);
        error.help = last.help;
        error.causes = last.causes;
    }
    error
}

/// The number that the readings of a new session begin after: more than any that may have been
/// used since the last one that is on record.
pub(in crate::machine) fn after_a_gap(repeat: &Repeat, last: u32, gap_ms: u64) -> u32 {
    let most = gap_ms / repeat.every_ms.max(1) + 1;
    last.saturating_add(u32::try_from(most).unwrap_or(u32::MAX))
}
