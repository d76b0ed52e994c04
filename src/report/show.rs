use std::fmt::Write as _;

use super::facts::{
    attempt_name, error_text, request_word, signed_short, skip_reason, state_tone, verdict_tone,
};
use super::screen::{Cell, seconds, wrap};
use super::services::{name_width, service_line};
use super::{Screen, Tone, table};
use crate::event::{Outcome, StepState};
use crate::time::{Millis, Now};
use crate::view::{
    Advice, AttemptView, Phase, StepView, View, clean, clean_line, value_text, what_now,
};

/// What the journal cannot tell about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside<'a> {
    /// Whether a process works on it now.
    pub alive: bool,
    /// The time, as far as the run's own clock is known; absent: that of its last record.
    pub now: Option<Now>,
    /// Where its report lies, once there is one.
    pub report: Option<&'a str>,
}

/// Longest list of steps that is shown whole; of a longer one, what is not plain.
const WHOLE: usize = 60;
/// Longest value that is shown whole.
const VALUE: usize = 2_000;

/// The text of `dr show RUN`: what it is doing, what went wrong, what to do now.
#[must_use]
pub fn show(view: &View, beside: Beside<'_>, screen: &Screen) -> String {
    let mut out = String::new();
    head(&mut out, view, beside, screen);
    services(&mut out, view, beside, screen);
    spans(&mut out, view, beside, screen);
    doing(&mut out, view, beside, screen);
    went_wrong(&mut out, view, screen);
    steps(&mut out, view, screen);
    advice(&mut out, view, beside.alive, screen);
    out
}

/// The text at the end of a session: what was achieved, what went wrong, where the evidence is,
/// what to do now.
#[must_use]
pub fn summary(view: &View, beside: Beside<'_>, screen: &Screen) -> String {
    let mut out = String::new();
    let (tone, word, reason) = standing(view, beside.alive);
    let after = Millis(view.elapsed_ms()).short();
    let _ = writeln!(out, "\n{} after {after}: {reason}", screen.paint(tone, &word));
    services(&mut out, view, beside, screen);
    spans(&mut out, view, beside, screen);
    went_wrong(&mut out, view, screen);
    if let Some(report) = beside.report {
        heading(&mut out, screen, "evidence");
        let _ = writeln!(out, "  {report}");
    }
    advice(&mut out, view, beside.alive, screen);
    out
}

fn heading(out: &mut String, screen: &Screen, text: &str) {
    let _ = writeln!(out, "\n{}", screen.paint(Tone::Strong, text));
}

fn standing(view: &View, alive: bool) -> (Tone, String, String) {
    match view.phase() {
        Phase::Finished(finished) => (
            verdict_tone(finished.verdict),
            finished.verdict.as_str().replace('_', " "),
            clean_line(&finished.reason),
        ),
        Phase::Paused(waiting) => {
            (Tone::Asks, "paused".to_owned(), super::facts::paused_for(waiting))
        }
        Phase::New => (Tone::Plain, "not started".to_owned(), "nothing is recorded".to_owned()),
        Phase::Open if alive => {
            let counts = view.counts();
            let reason = format!(
                "{} of {} steps over, {} under way",
                counts.over, counts.total, counts.running
            );
            (Tone::Plain, "running".to_owned(), reason)
        }
        Phase::Open => (
            Tone::Bad,
            "interrupted".to_owned(),
            "its process ended without a word; nothing is lost".to_owned(),
        ),
    }
}

fn head(out: &mut String, view: &View, beside: Beside<'_>, screen: &Screen) {
    let plan = view.plan();
    let (tone, word, reason) = standing(view, beside.alive);
    let _ = writeln!(out, "{}", screen.paint(Tone::Strong, view.run().as_str()));
    let _ =
        writeln!(out, "{} in {}, {}, {}", plan.runbook, plan.environment, plan.mode, plan.style);
    let elapsed = beside.now.map_or(view.elapsed_ms(), |now| now.elapsed_ms);
    let after = seconds(elapsed);
    let _ = writeln!(out, "{} after {after}: {reason}", screen.paint(tone, &word));
    let mut rows = Vec::new();
    if let Some(started) = view.started() {
        if let Some(at) = view.started_at() {
            rows.push(("started", format!("{}, by {}", screen.moment(at), started.by)));
        }
        rows.push(("declared", screen.moment(started.declared_at)));
        if started.incident_at != started.declared_at {
            rows.push(("incident", screen.moment(started.incident_at)));
        }
        rows.push(("plan", started.plan_digest.to_string()));
    }
    if let Some(at) = view.at().filter(|_| !beside.alive) {
        rows.push(("last event", screen.moment(at)));
    }
    for session in view.sessions().iter().skip(1) {
        let why = session.reason.as_deref().map(|why| format!(": {}", clean_line(why)));
        let what = format!(
            "{}, by {}, session {}{}",
            screen.moment(session.started_at),
            session.by,
            session.number,
            why.unwrap_or_default()
        );
        rows.push(("resumed", what));
    }
    if let Some(report) = beside.report {
        rows.push(("report", report.to_owned()));
    }
    for (name, text) in rows {
        let _ = writeln!(out, "  {name:<11}{text}");
    }
}

fn services(out: &mut String, view: &View, beside: Beside<'_>, screen: &Screen) {
    let services = view.services();
    if services.is_empty() {
        return;
    }
    heading(out, screen, "services");
    let widest = name_width(&services);
    let now_ms = beside.now.map_or(view.elapsed_ms(), |now| now.elapsed_ms);
    // Nobody can tell when a run ends that nobody works on.
    let projection =
        (beside.alive && *view.phase() == Phase::Open).then(|| view.projection(now_ms));
    for service in &services {
        let live = projection.as_ref().map(|projection| (projection, now_ms));
        let mut cells = vec![Cell::from("  ")];
        cells.extend(service_line(view, service, live, widest, false));
        let text: String =
            cells.iter().map(|cell| screen.paint(cell.tone, cell.text.as_str())).collect();
        let _ = writeln!(out, "{}", text.trim_end());
        let why = service.achieved.as_ref().and_then(|achieved| achieved.reason.as_deref());
        if let Some(why) = why {
            indented(out, screen, 4 + widest, &clean_line(why));
        }
    }
}

fn spans(out: &mut String, view: &View, beside: Beside<'_>, screen: &Screen) {
    let now_ms = beside.now.map_or(view.elapsed_ms(), |now| now.elapsed_ms);
    let goes_on = matches!(view.phase(), Phase::Open | Phase::Paused(_));
    let section = super::spans::section(view, now_ms, goes_on, screen);
    if !section.is_empty() {
        heading(out, screen, "measured between steps");
        out.push_str(&section);
    }
}

fn doing(out: &mut String, view: &View, beside: Beside<'_>, screen: &Screen) {
    if !matches!(view.phase(), Phase::Open | Phase::Paused(_)) {
        return;
    }
    let running = view.running();
    if !running.is_empty() {
        let text = if beside.alive { "under way" } else { "was under way" };
        heading(out, screen, text);
        let now = beside.now.unwrap_or(Now {
            at: view.at().unwrap_or(crate::time::Timestamp::UNIX_EPOCH),
            elapsed_ms: view.elapsed_ms(),
        });
        for step in running.iter().take(WHOLE) {
            let took = now.elapsed_ms.saturating_sub(step.started_ms.unwrap_or(now.elapsed_ms));
            let host = step.host.as_deref().map(|host| format!(" on {host}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "  {}{host}, for {}, planned {}",
                step.id,
                Millis(took).short(),
                Millis(step.estimate_ms).short()
            );
        }
        if running.len() > WHOLE {
            let _ = writeln!(out, "  … and {} more", running.len() - WHOLE);
        }
    }
    let taken = view.taken();
    let waiting: Vec<_> = view
        .steps()
        .iter()
        .filter_map(|step| Some((step, view.waiting_for(step, &taken)?)))
        .collect();
    if waiting.is_empty() {
        return;
    }
    heading(out, screen, "waiting");
    for (step, what) in waiting.iter().take(WHOLE) {
        let _ = writeln!(out, "  {} for {}", step.id, what.describe(beside.now.map(|now| now.at)));
    }
    if waiting.len() > WHOLE {
        let _ = writeln!(out, "  … and {} more", waiting.len() - WHOLE);
    }
}

fn went_wrong(out: &mut String, view: &View, screen: &Screen) {
    let mut bad: Vec<&StepView> = view
        .steps()
        .iter()
        .filter(|step| {
            step.has_failed()
                || matches!(step.state, StepState::Warned | StepState::Unknown)
                || (step.state == StepState::Waiting && step.error.is_some())
        })
        .collect();
    if bad.is_empty() {
        return;
    }
    bad.sort_by_key(|step| (step.state == StepState::Warned, step.finished_ms));
    let only_warned = bad.iter().all(|step| step.state == StepState::Warned);
    heading(out, screen, if only_warned { "warnings" } else { "what went wrong" });
    for step in bad.iter().take(WHOLE) {
        let at =
            step.finished_ms.map(|ms| format!(" at {}", Millis(ms).short())).unwrap_or_default();
        let state = step.state.as_str().replace('_', " ");
        let _ = writeln!(
            out,
            "  {}",
            screen.paint(state_tone(step.state), &format!("{} {state}{at}", step.id))
        );
        for warning in &step.warnings {
            indented(out, screen, 4, &clean_line(warning));
        }
        if let Some(error) = &step.error {
            indented(out, screen, 4, &clean_line(&error.message));
            for cause in &error.causes {
                indented(out, screen, 4, &clean_line(cause));
            }
        }
    }
    if bad.len() > WHOLE {
        let _ = writeln!(out, "  … and {} more", bad.len() - WHOLE);
    }
    let blocked = view.steps().iter().filter(|step| step.state == StepState::Blocked).count();
    if blocked > 0 {
        let steps = if blocked == 1 { "step was" } else { "steps were" };
        let _ = writeln!(out, "  {blocked} {steps} blocked by that");
    }
}

fn steps(out: &mut String, view: &View, screen: &Screen) {
    heading(out, screen, "steps");
    // Where a group begins is only worth a line while something is the matter there.
    let quiet = [StepState::Pending, StepState::Succeeded, StepState::Skipped];
    let all: Vec<&StepView> = view
        .steps_by_place()
        .into_iter()
        .filter(|step| !(step.id.as_str().ends_with("!begin") && quiet.contains(&step.state)))
        .collect();
    let shown: Vec<&StepView> = if all.len() <= WHOLE {
        all.clone()
    } else {
        all.iter()
            .filter(|step| {
                !matches!(
                    step.state,
                    StepState::Pending | StepState::Succeeded | StepState::Skipped
                )
            })
            .take(WHOLE)
            .copied()
            .collect()
    };
    let mut rows: Vec<Vec<Cell>> =
        vec![["step", "state", "started", "took", "tries", "host"].map(Cell::from).to_vec()];
    for step in &shown {
        let state = view.state(step);
        let (started, took) = view.lasted(step);
        let took = took.map(|ms| Millis(ms).short());
        let tries = step.attempts.iter().map(|attempt| attempt.number).max();
        let started = started.map(|ms| Millis(ms).short());
        rows.push(vec![
            step.id.as_str().into(),
            Cell::new(state_tone(state), state.as_str().replace('_', " ")),
            started.unwrap_or_default().into(),
            took.unwrap_or_default().into(),
            tries.map(|tries| tries.to_string()).unwrap_or_default().into(),
            step.host.as_deref().unwrap_or_default().into(),
        ]);
    }
    let inner = Screen { width: screen.width.saturating_sub(2), ..screen.clone() };
    for line in table(&inner, &rows).lines() {
        let _ = writeln!(out, "  {line}");
    }
    if shown.len() < all.len() {
        let rest = all.len() - shown.len();
        let _ = writeln!(out, "  … and {rest} more: pending, succeeded or skipped");
    }
}

fn advice(out: &mut String, view: &View, alive: bool, screen: &Screen) {
    heading(out, screen, "what to do now");
    write_advice(out, &what_now(view, alive), screen);
}

fn write_advice(out: &mut String, advice: &[Advice], screen: &Screen) {
    for Advice { what, command } in advice {
        indented(out, screen, 2, what);
        if let Some(command) = command {
            // Never broken: it is there to be copied.
            let _ = writeln!(out, "      {}", screen.paint(Tone::Strong, command));
        }
    }
}

fn indented(out: &mut String, screen: &Screen, by: usize, text: &str) {
    for line in wrap(text, screen.width.saturating_sub(by)) {
        let _ = writeln!(out, "{:by$}{line}", "");
    }
}

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
    super::fit(text, VALUE)
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
                            let line = super::fit(line, screen.width.saturating_sub(4));
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
            format!(", {} before the incident", signed_short(ms))
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
    let skipped = step.attempts.len().saturating_sub(WHOLE);
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
