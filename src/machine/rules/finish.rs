//! What a step's result means: outputs, expectations, recovery point.

use std::collections::BTreeMap;

use dr_plugin::CallError;
use serde_json::Value;

use crate::machine::names::{Scope, as_time};
use crate::plan::{EXPECTATION_FAILED, Expectation, Rule, Step};
use crate::text::{Expr, TextError, secret_reference, secret_value};
use crate::time::Timestamp;
use crate::words::Severity;

/// All that follows from a result.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::machine) struct Finish {
    pub(in crate::machine) outputs: BTreeMap<String, Value>,
    pub(in crate::machine) warnings: Vec<String>,
    pub(in crate::machine) recovery_point: Option<Timestamp>,
    pub(in crate::machine) error: Option<CallError>,
    /// How the action failed, as the step demands.
    pub(in crate::machine) expected: Option<CallError>,
    /// Whether the error is that a decision could not be evaluated.
    pub(in crate::machine) undecided: bool,
}

/// The step's outputs over `names.result`, in order.
pub(in crate::machine) fn outputs(
    step: &Step,
    names: &Scope<'_>,
) -> (BTreeMap<String, Value>, Option<CallError>) {
    let mut outputs = names.state.record(names.step).told();
    for output in &step.outputs {
        if output.secret {
            // Whoever performed the action has kept it; here only the reference is known.
            let name = format!("{}.{}", step.id, output.name);
            outputs.insert(output.name.clone(), secret_value(&name));
            continue;
        }
        let scope = Scope { outputs: Some(&outputs), ..*names };
        match output.value.evaluate(&scope) {
            Ok(value) if secret_reference(&value).is_some() => {
                let error = TextError::new("the data passes for a reference to a secret");
                return (outputs, Some(not_evaluated("output", &output.name, &error)));
            }
            Ok(value) => {
                outputs.insert(output.name.clone(), value);
            }
            Err(error) => return (outputs, Some(not_evaluated("output", &output.name, &error))),
        }
    }
    (outputs, None)
}

/// Outputs, then expectations, then the recovery point.
pub(in crate::machine) fn finish(step: &Step, names: &Scope<'_>) -> Finish {
    if let Some(expected) = &step.expect_error {
        return Finish { error: Some(did_not_fail(expected)), ..Finish::default() };
    }
    evaluate(step, names)
}

/// The same for an action that failed as the step demands.
pub(in crate::machine) fn failed_as_expected(
    step: &Step,
    error: &CallError,
    names: &Scope<'_>,
) -> Finish {
    Finish { expected: Some(error.clone()), ..evaluate(step, &names.error(error)) }
}

fn did_not_fail(expected: &Expr) -> CallError {
    let message = format!("it succeeded, and it must fail: `{}`", expected.source());
    CallError::permanent("did_not_fail", message)
}

fn evaluate(step: &Step, names: &Scope<'_>) -> Finish {
    let (outputs, error) = outputs(step, names);
    if error.is_some() {
        return Finish { outputs, error, undecided: true, ..Finish::default() };
    }
    judge(step, outputs, names)
}

/// Expectations and recovery point over outputs that are known.
pub(in crate::machine) fn judge(
    step: &Step,
    outputs: BTreeMap<String, Value>,
    names: &Scope<'_>,
) -> Finish {
    let names = Scope { outputs: Some(&outputs), ..*names };
    let mut failures: Vec<String> = Vec::new();
    let mut warnings = Vec::new();
    let mut undecided = false;
    for expectation in &step.expect {
        match expect(expectation, &names) {
            Ok(None) => {}
            Ok(Some((Severity::Warn, message))) => warnings.push(message),
            Ok(Some((Severity::Fail, message))) => failures.push(message),
            Err(error) => {
                undecided = true;
                failures.push(format!("`{}`: {error}", expectation.that.source()));
            }
        }
    }
    let mut failures = failures.into_iter();
    let error = failures.next().map(|first| {
        let mut error = CallError::permanent(EXPECTATION_FAILED, first);
        error.causes = failures.collect();
        error
    });
    let mut recovery_point = None;
    if let Some(point) = step.recovery_point.as_ref().filter(|_| error.is_none()) {
        match at(point, &names) {
            Ok(at) => recovery_point = Some(at),
            Err(why) => warnings.push(format!("the recovery point is not known: {why}")),
        }
    }
    Finish { outputs, warnings, recovery_point, error, undecided, expected: None }
}

/// Nothing if it holds; otherwise what to say, and how much it matters.
fn expect(
    expectation: &Expectation,
    names: &Scope<'_>,
) -> Result<Option<(Severity, String)>, TextError> {
    if expectation.that.decide(names)? {
        return Ok(None);
    }
    let severity = match &expectation.severity {
        Rule::Fixed(severity) => *severity,
        Rule::Computed(expr) => match expr.evaluate(names)?.as_str().map(str::parse) {
            Some(Ok(severity)) => severity,
            _ => {
                return Err(TextError::new(format!(
                    "its severity `{}` is neither \"fail\" nor \"warn\"",
                    expr.source()
                )));
            }
        },
    };
    let plain = || format!("`{}` does not hold", expectation.that.source());
    let message = match &expectation.message {
        None => plain(),
        Some(message) => message
            .render_text(names)
            .unwrap_or_else(|error| format!("{} (its message cannot be shown: {error})", plain())),
    };
    Ok(Some((severity, message)))
}

pub(in crate::machine) fn at(point: &Expr, names: &Scope<'_>) -> Result<Timestamp, String> {
    let value = point.evaluate(names).map_err(|error| error.to_string())?;
    as_time(&value).ok_or_else(|| format!("`{}` gives {value}, which is no time", point.source()))
}

/// Whether outputs or expectations read what the action gave.
pub(in crate::machine) fn needs_result(step: &Step) -> bool {
    let severities = step.expect.iter().filter_map(|expectation| match &expectation.severity {
        Rule::Computed(expr) => Some(expr),
        Rule::Fixed(_) => None,
    });
    let conditions = step.expect.iter().map(|expectation| &expectation.that);
    let mut exprs = step.outputs.iter().map(|o| &o.value).chain(conditions).chain(severities);
    exprs.any(|expr| {
        expr.paths().is_ok_and(|paths| paths.iter().any(|path| path.root() == "result"))
    })
}

/// Code of the error of a step that needs a value which held a secret, after a resume that found
/// only its masked form.
pub(in crate::machine) const MASKED: &str = "masked_value";

/// The error of a step one of whose texts or decisions could not be evaluated.
pub(in crate::machine) fn not_evaluated(what: &str, name: &str, error: &TextError) -> CallError {
    let code = if error.masked { MASKED } else { "not_evaluated" };
    let mut failed = CallError::permanent(code, format!("{what} `{name}` cannot be told: {error}"));
    failed.help.clone_from(&error.help);
    failed
}
