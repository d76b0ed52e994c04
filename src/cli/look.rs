//! `dr runs`, `watch`, `show`, `logs` and `report`: look at runs.

use std::path::Path;
use std::time::Duration;

use dr_plugin::Stream;

use super::act::{no_such_step, open_to_look};
use super::args::{ListFormat, Logs, Report, ReportFormat, RunFormat, Runs, Show, Watch};
use super::execute::reporter;
use super::exit::Exit;
use super::out::Out;
use crate::app::archive::Archive;
use crate::app::evidence::{complete, evidence_of};
use crate::app::outputs::{self, Kept};
use crate::app::past::Past;
use crate::app::state::StateDir;
use crate::journal::Tail;
use crate::report::{self, Beside, Log};
use crate::time::{Clock, Now, SystemClock};
use crate::view::{Phase, View};
use crate::{evidence, history};

/// How often a run of another process is looked at.
const POLL: Duration = Duration::from_millis(150);

pub(super) fn runs(args: &Runs, state_dir: Option<&Path>, out: &Out) -> Exit {
    let state = StateDir::resolve(state_dir, Path::new("."));
    if let Err(error) = state.readable() {
        return out.fail(&error, Exit::NotReady);
    }
    let place = state.to_name();
    let (summaries, unreadable) = match history::list(&Archive::new(&state), place.as_deref()) {
        Ok(listed) => listed,
        Err(message) => return out.refuse(&message, "", Exit::Internal),
    };
    for run in unreadable {
        out.remark(&format!("cannot read run {}: {}", run.run, run.why));
    }
    match args.format {
        ListFormat::Text => out.result(&report::runs(&summaries, &out.screen())),
        ListFormat::Json => {
            out.result(&serde_json::to_string_pretty(&summaries).unwrap_or_default());
        }
    }
    Exit::Done
}

pub(super) fn show(args: &Show, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open_to_look(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let view = past.view();
    let report = past.dir.path().join("report.md");
    let report = report.exists().then(|| report.display().to_string());
    let alive = past.is_live();
    let beside = Beside {
        alive,
        now: alive.then(|| now_of(&view, &SystemClock)),
        report: report.as_deref(),
    };
    let screen = out.screen();
    let text = match &args.step {
        None => report::show(&view, beside, &screen),
        Some(step) => match report::show_step(&view, step, beside, &screen) {
            Some(text) => text,
            None => return no_such_step(&past, step, out),
        },
    };
    out.result(&text);
    Exit::Done
}

/// The run's own time, from its last record and the wall clock: another process's monotonic clock
/// is not known.
fn now_of(view: &View, clock: &dyn Clock) -> Now {
    let at = clock.wall();
    let since = view.at().map_or(0, |last| (at.as_millisecond() - last.as_millisecond()).max(0));
    Now { at, elapsed_ms: view.elapsed_ms() + since as u64 }
}

pub(super) fn watch(args: &Watch, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open_to_look(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let clock = SystemClock;
    let mut view = View::new(&past.plan).kept_in(past.dir_to_name().as_deref());
    let mut shown = reporter(args.format, out);
    let mut tail = Tail::new(past.dir.journal());
    let told_dead = loop {
        let alive = past.is_live();
        let records = match tail.poll() {
            Ok(records) => records,
            Err(error) => return out.fail(&error, Exit::Invalid),
        };
        let idle = records.is_empty();
        for record in records {
            view.apply_record(&record);
            if shown.record(&view, &record).is_err() {
                return Exit::Done;
            }
        }
        let now = now_of(&view, &clock);
        if shown.tick(&view, now).is_err() || shown.flush().is_err() {
            return Exit::Done;
        }
        let over = matches!(view.phase(), Phase::Finished(_) | Phase::Paused(_));
        if idle && !alive {
            break !over;
        }
        std::thread::sleep(POLL);
    };
    let now = now_of(&view, &clock);
    let _ = shown.end(&view, now);
    let _ = shown.flush();
    if args.format != RunFormat::Json {
        let beside = Beside { alive: false, now: told_dead.then_some(now), report: None };
        out.result(&report::summary(&view, beside, &out.screen()));
    }
    view.verdict()
        .map_or(Exit::Done, |verdict| Exit::from(&crate::machine::Ending::Verdict(verdict)))
}

pub(super) fn logs(args: &Logs, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open_to_look(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    if let Some(step) = &args.step
        && past.plan.step_or_undo(step).is_none()
    {
        return no_such_step(&past, step, out);
    }
    let step = args.step.as_deref();
    let kept = match outputs::read(&past, step) {
        Ok(kept) => kept,
        Err(error) => {
            let message = format!("cannot read {}: {error}", past.dir.outputs().display());
            return out.refuse(&message, "", Exit::Internal);
        }
    };
    if kept.is_empty() && !args.follow {
        out.remark("no output was kept");
        return Exit::Done;
    }
    let parts: Vec<Log<'_>> = kept.iter().map(log).collect();
    if out.part(&report::logs(&parts, &out.screen())).is_err() {
        return Exit::Done;
    }
    if args.follow { follow(&past, step, kept, out) } else { Exit::Done }
}

fn log(kept: &Kept) -> Log<'_> {
    Log { title: &kept.title, stream: Some(kept.stream), text: &kept.text, dropped: 0 }
}

/// Prints what is appended to outputs until the run is over.
fn follow(past: &Past, step: Option<&str>, mut known: Vec<Kept>, out: &Out) -> Exit {
    let mut last: Option<(String, Stream)> =
        known.last().map(|kept| (kept.title.clone(), kept.stream));
    loop {
        let alive = past.is_live();
        let Ok(kept) = outputs::read(past, step) else { return Exit::Done };
        let mut grown = false;
        for part in &kept {
            let before = known
                .iter()
                .find(|known| known.title == part.title && known.stream == part.stream)
                .map_or(0, |known| known.text.len());
            let Some(more) = part.text.get(before..).filter(|more| !more.is_empty()) else {
                continue;
            };
            grown = true;
            let here = (part.title.clone(), part.stream);
            let written = if last.as_ref() == Some(&here) {
                out.part(&report::log_text(more))
            } else {
                let piece =
                    Log { title: &part.title, stream: Some(part.stream), text: more, dropped: 0 };
                last = Some(here);
                out.part(&report::logs(&[piece], &out.screen()))
            };
            if written.is_err() {
                return Exit::Done;
            }
        }
        known = kept;
        if !alive && !grown {
            return Exit::Done;
        }
        std::thread::sleep(POLL);
    }
}

pub(super) fn report(args: &Report, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open_to_look(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let Some(evidence) = evidence_of(&past.plan, &past.replay) else {
        out.remark("nothing was recorded yet");
        return Exit::Done;
    };
    let completed = complete(&past.dir, SystemClock.wall());
    match args.format {
        ReportFormat::Markdown => out.result(&evidence::markdown(&evidence)),
        ReportFormat::Html => out.result(&evidence::html(&evidence)),
        ReportFormat::Junit => out.result(&evidence::junit(&evidence)),
        ReportFormat::Json => {
            out.result(&serde_json::to_string_pretty(&evidence).unwrap_or_default());
        }
    }
    match completed {
        Ok(files) => {
            tell_completed(&files, out);
            Exit::Done
        }
        Err(error) => out.fail(&error, Exit::NotReady),
    }
}

/// Says what the evidence had lacked.
pub(super) fn tell_completed(files: &[&str], out: &Out) {
    if !files.is_empty() {
        out.remark(&format!(
            "note: the evidence was not complete; written from the journal: {}",
            files.join(", ")
        ));
    }
}
