use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::case::Case;
use super::executable::{Executable, printed};
use super::report::Report;
use super::subject::{Linked, Subject, call};
use crate::protocol::Method;
use crate::{Effect, ErrorClass, HostNeed, Kind, Manifest, PROTOCOL, Plugin};

/// Checks a plugin of this process.
#[must_use]
pub fn linked(plugin: &Arc<dyn Plugin>, cases: &[Case]) -> Report {
    let mut report = Report::default();
    let mut subject = match Linked::new(Arc::clone(plugin)) {
        Ok(subject) => subject,
        Err(error) => {
            report.add("it can be called", Err(error));
            return report;
        }
    };
    let manifest = subject.manifest();
    let again = subject.manifest();
    report.add("its manifest is always the same", same(&manifest, &again));
    check_manifest(&manifest, &mut report);
    check_calls(&manifest, &mut subject, cases, &mut report);
    report
}

/// Checks the executable at `path`, `dr-plugin-NAME`.
#[must_use]
pub fn executable(path: &Path, cases: &[Case]) -> Report {
    let mut report = Report::default();
    let (manifest, value) = match printed(path) {
        Ok(printed) => printed,
        Err(error) => {
            report.add("`manifest` prints its manifest", Err(error));
            return report;
        }
    };
    report.add("`manifest` prints its manifest", Ok(()));
    let again = printed(path).and_then(|(again, _)| same(&manifest, &again));
    report.add("its manifest is always the same", again);
    report.add("it is named after its plugin", named_after(path, &manifest));
    let beside = path.with_file_name(format!("dr-plugin-{}.json", manifest.name));
    if beside.is_file() {
        report.add("the manifest beside it is its own", is_kept(&beside, &value));
    }
    check_manifest(&manifest, &mut report);

    let mut subject = match Executable::start(path) {
        Ok(subject) => subject,
        Err(error) => {
            report.add("it starts", Err(error));
            return report;
        }
    };
    let greeted = subject.greet().and_then(|said| same(&manifest, &said));
    let is_greeted = greeted.is_ok();
    report.add("it answers hello with its manifest", greeted);
    if !is_greeted {
        return report;
    }
    report.add(
        "`forget`, and `cancel` of a call that is not there, are not answered",
        subject.tease(&call("conformance", None)),
    );
    check_calls(&manifest, &mut subject, cases, &mut report);
    report.add("it exits when its input ends", subject.end());
    report
}

fn same(first: &Manifest, second: &Manifest) -> Result<(), String> {
    if first == second { Ok(()) } else { Err("it differs from time to time".to_owned()) }
}

fn named_after(path: &Path, manifest: &Manifest) -> Result<(), String> {
    let wanted = format!("dr-plugin-{}", manifest.name);
    let is = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is == wanted { Ok(()) } else { Err(format!("it is `{is}`, and should be `{wanted}`")) }
}

fn is_kept(beside: &Path, value: &Value) -> Result<(), String> {
    let text = std::fs::read_to_string(beside).map_err(|error| error.to_string())?;
    let kept: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if kept == *value {
        return Ok(());
    }
    Err(format!("{} says something else: make it again", beside.display()))
}

fn check_manifest(manifest: &Manifest, report: &mut Report) {
    let protocol = match manifest.protocol {
        PROTOCOL => Ok(()),
        other => Err(format!("it speaks version {other}, this kit checks {PROTOCOL}")),
    };
    report.add("its protocol is this one", protocol);
    let names = std::iter::once(&manifest.name).chain(manifest.actions.keys());
    let bad: Vec<&str> = names.map(String::as_str).filter(|name| !is_name(name)).collect();
    report.add(
        "its names are lower case words",
        if bad.is_empty() { Ok(()) } else { Err(format!("{} are not", bad.join(", "))) },
    );
    report.add(
        "it offers something",
        if manifest.actions.is_empty() { Err("it has no actions".to_owned()) } else { Ok(()) },
    );
    for (name, action) in &manifest.actions {
        let mut wrong = Vec::new();
        if action.kind == Kind::Probe && action.effect != Effect::Pure {
            wrong.push(format!("a probe only reads, and its effect is {}", action.effect));
        }
        if action.effect == Effect::Checkable && !action.has_check {
            wrong.push("it is checkable, and has no check".to_owned());
        }
        if action.description.trim().is_empty() {
            wrong.push("it has no description".to_owned());
        }
        if action.input.as_value().get("type") != Some(&json!("object")) {
            wrong.push("its input is no object".to_owned());
        }
        for when in &action.effect_when {
            if action.input.as_value().pointer(&format!("/properties/{}", when.field)).is_none() {
                wrong.push(format!("`effect_when` names `{}`, no field of its input", when.field));
            }
        }
        let result = if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) };
        report.add(format!("`{name}` is described"), result);
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check_calls(
    manifest: &Manifest,
    subject: &mut dyn Subject,
    cases: &[Case],
    report: &mut Report,
) {
    let answer = subject.call(&call("no_such_action", None), Method::Apply, None);
    let refused = answer.and_then(|result| match &result.error {
        Some(error) if error.class == ErrorClass::Permanent => Ok(()),
        Some(error) => Err(format!("its error is {}, not permanent", error.class.as_str())),
        None => Err("it was not refused".to_owned()),
    });
    report.add("an action that is not there is refused", refused);
    for (name, action) in &manifest.actions {
        // Only what touches nothing: previews, and probes.
        let methods =
            [(action.has_preview, Method::Preview), (action.kind == Kind::Probe, Method::Apply)];
        let requires = action.input.as_value().get("required").and_then(Value::as_array);
        if requires.is_none_or(Vec::is_empty) && action.host != HostNeed::Required {
            continue;
        }
        for (_, method) in methods.into_iter().filter(|(is, _)| *is) {
            let mut call = call(name, None);
            call.input = json!({ "no_such_field": 1 });
            let answer = subject.call(&call, method, None);
            let refused = answer.and_then(|result| match (&result.error, method) {
                (Some(error), _) if error.class == ErrorClass::Permanent => Ok(()),
                (Some(error), _) => Err(format!("its error is {}", error.class.as_str())),
                // A preview may be content with less than the action.
                (None, Method::Preview) => Ok(()),
                (None, _) => Err("it was not refused".to_owned()),
            });
            report.add(format!("`{name}` refuses what does not fit ({method:?})"), refused);
        }
    }
    for case in cases {
        let call = call(&case.action, Some(case));
        let stop = case.stop_after_ms.map(Duration::from_millis);
        let result = subject.call(&call, case.method, stop);
        report.add(&case.name, result.and_then(|result| case.expect.judge(&result)));
    }
}
