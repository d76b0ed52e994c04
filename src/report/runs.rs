use super::facts::verdict_tone;
use super::screen::Cell;
use super::{Screen, Tone, table};
use crate::time::Millis;
use crate::view::RunSummary;

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
            Cell::new(tone, run.state().replace('_', " ")),
            Millis(run.elapsed_ms).short().into(),
            recovered.into(),
            run.by.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            notes(run).into(),
        ]);
    }
    table(screen, &rows)
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
