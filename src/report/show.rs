use std::fmt::Write as _;

use super::screen::{Cell, seconds, wrap};
use super::services::{name_width, service_line};
use super::wording::{paused_for, state_tone, verdict_tone};
use super::{Screen, Tone, table};
use crate::event::StepState;
use crate::time::{Millis, Now};
use crate::view::{Advice, Phase, StepView, View, clean_line, what_now};

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

/// The heading of a section.
pub(super) fn heading(out: &mut String, screen: &Screen, text: &str) {
    let _ = writeln!(out, "\n{}", screen.paint(Tone::Strong, text));
}

fn standing(view: &View, alive: bool) -> (Tone, String, String) {
    if let Some(damage) = view.damage() {
        let reason = format!("{damage}; shown is what comes before");
        return (Tone::Bad, "damaged".to_owned(), reason);
    }
    match view.phase() {
        Phase::Finished(finished) => (
            verdict_tone(finished.verdict),
            finished.verdict.as_str().replace('_', " "),
            clean_line(&finished.reason),
        ),
        Phase::Paused(waiting) => (Tone::Asks, "paused".to_owned(), paused_for(waiting)),
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
    let goes_on = beside.alive && *view.phase() == Phase::Open;
    let after = if goes_on { seconds(elapsed) } else { Millis(elapsed).short() };
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

/// A text, broken and indented.
pub(super) fn indented(out: &mut String, screen: &Screen, by: usize, text: &str) {
    for line in wrap(text, screen.width.saturating_sub(by)) {
        let _ = writeln!(out, "{:by$}{line}", "");
    }
}
