use std::fmt::Write as _;

use super::screen::Cell;
use super::screen::wrap;
use super::wording::verdict_tone;
use super::{Screen, Tone, table};
use crate::time::Millis;
use crate::view::{RunSummary, clean_line};

/// The text of `dr runs`: one line a run, in the order given.
#[must_use]
pub fn runs(runs: &[RunSummary], screen: &Screen) -> String {
    if runs.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let head =
        ["run", "environment", "mode", "state", "took", "recovered", "by", "notes"].map(Cell::from);
    let mut rows = vec![head.to_vec()];
    for run in runs {
        let tone = match run.verdict {
            Some(verdict) => verdict_tone(verdict),
            None if run.alive => Tone::Plain,
            None if run.paused => Tone::Asks,
            None => Tone::Bad,
        };
        let recovered = match run.recovered {
            (_, 0) => String::new(),
            (recovered, of) => format!("{recovered} of {of}"),
        };
        rows.push(vec![
            run.run.as_str().into(),
            run.environment.as_str().into(),
            run.mode.as_str().into(),
            Cell::new(tone, state(run)),
            Millis(run.elapsed_ms).short().into(),
            recovered.into(),
            run.by.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            notes(run).into(),
        ]);
    }
    let mut out = table(screen, &rows);
    attention(&mut out, runs, screen);
    out
}

/// Where it stands; marked if somebody should look at it, also without colour.
fn state(run: &RunSummary) -> String {
    let mark = if run.attention.is_some() { " !" } else { "" };
    format!("{}{mark}", run.state().replace('_', " "))
}

/// What of which run waits for somebody, and the commands that go on. These are not wrapped, so
/// that they can be pasted.
fn attention(out: &mut String, runs: &[RunSummary], screen: &Screen) {
    let waiting = runs.iter().filter_map(|run| Some((run, run.attention.as_ref()?)));
    for (position, (run, attention)) in waiting.enumerate() {
        if position == 0 {
            let _ = write!(out, "\n{}\n", screen.paint(Tone::Asks, "! needs attention"));
        }
        let why: Vec<String> = attention.why.iter().map(|why| clean_line(why)).collect();
        let text = format!("{}: {}", clean_line(run.run.as_str()), why.join("; "));
        for line in wrap(&text, screen.width.saturating_sub(2)) {
            let _ = writeln!(out, "  {line}");
        }
        for command in &attention.commands {
            let _ = writeln!(out, "    {}", clean_line(command));
        }
    }
}

fn notes(run: &RunSummary) -> String {
    let mut notes = Vec::new();
    if run.sessions > 1 {
        notes.push(format!("{} sessions", run.sessions));
    }
    if !run.open.is_empty() {
        let steps: Vec<&str> = run.open.iter().map(crate::id::StepId::as_str).collect();
        notes.push(format!("waits at {}", steps.join(", ")));
    }
    if run.resumable() {
        notes.push("resumable".to_owned());
    }
    notes.join("; ")
}
