//! A sealed plan on the command line: what `dr execute FILE` and `dr plan FILE` do with one.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::args::Selection;
use super::exit::Exit;
use super::out::Out;
use crate::app::plugins;
use crate::app::sealed::{self, SealError, SourceState};
use crate::plan::Plan;
use crate::text::secret_reference;
use crate::time::{Millis, Timestamp};

/// The sealed plan in `file`, whose digest is right; none if the file is a runbook.
pub(super) fn open(file: &Path, out: &Out) -> Result<Option<Plan>, Exit> {
    let refuse = |error: SealError| out.fail(&error, exit(&error));
    let Some(plan) = sealed::recognize(file).map_err(refuse)? else { return Ok(None) };
    sealed::verify(&plan, file).map_err(refuse)?;
    Ok(Some(plan))
}

/// Whether the plan may be executed now; what of its sources has changed is said. Gives the texts
/// that are still those that it was made from.
pub(super) fn admit(
    plan: &Plan,
    file: &Path,
    now: Timestamp,
    out: &Out,
) -> Result<Vec<(PathBuf, Vec<u8>)>, Exit> {
    let seal = sealed::admit(plan, file, now).map_err(|error| out.fail(&error, exit(&error)))?;
    plugins::check_linked(plan).map_err(|error| out.fail(&error, Exit::NotReady))?;
    Ok(say_changed(&sealed::sources(seal, file), out))
}

/// Says which of the texts that a plan was made from have changed; gives the others.
pub(super) fn say_changed(
    sources: &[(PathBuf, SourceState, Option<Vec<u8>>)],
    out: &Out,
) -> Vec<(PathBuf, Vec<u8>)> {
    let mut same = Vec::new();
    for (path, state, text) in sources {
        let what = match state {
            SourceState::Same => {
                same.extend(text.clone().map(|text| (path.clone(), text)));
                continue;
            }
            SourceState::Changed => "has changed since the plan was sealed",
            SourceState::Missing => "is not there: whether it has changed cannot be told",
        };
        out.remark(&format!(
            "note: {} {what}; the plan is what counts, as it was sealed",
            path.display()
        ));
    }
    same
}

/// Where a plan's runbook lies, if it is still there: state is kept beside it.
pub(super) fn near(plan: &Plan, file: &Path) -> PathBuf {
    let sources = plan.seal.iter().flat_map(|seal| sealed::sources(seal, file));
    let mut there = sources.filter(|(_, state, _)| *state != SourceState::Missing);
    there.next().map_or_else(|| file.to_owned(), |(path, ..)| path)
}

/// An option that asks for something else than what was sealed.
pub(super) fn contradiction(plan: &Plan, selection: &Selection) -> Option<String> {
    let env = selection.env.as_deref().filter(|env| *env != plan.environment);
    if let Some(env) = env {
        return Some(format!(
            "it was sealed for the environment `{}`, not `{env}`",
            plan.environment
        ));
    }
    if let Some(mode) = selection.mode.filter(|mode| *mode != plan.mode) {
        return Some(format!("it was sealed as {}, not {mode}", plan.mode));
    }
    if let Some(style) = selection.style.filter(|style| *style != plan.style) {
        return Some(format!("it was sealed as {}, not {style}", plan.style));
    }
    for (name, text) in &selection.inputs {
        match plan.inputs.get(name) {
            Some(value) if says(value, text) => {}
            // Where a secret is found is no part of a plan.
            Some(value) if secret_reference(value).is_some() => {}
            Some(_) => return Some(format!("its input `{name}` was sealed with another value")),
            None => return Some(format!("it has no input `{name}`")),
        }
    }
    let phases = &selection.phases;
    if !phases.is_empty()
        && (phases.iter().any(|phase| !plan.phases.contains(phase))
            || plan.phases.iter().any(|phase| !phases.contains(phase)))
    {
        return Some("it was sealed with other phases".to_owned());
    }
    let run = plan.pools.get("run").map(|pool| pool.capacity);
    if selection.parallelism.is_some_and(|asked| Some(asked) != run) {
        return Some("it was sealed with another parallelism".to_owned());
    }
    None
}

/// Whether a value is what somebody typed.
fn says(value: &Value, text: &str) -> bool {
    let typed = serde_json::from_str::<Value>(text).ok();
    let ms = value.get("$duration").and_then(Value::as_u64);
    let time = value.get("$time").and_then(Value::as_str);
    value.as_str() == Some(text)
        || typed.as_ref() == Some(value)
        || (ms.is_some() && ms == text.parse::<Millis>().ok().map(|Millis(ms)| ms))
        || (time.is_some()
            && time.and_then(|time| time.parse::<Timestamp>().ok()) == text.parse().ok())
}

/// How the program ends with a plan that is not executed.
pub(super) fn exit(error: &SealError) -> Exit {
    match error {
        SealError::Unreadable { .. }
        | SealError::Digest { .. }
        | SealError::Unsealed { .. }
        | SealError::Expired { .. } => Exit::Invalid,
        SealError::Executed { .. } => Exit::Usage,
        SealError::File { .. } | SealError::Write { .. } => Exit::NotReady,
    }
}
