use std::fmt::Write as _;

use super::screen::wrap;
use super::show::{Beside, heading, indented};
use super::wording::{attempt_name, error_text, request_word, skip_reason, state_tone};
use super::{Screen, Tone, fit};
use crate::event::{Outcome, StepState};
use crate::time::Millis;
use crate::view::{AttemptView, StepView, View, clean, clean_line, value_text};

/// More attempts than this are not all shown, but the last of them.
const ATTEMPTS: usize = 60;
/// Longest value that is shown whole.
const VALUE: usize = 2_000;

/// The text of `dr show RUN STEP`; `None` if the run has no such step.
#[must_use]
pub fn show_step(view: &View, id: &str, beside: Beside<'_>, screen: &Screen) -> Option<String> {
    let step = view.step(id)?;
    let planned = view.planned(id);
    let mut out = String::new();
    let state = view.state(step);
    let word = state.as_str().replace('_', " ");
    let _ = writeln!(
        out,
        "{}  {}",
        screen.paint(Tone::Strong, id),
        screen.paint(state_tone(state), &word)
    );
    if let Some(description) = planned.and_then(|planned| planned.description.as_deref()) {
        indented(&mut out, screen, 2, &clean_line(description));
    }
    for (name, text) in step_rows(view, step, beside, screen) {
        let lines = wrap(&text, screen.width.saturating_sub(15));
        for (position, line) in lines.iter().enumerate() {
            let name = if position == 0 { name } else { "" };
            let _ = writeln!(out, "  {name:<13}{line}");
        }
    }
    attempts(&mut out, step, screen);
    if let Some(error) =
        step.error.as_ref().filter(|_| !state.is_met() || state != StepState::Succeeded)
    {
        heading(&mut out, screen, "error");
        indented(&mut out, screen, 2, &clean_line(&error.message));
        let _ = writeln!(out, "  [{} {}]", error.class.as_str(), clean_line(&error.code));
        for cause in &error.causes {
            for line in clean(cause).lines() {
                indented(&mut out, screen, 2, line);
            }
        }
        if let Some(help) = &error.help {
            indented(&mut out, screen, 2, &format!("help: {}", clean_line(help)));
        }
    }
    if let Some(input) = step.attempts.iter().rev().find_map(|attempt| attempt.input.as_ref()) {
        heading(&mut out, screen, "called with");
        values(&mut out, screen, input);
    }
    if !step.outputs.is_empty() {
        heading(&mut out, screen, "outputs");
        for (name, value) in &step.outputs {
            indented(&mut out, screen, 2, &format!("{name} = {}", cut(&value_text(value))));
        }
    }
    people(&mut out, step, screen);
    Some(out)
}

fn cut(text: &str) -> String {
    fit(text, VALUE)
}

fn values(out: &mut String, screen: &Screen, input: &serde_json::Value) {
    match input {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                match value.as_str().filter(|text| text.trim_end().contains('\n')) {
                    // A script is read line by line.
                    Some(text) => {
                        let _ = writeln!(out, "  {name}:");
                        for line in clean(&text.chars().take(VALUE).collect::<String>()).lines() {
                            let line = fit(line, screen.width.saturating_sub(4));
                            let _ = writeln!(out, "    {line}");
                        }
                    }
                    None => {
                        indented(out, screen, 2, &format!("{name}: {}", cut(&value_text(value))));
                    }
                }
            }
        }
        other => indented(out, screen, 2, &cut(&value_text(other))),
    }
}

fn step_rows(
    view: &View,
    step: &StepView,
    beside: Beside<'_>,
    screen: &Screen,
) -> Vec<(&'static str, String)> {
    let mut rows: Vec<(&'static str, String)> = Vec::new();
    let planned = view.planned(step.id.as_str());
    if let Some(planned) = planned.filter(|planned| !planned.source.is_empty()) {
        rows.push(("source", clean_line(&planned.source.join(", "))));
    }
    if let Some(service) = &step.service {
        let phase = planned.and_then(|planned| planned.phase);
        let phase = phase.map(|phase| format!(", {phase}")).unwrap_or_default();
        rows.push(("service", format!("{service}{phase}")));
    }
    if let Some(uses) = &step.uses {
        let host = step.host.as_deref().map(|host| format!(" on {host}")).unwrap_or_default();
        let effect = planned.map(|planned| format!(" ({})", planned.effect)).unwrap_or_default();
        rows.push(("calls", format!("{uses}{host}{effect}")));
    }
    if let Some(of) = crate::plan::undone_by(step.id.as_str()) {
        rows.push(("takes back", of.to_owned()));
    }
    if let Some(sleep) = planned.and_then(|planned| planned.sleep.as_ref()) {
        let since = sleep.since.as_ref().map(|since| format!(" after the end of {since}"));
        let text = format!("for {}{}", Millis(sleep.for_ms).short(), since.unwrap_or_default());
        rows.push(("sleeps", text));
    }
    if let Some(expected) = planned.and_then(|planned| planned.expect_error.as_ref()) {
        rows.push(("must fail", clean_line(expected.source())));
    }
    if let Some(planned) = planned {
        rows.extend(planned.closes.as_ref().map(|opener| ("closes", opener.to_string())));
        rows.extend(planned.undo.as_ref().map(|undo| ("undo", undo.undo_method())));
    }
    if let Some(planned) =
        planned.filter(|planned| crate::plan::undone_by(planned.id.as_str()).is_none())
    {
        rows.push((
            "planned",
            format!(
                "at {}, for {}",
                Millis(planned.start_ms).short(),
                Millis(planned.estimate_ms).short()
            ),
        ));
        if let Some(place) = &planned.place {
            rows.push(("written", format!("{}:{}", clean_line(&place.file), place.line)));
        }
    }
    if let (Some(ms), Some(at)) = (step.started_ms, step.started_at) {
        rows.push(("started", format!("{}, at {}", screen.moment(at), Millis(ms).short())));
    }
    if let Some(at) = step.finished_at.filter(|_| step.finished_ms.is_some()) {
        let (_, took) = view.lasted(step);
        let took = took.map(|ms| format!(", after {}", Millis(ms).short())).unwrap_or_default();
        let gate = match step.gate_ms {
            0 => String::new(),
            gate => format!(", {} of it waiting for people", Millis(gate).short()),
        };
        rows.push(("ended", format!("{}{took}{gate}", screen.moment(at))));
    }
    if let Some(waiting) = view.waiting_for(step, &view.taken()) {
        rows.push(("waits for", waiting.describe(beside.now.map(|now| now.at))));
    }
    if !step.blocked_by.is_empty() && step.state == StepState::Blocked {
        let by: Vec<&str> = step.blocked_by.iter().map(crate::id::StepId::as_str).collect();
        rows.push(("blocked by", by.join(", ")));
    }
    if let Some(skip) = step.skipped.as_ref().filter(|_| step.state == StepState::Skipped) {
        let who = skip.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        let note = skip.note.as_deref().map(|note| format!(": {}", clean_line(note)));
        let text = format!("{}{who}{}", skip_reason(skip.reason), note.unwrap_or_default());
        rows.push(("skipped", text));
    }
    if let Some(by) = &step.by {
        let why = step.reason.as_deref().map(|why| format!(": {}", clean_line(why)));
        rows.push(("said by", format!("{by}{}", why.unwrap_or_default())));
    }
    if let Some(point) = step.recovery_point {
        let incident = view.started().map(|started| started.incident_at);
        let lost = incident.map(|incident| {
            let ms = incident.as_millisecond() - point.as_millisecond();
            let way = if ms < 0 { "after" } else { "before" };
            format!(", {} {way} the incident", Millis(ms.unsigned_abs()).short())
        });
        rows.push((
            "recovers",
            format!("data of {}{}", screen.moment(point), lost.unwrap_or_default()),
        ));
    }
    for warning in &step.warnings {
        rows.push(("warning", clean_line(warning)));
    }
    if let Some(progress) = &step.progress {
        rows.push(("says", progress.clone()));
    }
    rows
}

fn attempts(out: &mut String, step: &StepView, screen: &Screen) {
    if step.attempts.is_empty() {
        return;
    }
    heading(out, screen, "attempts");
    let skipped = step.attempts.len().saturating_sub(ATTEMPTS);
    if skipped > 0 {
        let _ = writeln!(out, "  … {skipped} earlier ones");
    }
    for attempt in &step.attempts[skipped..] {
        let (tone, text) = attempt_text(attempt);
        let name = attempt_name(attempt.purpose, attempt.number);
        let at = format!("at {}", Millis(attempt.started_ms).short());
        // Wrapped under itself, so that the columns stay readable.
        for (position, line) in wrap(&text, screen.width.saturating_sub(25)).iter().enumerate() {
            let (name, at) = if position == 0 { (&*name, &*at) } else { ("", "") };
            let _ = writeln!(out, "  {name:<11} {at:>9}  {}", screen.paint(tone, line));
        }
    }
}

fn attempt_text(attempt: &AttemptView) -> (Tone, String) {
    let took =
        attempt.duration_ms.map(|ms| format!(" after {}", Millis(ms).short())).unwrap_or_default();
    let error = attempt.error.as_ref().or(attempt.expected.as_ref());
    let error = error.map(|error| format!(": {}", error_text(error))).unwrap_or_default();
    let (tone, word) = match attempt.outcome {
        Some(Outcome::Succeeded) if attempt.error.is_some() => (Tone::Warning, "done, but"),
        Some(Outcome::Succeeded) if attempt.expected.is_some() => (Tone::Good, "failed as it must"),
        Some(Outcome::Succeeded) => (Tone::Good, "succeeded"),
        Some(Outcome::Failed) => (Tone::Bad, "failed"),
        Some(Outcome::TimedOut) => (Tone::Bad, "timed out"),
        Some(Outcome::Cancelled) => (Tone::Warning, "was stopped"),
        Some(Outcome::Unknown) => (Tone::Asks, "may or may not have been applied"),
        None if attempt.lost => (Tone::Asks, "was under way when its session ended"),
        None => (Tone::Plain, "is under way"),
    };
    let launches = match attempt.launches {
        0 | 1 => String::new(),
        launches => format!(" (launched {launches} times with the same key)"),
    };
    (tone, format!("{word}{took}{error}{launches}"))
}

fn people(out: &mut String, step: &StepView, screen: &Screen) {
    if step.gates.is_empty() && step.questions.is_empty() && step.resets.is_empty() {
        return;
    }
    heading(out, screen, "decisions of people");
    for gate in &step.gates {
        indented(out, screen, 2, &format!("asked: {}", clean_line(&gate.message)));
        if gate.settled.is_none() && gate.answers.is_empty() {
            indented(out, screen, 4, "not answered");
        }
        for answer in &gate.answers {
            let word = if answer.approved { "approved" } else { "rejected" };
            let who = answer.by.as_ref().map_or("its deadline".to_owned(), ToString::to_string);
            let why = answer.reason.as_deref().map(|why| format!(": {}", clean_line(why)));
            let after = Millis(answer.at_ms.saturating_sub(gate.asked_ms)).short();
            let why = why.unwrap_or_default();
            indented(out, screen, 4, &format!("{word} by {who} after {after}{why}"));
            for (name, value) in &answer.inputs {
                indented(out, screen, 6, &format!("{name} = {}", cut(&value_text(value))));
            }
        }
    }
    for question in &step.questions {
        indented(out, screen, 2, &format!("asked: {}", clean_line(&question.message)));
        match &question.answer {
            Some((ask, by, at_ms)) => {
                let after = Millis(at_ms.saturating_sub(question.asked_ms)).short();
                indented(
                    out,
                    screen,
                    4,
                    &format!("answered by {by} after {after}: {}", request_word(*ask)),
                );
            }
            None => indented(out, screen, 4, "not answered"),
        }
    }
    for reset in &step.resets {
        let what = if reset.redo { "redo" } else { "retry" };
        let why = reset.reason.as_deref().map(|why| format!(": {}", clean_line(why)));
        let at = Millis(reset.at_ms).short();
        let text = format!("{what} by {} at {at}{}", reset.by, why.unwrap_or_default());
        indented(out, screen, 2, &text);
    }
}
