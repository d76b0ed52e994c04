//! `dr rehearse`: a run on simulated systems and simulated time.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::args::Rehearse;
use super::exit::Exit;
use super::out::Out;
use super::plan::{Effort, make};
use crate::app::rehearse::{results, says_unknown};
use crate::event::{EventKind, Record};
use crate::machine::Ending;
use crate::plan::Plan;
use crate::rehearse::{
    End, Faults, RehearseError, Rehearsed, Script, ScriptError, Trouble, Undefined, faults,
    rehearse,
};
use crate::report::{facts, screen_line};
use crate::time::Millis;
use crate::view::{View, quote};

pub(super) fn run(args: &Rehearse, out: &Out) -> Exit {
    // Estimates of earlier runs would make a rehearsal differ from one day to the next.
    let (plan, examined) =
        match make(&args.runbook, &args.selection, &[], Effort::NO_FORECAST, None, out) {
            Ok(made) => made,
            Err(exit) => return exit,
        };
    let Some((runbook, catalog)) = &examined.runbook else { return Exit::Invalid };
    let script = match script(args, &plan) {
        Ok(script) => script,
        Err(error) => return wrong(&error, out),
    };
    let plan = Arc::new(script.apply(plan));
    let schemas = results(&plan, catalog);

    let mut view = View::new(&plan);
    let rehearsed = rehearse(&plan, &script, schemas.clone(), &mut |record| {
        view.apply_record(record);
        for line in lines(&view, record, out) {
            out.result(&line);
        }
    });
    let rehearsed = match rehearsed {
        Ok(rehearsed) => rehearsed,
        Err(error) => return broken(&error, out),
    };
    let exit = ended(&rehearsed, &args.runbook, out);
    if !args.faults || !matches!(exit, Exit::Done | Exit::ObjectiveMissed) {
        return exit;
    }
    let says = |step: &_| says_unknown(&runbook.document, step);
    let found = match faults(&plan, &script, schemas, &says) {
        Ok(found) => found,
        Err(error) => return broken(&error, out),
    };
    out.result(&told(&found));
    if found.undefined.is_empty() { exit } else { Exit::Invalid }
}

fn script(args: &Rehearse, plan: &Plan) -> Result<Script, ScriptError> {
    let mut script = match &args.script {
        None => Script::default(),
        Some(path) => {
            let shown = path.display();
            let at = |message: String, help| ScriptError {
                message: format!("{shown}: {message}"),
                help,
            };
            let text = std::fs::read_to_string(path)
                .map_err(|error| at(format!("cannot be read: {error}"), None))?;
            let script = Script::read(&text).map_err(|error| at(error.message, error.help))?;
            script.validate(plan).map_err(|error| at(error.message, error.help))?;
            script
        }
    };
    for (name, value) in &args.sets {
        script.set(plan, name, value)?;
    }
    Ok(script)
}

fn wrong(error: &ScriptError, out: &Out) -> Exit {
    out.refuse(&error.message, error.help.as_deref().unwrap_or_default(), Exit::Usage)
}

fn broken(error: &RehearseError, out: &Out) -> Exit {
    out.refuse(&error.to_string(), "this is a defect of dr; please report it", Exit::Internal)
}

/// What happens, without the commands that a real run would ask for.
fn lines(view: &View, record: &Record, out: &Out) -> Vec<String> {
    let screen = out.screen();
    let told = facts(view, &record.event);
    let most = match record.event.kind {
        EventKind::RunStarted(_) | EventKind::RunFinished(_) => 0,
        EventKind::ApprovalRequested { .. } => 1,
        _ => usize::MAX,
    };
    let told = told.iter().filter(|fact| !fact.detail).take(most);
    told.map(|fact| screen_line(&screen, &record.event, fact)).collect()
}

/// Says how the rehearsed run ended.
fn ended(rehearsed: &Rehearsed, runbook: &Path, out: &Out) -> Exit {
    let took = Millis(rehearsed.took_ms).short();
    for wanted in &rehearsed.wanted {
        let why = wanted.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        let set: Vec<String> = wanted.set.iter().map(|it| format!("--set {}", quote(it))).collect();
        out.remark(&format!(
            "nothing plausible satisfies `{}` at `{}`{why}\n  help: say what it gives: dr rehearse {} {}",
            wanted.source,
            wanted.step,
            quote(&runbook.display().to_string()),
            set.join(" ")
        ));
    }
    let list = |steps: &[crate::id::StepId]| {
        steps.iter().map(|step| format!("`{step}`")).collect::<Vec<_>>().join(", ")
    };
    match &rehearsed.end {
        End::Ended(ending @ Ending::Verdict(verdict)) => {
            out.result(&format!("rehearsed: {} after {took} of simulated time", verdict.as_str()));
            Exit::from(ending)
        }
        End::Ended(Ending::Paused(steps)) | End::Waits(steps) => {
            out.result(&format!(
                "rehearsed: after {took} of simulated time the run waits for people at {}",
                list(steps)
            ));
            out.remark(
                "  help: say in a script what they answer: `gate: approve` or `question: retry`",
            );
            Exit::Paused
        }
        End::Hangs(steps) => {
            out.result(&format!(
                "rehearsed: after {took} of simulated time {} hangs, and nothing ends it",
                list(steps)
            ));
            out.remark("  help: give it a `timeout`");
            Exit::Failed
        }
        End::Endless | End::Crashed => {
            out.result(&format!("rehearsed: after {took} of simulated time the run still goes on"));
            out.remark("  help: limit what is repeated with `timeout` or `at_most`");
            Exit::Failed
        }
    }
}

/// What the faults found.
fn told(found: &Faults) -> String {
    let mut text = format!(
        "faults: {} runs, at {} step{}: {}",
        found.runs,
        found.steps,
        if found.steps == 1 { "" } else { "s" },
        match found.undefined.len() {
            0 => "after each of them there is a defined way on".to_owned(),
            1 => "1 state has no defined way on".to_owned(),
            many => format!("{many} states have no defined way on"),
        }
    );
    for undefined in &found.undefined {
        let (what, cure) = explained(undefined);
        let _ = write!(text, "\n\n  {what}");
        for (step, fault) in undefined.after.iter().take(3) {
            let _ = write!(text, "\n    after: `{step}`: {}", fault.as_str());
        }
        if undefined.after.len() > 3 {
            let _ = write!(text, "\n    and {} more", undefined.after.len() - 3);
        }
        let _ = write!(text, "\n    cure: {cure}");
    }
    text
}

fn explained(undefined: &Undefined) -> (String, String) {
    let step = &undefined.step;
    match &undefined.trouble {
        Trouble::OutcomeUnknown => (
            format!("`{step}`: nobody knows whether it was done, and nothing finds out"),
            "add a `check`, say what follows with `on_unknown`, or `effect: idempotent` if it may \
             simply run again"
                .to_owned(),
        ),
        Trouble::NoWayForward(past) => (
            format!(
                "`{step}`: it fails after `{past}`, from which there is no way back, and nothing leads on"
            ),
            format!(
                "let people decide with `on_failure: ask`, or add a step `after: [{step}]` that \
                 goes on by another way, or a gate there"
            ),
        ),
        Trouble::NeverClosed(closing) => (
            format!("`{step}`: `{closing}` is to close it, and never runs"),
            format!(
                "`{closing}` must be taken whenever `{step}` is: give it no `phase` and no `when` of its own"
            ),
        ),
        Trouble::NoCommand(stands) => (
            format!("`{step}`: no command goes on: {stands}"),
            "say what follows: `on_failure`, `retry`, a gate, or a step by another way".to_owned(),
        ),
    }
}
