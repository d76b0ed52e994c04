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
use crate::event::{Request, RequestKind};
use crate::id::StepId;

pub(super) fn approve(args: &Approve, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let Some(step) = past.plan.step(&args.step) else {
        return no_such_step(&past, &args.step, out);
    };
    if step.approve.is_none() {
        let message = format!("step `{}` has no gate", step.id);
        return out.refuse(&message, "`dr show` lists what waits for a decision", Exit::Usage);
    }
    let ask = if args.reject.is_some() { RequestKind::Reject } else { RequestKind::Approve };
    let reason = args.reject.clone().filter(|reason| !reason.is_empty());
    let id = step.id.clone();
    submit(&past, request(ask, Some(id), actor("inbox"), reason), out)
}

pub(super) fn cancel(args: &Cancel, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    if !past.is_live() {
        let message = format!("no process works on run {}", past.dir.id());
        return out.refuse(
            &message,
            "there is nothing to stop: `dr show` says where it stands",
            Exit::Usage,
        );
    }
    let ask = if args.now { RequestKind::CancelNow } else { RequestKind::Cancel };
    submit(&past, request(ask, None, actor("inbox"), args.reason.clone()), out)
}

/// The run that is meant.
pub(super) fn open(state_dir: Option<&Path>, run: &str, out: &Out) -> Result<Past, Exit> {
    let state = StateDir::resolve(state_dir, Path::new("."));
    let dir = state.find(run).map_err(|error| out.fail(&error, Exit::Usage))?;
    Past::read(dir, false).map_err(|error| out.fail(&error, Exit::Internal))
}

pub(super) fn no_such_step(past: &Past, step: &str, out: &Out) -> Exit {
    let known = past.plan.steps.iter().map(|step| step.id.as_str());
    let help = match crate::text::nearest(step, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`dr show RUN` lists the steps".to_owned(),
    };
    out.refuse(&format!("run {} has no step `{step}`", past.dir.id()), &help, Exit::Usage)
}

/// Hands a request in and says what becomes of it.
pub(super) fn submit(past: &Past, request: Request, out: &Out) -> Exit {
    let what = describe(&request, &past.dir.id());
    match hand_in(&past.dir, &past.plan, request) {
        Ok(Posted::Live) => {
            out.remark(&format!(
                "{what}: handed to the run; follow it with `dr watch {}`",
                past.dir.id()
            ));
            Exit::Done
        }
        Ok(Posted::Kept) => {
            out.remark(&format!("{what}: recorded; continue with `dr resume {}`", past.dir.id()));
            Exit::Done
        }
        Err(error) => {
            let message = format!("cannot write to {}: {error}", past.dir.inbox().display());
            out.refuse(&message, "only the user who runs `dr` can act on a run", Exit::NotReady)
        }
    }
}

fn describe(request: &Request, run: &crate::id::RunId) -> String {
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
        RequestKind::Cancel => return format!("cancel {run}"),
        RequestKind::CancelNow => return format!("cancel {run} now"),
    };
    format!("{verb} {step}")
}
