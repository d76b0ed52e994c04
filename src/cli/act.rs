//! `dr approve` and `dr cancel`: act on a run from any terminal.

use std::path::Path;

use super::args::{Approve, Cancel};
use super::exit::Exit;
use super::out::Out;
use crate::app::past::Past;
use crate::app::request::{hand_in, request};
use crate::app::state::StateDir;
use crate::app::who::actor;
use crate::engine::Posted;
use crate::event::{Request, RequestKind, Verdict};
use crate::id::StepId;
use crate::journal::{JournalError, Lost};
use crate::view::StepView;

pub(super) fn approve(args: &Approve, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let Some(step) = past.plan.step_or_undo(&args.step) else {
        return no_such_step(&past, &args.step, out);
    };
    let view = past.view();
    let question = view.step(args.step.as_str()).and_then(StepView::open_question);
    let ask = match (&args.reject, question) {
        // No to the question whether it was done, or may go on: it counts as failed.
        (Some(_), Some(_)) => RequestKind::Fail,
        (None, Some(_)) => {
            let message = format!("`{}` does not ask for approval", step.id);
            let help = format!("`dr show {}` lists the answers it takes", view.spoken());
            return out.refuse(&message, &help, Exit::Usage);
        }
        (_, None) if step.approve.is_none() => {
            let message = format!("step `{}` has no gate", step.id);
            return out.refuse(&message, "`dr show` lists what waits for a decision", Exit::Usage);
        }
        (Some(_), None) => RequestKind::Reject,
        (None, None) => RequestKind::Approve,
    };
    let reason = args.reject.clone().filter(|reason| !reason.is_empty());
    let id = step.id.clone();
    submit(&past, request(ask, Some(id), actor("inbox"), reason), out)
}

pub(super) fn cancel(args: &Cancel, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let view = past.view();
    // What a person has to decide can be decided before anybody goes on with the run.
    let asked = view.unwindings().last().is_some_and(|unwinding| unwinding.open().is_some());
    let over = view.verdict().is_some_and(Verdict::is_final);
    if !past.is_live() && ((!args.undo && !asked) || over) {
        let message = format!("no process works on run {}", past.dir.id());
        return out.refuse(
            &message,
            "there is nothing to stop: `dr show` says where it stands",
            Exit::Usage,
        );
    }
    let ask = match (args.undo, args.now) {
        (true, _) => RequestKind::CancelUndo,
        (false, true) => RequestKind::CancelNow,
        (false, false) => RequestKind::Cancel,
    };
    submit(&past, request(ask, None, actor("inbox"), args.reason.clone()), out)
}

/// The run that is meant.
pub(super) fn open(state_dir: Option<&Path>, run: &str, out: &Out) -> Result<Past, Exit> {
    let state = StateDir::resolve(state_dir, Path::new("."));
    let dir = state.find(run).map_err(|error| out.fail(&error, Exit::Usage))?;
    Past::read(dir, false).map_err(|error| out.fail(&error, Exit::Invalid))
}

/// The same to look at it only: of a damaged journal, what comes before the damage.
pub(super) fn open_to_look(state_dir: Option<&Path>, run: &str, out: &Out) -> Result<Past, Exit> {
    let state = StateDir::resolve(state_dir, Path::new("."));
    let dir = state.find(run).map_err(|error| out.fail(&error, Exit::Usage))?;
    let past = Past::read(dir, true).map_err(|error| out.fail(&error, Exit::Invalid))?;
    if let Some(lost) = &past.replay.lost {
        let Lost { record, offset, why, .. } = lost.clone();
        out.fail(&JournalError::Damaged { record, offset, why }, Exit::Invalid);
        out.remark("only what comes before is shown");
    }
    Ok(past)
}

pub(super) fn no_such_step(past: &Past, step: &str, out: &Out) -> Exit {
    let known = past.plan.steps.iter().map(|step| step.id.as_str());
    let help = match crate::text::nearest(step, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`dr show {}` lists the steps", past.spoken()),
    };
    out.refuse(&format!("run {} has no step `{step}`", past.dir.id()), &help, Exit::Usage)
}

/// Hands a request in and says what becomes of it.
pub(super) fn submit(past: &Past, request: Request, out: &Out) -> Exit {
    let run = past.spoken();
    let what = describe(&request, past.dir.id().as_str());
    match hand_in(&past.dir, &past.plan, request) {
        Ok(Posted::Live) => {
            out.remark(&format!("{what}: handed to the run; follow it with `dr watch {run}`"));
            Exit::Done
        }
        Ok(Posted::Kept) => {
            out.remark(&format!("{what}: recorded; continue with `dr resume {run}`"));
            Exit::Done
        }
        Err(error) => {
            let message = format!("cannot write to {}: {error}", past.dir.inbox().display());
            out.refuse(&message, "only the user who runs `dr` can act on a run", Exit::NotReady)
        }
    }
}

fn describe(request: &Request, run: &str) -> String {
    let step = request.step.as_ref().map_or("the run", StepId::as_str);
    let verb = match request.ask {
        RequestKind::Approve => "approve",
        RequestKind::Reject => "reject",
        RequestKind::Retry => "retry",
        RequestKind::Redo => "redo",
        RequestKind::Skip => "skip",
        RequestKind::AssumeDone => "assume done:",
        RequestKind::AssumeNotDone => "assume not done:",
        RequestKind::Fail => "fail",
        RequestKind::Undo => "undo",
        RequestKind::CancelUndo => return format!("cancel {run} and undo"),
        RequestKind::Cancel => return format!("cancel {run}"),
        RequestKind::CancelNow => return format!("cancel {run} now"),
    };
    format!("{verb} {step}")
}
