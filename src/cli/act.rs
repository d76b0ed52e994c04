//! `dr approve` and `dr cancel`: act on a run from any terminal.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::args::{Approve, Cancel, Pause};
use super::exit::Exit;
use super::out::Out;
use crate::app::past::Past;
use crate::app::request::{hand_in, request};
use crate::app::state::StateDir;
use crate::app::who::actor;
use crate::engine::Posted;
use crate::event::{Actor, Request, RequestKind, Signed};
use crate::id::StepId;
use crate::journal::{JournalError, Lost};
use crate::plan::{Asked, Challenge, Gate, answers};
use crate::text::nearest;
use crate::view::{GateView, Phase, StepView, value_text};

pub(super) fn approve(args: &Approve, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let Some(step) = past.plan.step_or_undo(&args.step) else {
        return no_such_step(&past, &args.step, out);
    };
    if let Err(error) = past.is_going() {
        return out.fail(&error, Exit::Usage);
    }
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
            return out.refuse(&message, &waits(&past), Exit::Usage);
        }
        (Some(_), None) => RequestKind::Reject,
        (None, None) => RequestKind::Approve,
    };
    let reason = args.reject.clone().filter(|reason| !reason.is_empty());
    let request = request(ask, Some(step.id.clone()), actor("inbox"), reason);
    // Nobody is to type values for a gate that is shut: a rejection needs none.
    let asks = Request { ask: RequestKind::Reject, ..request.clone() };
    if ask == RequestKind::Approve
        && let Err(error) = past.takes(&asks)
    {
        return out.fail(&error, Exit::Usage);
    }
    // Who approves after others confirms what they told.
    let told = view.step(args.step.as_str()).and_then(StepView::open_gate);
    let told = told.is_some_and(|gate| gate.approvals() > 0);
    let inputs = match (&step.approve, ask) {
        (Some(gate), RequestKind::Approve) => match asked_for(gate, &step.id, told, args, out) {
            Ok(inputs) => inputs,
            Err(exit) => return exit,
        },
        _ if args.inputs.is_empty() => BTreeMap::new(),
        _ => {
            let help = "leave `--input` out";
            return out.refuse("only an approval takes inputs", help, Exit::Usage);
        }
    };
    let request = Request { inputs, ..request };
    let opened = view.step(args.step.as_str()).and_then(StepView::open_gate);
    match (&step.approve, opened) {
        (Some(gate), Some(open)) => by_hand(&past, gate, open, request, args, out),
        _ if args.challenge || args.signature.is_some() => {
            let message = format!("`{}` does not ask for approval now", step.id);
            out.refuse(&message, &waits(&past), Exit::Usage)
        }
        _ => answer(&past, request, out),
    }
}

/// Hands an answer in that will count.
fn answer(past: &Past, request: Request, out: &Out) -> Exit {
    match past.takes(&request) {
        Ok(()) => submit(past, request, out),
        Err(error) => out.fail(&error, Exit::Usage),
    }
}

/// An approval at this terminal, or by a signature.
fn by_hand(
    past: &Past,
    gate: &Gate,
    open: &GateView,
    request: Request,
    args: &Approve,
    out: &Out,
) -> Exit {
    let run = past.dir.id();
    let mut given = request.inputs.clone();
    for answer in open.answers.iter().filter(|answer| answer.approved) {
        given.extend(answer.inputs.clone());
    }
    let challenge = || -> Result<String, String> {
        let inputs = answers(&gate.inputs, &given)?;
        let step = StepId::from(args.step.as_str());
        let expires = Challenge::expiry(open.asked_at, open.deadline);
        let (message, asked, plan) = (&open.message, &open.request, &past.plan.digest);
        Ok(Challenge {
            message,
            run: &run,
            step: &step,
            request: asked,
            plan,
            inputs: &inputs,
            expires,
        }
        .line())
    };
    let Some(file) = &args.signature else {
        if !args.challenge {
            return answer(past, request, out);
        }
        return match challenge() {
            Ok(line) => {
                out.result(&line);
                Exit::Done
            }
            Err(why) => refused(&why, out),
        };
    };
    let signature = match std::fs::read_to_string(file) {
        Ok(signature) => signature,
        Err(error) => return refused(&format!("{}: {error}", file.display()), out),
    };
    let signed = challenge().map(|challenge| Signed { challenge, signature });
    let found = signed.and_then(|signed| Ok((gate.signer(&signed)?.to_owned(), signed)));
    match found {
        Ok((user, signed)) => {
            let by = Actor { user, via: "signature".to_owned(), ..request.by };
            answer(past, Request { by, signed: Some(signed), ..request }, out)
        }
        Err(why) => refused(&why, out),
    }
}

fn refused(why: &str, out: &Out) -> Exit {
    let help = "sign what `dr approve RUN STEP --challenge` prints, with the same `--input`";
    out.refuse(why, help, Exit::Usage)
}

/// What a gate asks for, from the command line, else from the terminal.
fn asked_for(
    gate: &Gate,
    step: &StepId,
    told: bool,
    args: &Approve,
    out: &Out,
) -> Result<BTreeMap<String, Value>, Exit> {
    let mut inputs = BTreeMap::new();
    for (name, text) in &args.inputs {
        let Some(asked) = gate.inputs.iter().find(|asked| asked.name == *name) else {
            let known: Vec<&str> = gate.inputs.iter().map(|asked| asked.name.as_str()).collect();
            let help = match (nearest(name, known.iter().copied()), known.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "it asks for nothing: leave `--input` out".to_owned(),
                (None, false) => format!("it asks for {}", known.join(", ")),
            };
            let message = format!("the gate of `{step}` asks for no `{name}`");
            return Err(out.refuse(&message, &help, Exit::Usage));
        };
        match asked.typed(text) {
            Ok(value) => inputs.insert(name.clone(), value),
            Err(why) => {
                let message = format!("`--input {name}`: {why}");
                return Err(out.refuse(&message, &about(asked), Exit::Usage));
            }
        };
    }
    if told {
        return Ok(inputs);
    }
    let missing = gate.inputs.iter().filter(|asked| !args.inputs.iter().any(|i| i.0 == asked.name));
    for asked in missing {
        if Out::is_attended() {
            inputs.extend(type_value(asked, out).map(|value| (asked.name.clone(), value)));
        } else if asked.default.is_none() {
            let message = format!("the gate of `{step}` asks for `{}`", asked.name);
            let help = format!("add `--input {}=VALUE`: {}", asked.name, about(asked));
            return Err(out.refuse(&message, &help, Exit::Usage));
        }
    }
    Ok(inputs)
}

/// A value, typed until it fits; nothing for its default.
fn type_value(asked: &Asked, out: &Out) -> Option<Value> {
    loop {
        let text = super::execute::prompt(&format!("{}, {}: ", asked.name, about(asked)), out)?;
        if text.is_empty() && asked.default.is_some() {
            return None;
        }
        match asked.typed(&text) {
            Ok(value) => return Some(value),
            Err(why) => out.remark(&why),
        }
    }
}

/// What is asked for, in words.
fn about(asked: &Asked) -> String {
    let mut text = asked.kind.to_string();
    if let Some(choices) = &asked.choices {
        let all: Vec<String> = choices.iter().map(value_text).collect();
        text = format!("one of {}", all.join(", "));
    }
    if let Some(default) = &asked.default {
        text = format!("{text} (default {})", value_text(default));
    }
    match &asked.description {
        Some(description) => format!("{text}: {description}"),
        None => text,
    }
}

pub(super) fn cancel(args: &Cancel, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    if let Err(error) = past.is_going() {
        return out.fail(&error, Exit::Usage);
    }
    let view = past.view();
    // What a person has to decide can be decided before anybody goes on with the run.
    let asked = view.unwindings().last().is_some_and(|unwinding| unwinding.open().is_some());
    let left = args.undo || asked || view.verdict().is_none() || !view.held_open().is_empty();
    let live = past.is_live();
    if !live && !left {
        let message = format!("no process works on run {}", past.dir.id());
        let help =
            format!("there is nothing to stop: `dr show {}` says where it stands", past.spoken());
        return out.refuse(&message, &help, Exit::Usage);
    }
    let under_way = live || matches!(view.phase(), Phase::Open);
    let ask = match (args.undo, args.now) {
        (true, _) => RequestKind::CancelUndo,
        // Where nothing is under way, there is time to close what is open.
        (false, true) if under_way => RequestKind::CancelNow,
        (false, _) => RequestKind::Cancel,
    };
    submit(&past, request(ask, None, actor("inbox"), args.reason.clone()), out)
}

pub(super) fn pause(args: &Pause, state_dir: Option<&Path>, out: &Out) -> Exit {
    let past = match open(state_dir, &args.run, out) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    if let Err(error) = past.is_going() {
        return out.fail(&error, Exit::Usage);
    }
    if !past.is_live() {
        let message = format!("no process works on run {}", past.dir.id());
        let help = format!("it is at rest: `dr show {}` says where it stands", past.spoken());
        return out.refuse(&message, &help, Exit::Usage);
    }
    submit(&past, request(RequestKind::Pause, None, actor("inbox"), args.reason.clone()), out)
}

fn waits(past: &Past) -> String {
    format!("`dr show {}` lists what waits for a decision", past.spoken())
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
        let run = Some(past.spoken());
        out.fail(&JournalError::Damaged { record, offset, why, run }, Exit::Invalid);
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
        RequestKind::Pause => return format!("pause {run}"),
    };
    format!("{verb} {step}")
}
