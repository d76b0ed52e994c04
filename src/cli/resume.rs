//! `dr resume`: a run goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::act::{no_such_step, submit};
use super::args::Resume;
use super::detach::{self, Leaving};
use super::execute::{finish, locked, may_skip, reporter};
use super::exit::Exit;
use super::look::tell_completed;
use super::observe::look_ahead;
use super::out::Out;
use super::prompt::type_secret;
use super::secret_input::{files, is_secret};
use crate::app::evidence::complete;
use crate::app::past::Past;
use crate::app::request::request;
use crate::app::session::{self, Parts};
use crate::app::start::{Locks, Tools, end_calls};
use crate::app::state::StateDir;
use crate::app::{folder, identity, who};
use crate::event::{EventKind, FORMAT, LossAccepted, Request, RequestKind, RunStarted, StepState};
use crate::id::StepId;
use crate::journal::{self, JournalError, RunDir};
use crate::machine::Session;
use crate::plugin::Outlived;
use crate::time::{Clock, SystemClock};
use crate::view::View;

pub(super) fn run(args: &Resume, state_dir: Option<&Path>, out: &Out) -> Exit {
    if args.terminal.detach {
        return detach::start(out);
    }
    // What is given is meant from here, and the run may work in another folder.
    let state_dir = state_dir.map(from_here);
    let state = StateDir::resolve(state_dir.as_deref(), Path::new("."));
    let dir = match state.find(&args.run) {
        Ok(dir) => dir,
        Err(error) => return out.fail(&error, Exit::Usage),
    };
    let mut past = match Past::read(dir.clone(), args.accept_loss) {
        Ok(past) => past,
        Err(error) => return out.fail(&error, Exit::Invalid),
    };
    let requests = match requests(args, &past, out) {
        Ok(requests) => requests,
        Err(exit) => return exit,
    };
    let given = match given(args, &past, out) {
        Ok(given) => given,
        Err(exit) => return exit,
    };
    if past.is_live() {
        return hand_over(&past, requests, out);
    }
    if let Err(over @ JournalError::Over { .. }) = past.replay.for_resume() {
        return at_rest(&dir, &over, out);
    }
    let begun = begun(&past).cloned();
    if let Some(folder) = begun.as_ref().and_then(|begun| begun.folder.as_deref())
        && let Err(error) = folder::enter(folder)
    {
        return out.fail(&error, Exit::NotReady);
    }
    if let Err(error) = identity::require(&past.plan) {
        return out.fail(&error, Exit::NotReady);
    }
    let store = state.store();
    if let Err(error) = store.prepare() {
        return out.fail(&error, Exit::NotReady);
    }
    let clock = SystemClock;
    let now = clock.wall();
    let mut locks = match Locks::take(&store, &past.plan, &dir.id(), now) {
        Ok(locks) => locks,
        Err(error) => return locked(&error, &state, out),
    };
    if let Err(error) = locks.take_run(&dir, now) {
        return locked(&error, &state, out);
    }
    for Outlived { program, step, killed } in end_calls(&dir) {
        let how = if killed { "it was ended" } else { "it has ended now" };
        out.remark(&format!("note: {program} still worked on {step} after dr had died; {how}"));
    }
    let tools = match Tools::new(&past.plan, &given) {
        Ok(tools) => tools,
        Err(error) => return out.fail(&error, Exit::NotReady),
    };
    tools.keep_calls(&dir);
    if let Err(error) = tools.keep_secrets(&past.plan, &dir) {
        return out.fail(&error, Exit::NotReady);
    }
    tools.type_secrets(|name| type_secret(name, out));
    let opened = if dir.journal().exists() {
        let known = std::mem::take(&mut past.replay);
        journal::reopen(&dir.journal(), known, args.accept_loss, tools.masker.clone())
    } else {
        journal::create(&dir.journal(), tools.masker.clone())
            .map(|writer| (journal::Replay::default(), writer))
    };
    let journal = match opened {
        Ok((replay, journal)) => {
            past.replay = replay;
            journal
        }
        Err(error @ JournalError::Over { .. }) => return out.fail(&error, Exit::Usage),
        Err(error) => return out.fail(&error, Exit::Invalid),
    };
    if let Some(torn) = &past.replay.torn {
        out.remark(&format!("note: {torn}"));
    }
    let view = past.view();
    if let Err(exit) = look_ahead(&tools, &past.plan, |step| is_open(&view, step), out) {
        return exit;
    }
    let started = begun.unwrap_or_else(|| RunStarted {
        format: FORMAT,
        run: dir.id(),
        runbook: past.plan.runbook.clone(),
        environment: past.plan.environment.clone(),
        mode: past.plan.mode,
        style: past.plan.style,
        plan_digest: past.plan.digest.clone(),
        declared_at: now,
        incident_at: now,
        by: who::actor("command line"),
        attended: Out::is_attended(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reason: None,
        folder: folder::current(),
        seal: None,
    });
    let attended = Out::is_attended() && !args.terminal.detached;
    let started = RunStarted { by: who::actor("command line"), attended, ..started };
    let lost = past.replay.lost.as_ref().map(|lost| LossAccepted {
        record: lost.record,
        bytes: lost.bytes,
        by: started.by.clone(),
    });
    let parts = Parts {
        reporter: if args.terminal.detached {
            Box::new(Leaving::new(&dir))
        } else {
            reporter(args.format, out)
        },
        plan: Arc::clone(&past.plan),
        registry: tools.registry,
        secrets: tools.secrets,
        masker: tools.masker,
        journal,
        history: past.replay.records,
        preflight: None,
        session: Session {
            started,
            reason: args.reason.clone(),
            requests,
            refused: Vec::new(),
            lost,
        },
        clock: Arc::new(clock),
        dir: dir.clone(),
    };
    finish(&dir, session::run(parts, tools.runtime), args.format, out)
}

/// The start of the run; none if it was killed before that was recorded.
fn begun(past: &Past) -> Option<&RunStarted> {
    match &past.records().first()?.event.kind {
        EventKind::RunStarted(started) => Some(started),
        _ => None,
    }
}

/// `path` for whatever folder is the current one later.
fn from_here(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Nothing follows a final verdict. What its session could not write any more is written now.
fn at_rest(dir: &RunDir, over: &JournalError, out: &Out) -> Exit {
    match complete(dir, SystemClock.wall()) {
        Ok(files) => tell_completed(&files, out),
        Err(error) => {
            out.fail(&error, Exit::NotReady);
        }
    }
    out.fail(over, Exit::Usage)
}

/// A resume looks only at steps that were not started.
fn is_open(view: &View, step: &StepId) -> bool {
    view.step(step.as_str()).is_none_or(|step| {
        matches!(
            view.state(step),
            StepState::Pending | StepState::Ready | StepState::Blocked | StepState::Cancelled
        )
    })
}

/// A run that lives is handed the options.
fn hand_over(past: &Past, requests: Vec<Request>, out: &Out) -> Exit {
    if requests.is_empty() {
        return out.refuse(
            &format!("a process works on run {} already", past.dir.id()),
            &format!("follow it with `dr watch {}`", past.spoken()),
            Exit::Locked,
        );
    }
    for request in requests {
        let exit = submit(past, request, out);
        if exit != Exit::Done {
            return exit;
        }
    }
    Exit::Done
}

/// The files that hold secret inputs: all that can be given again, and not to a run that lives.
fn given(args: &Resume, past: &Past, out: &Out) -> Result<BTreeMap<String, String>, Exit> {
    let other = args.inputs.iter().find(|(name, _)| !is_secret(&past.plan, name));
    if let Some((name, _)) = other {
        let message = match past.plan.inputs.get(name) {
            Some(_) => format!("input `{name}` was given when the run was started"),
            None => format!("the run has no input `{name}`"),
        };
        let help = "leave it out: only secret inputs are given again";
        return Err(out.refuse(&message, help, Exit::Usage));
    }
    if past.is_live() && !args.inputs.is_empty() {
        let help = "leave `--input` out";
        return Err(out.refuse("the run is alive, and has its inputs", help, Exit::Usage));
    }
    let mut given = files(&args.inputs, |_| true, out)?;
    for file in given.values_mut() {
        *file = from_here(Path::new(file)).display().to_string();
    }
    Ok(given)
}

/// The options as requests, in the order in which they matter.
fn requests(args: &Resume, past: &Past, out: &Out) -> Result<Vec<Request>, Exit> {
    let mut asked: Vec<(RequestKind, &str)> = Vec::new();
    for (step, what) in &args.assumes {
        let kind = match what.as_str() {
            "done" => RequestKind::AssumeDone,
            "not-done" => RequestKind::AssumeNotDone,
            other => {
                let message = format!("`--assume {step}={other}`: it is `done` or `not-done`");
                return Err(out.refuse(&message, "", Exit::Usage));
            }
        };
        if kind == RequestKind::AssumeDone && args.reason.is_none() {
            return Err(out.refuse(
                &format!("`--assume {step}=done` needs a reason"),
                "add `--reason \"…\"`: it is kept in the evidence",
                Exit::Usage,
            ));
        }
        asked.push((kind, step));
    }
    asked.extend(args.redos.iter().map(|step| (RequestKind::Redo, step.as_str())));
    asked.extend(args.retries.iter().map(|step| (RequestKind::Retry, step.as_str())));
    // What puts steps back comes first, so that what passes steps over finds them so.
    asked.extend(args.skips.iter().map(|step| (RequestKind::Skip, step.as_str())));
    let mut requests = Vec::new();
    for (kind, step) in asked {
        if past.plan.step_or_undo(step).is_none() {
            return Err(no_such_step(past, step, out));
        }
        if kind == RequestKind::Skip {
            may_skip(&past.plan, step, args.reason.as_deref(), out)?;
        }
        let step = Some(StepId::from(step));
        requests.push(request(kind, step, who::actor("command line"), args.reason.clone()));
    }
    Ok(requests)
}
