//! `dr execute`: carry a runbook out.

use std::io::{self, BufRead as _, Write as _};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Execute, RunFormat};
use super::detach::{self, Leaving};
use super::exit::Exit;
use super::log;
use super::observe::look_ahead;
use super::out::Out;
use super::plan::{Effort, make};
use super::prompt::type_secret;
use super::sealed as cli_sealed;
use super::secret_input::{files, is_secret};
use super::zone;
use crate::app::archive::interrupted;
use crate::app::request::{random, request};
use crate::app::sealed::{self, Claim};
use crate::app::session::{self, Done, Parts, SessionError};
use crate::app::start::{Locks, Tools, make_run};
use crate::app::state::{StateDir, holder, new_run_id, spoken};
use crate::app::{folder, identity, moment, who};
use crate::engine::EngineError;
use crate::event::{FORMAT, Request, RequestKind, RunStarted, SealUse};
use crate::id::StepId;
use crate::journal::{self, RunDir};
use crate::machine::Session;
use crate::plan::Plan;
use crate::report::{Beside, Json, Lines, Live, Reporter, Screen, summary};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::words::{Mode, Style};

pub(super) fn run(args: &Execute, state_dir: Option<&Path>, out: &Out) -> Exit {
    if args.terminal.detach {
        return detach::start(out);
    }
    let clock = SystemClock;
    let now = clock.wall();
    let times = match times(args, now) {
        Ok(times) => times,
        Err(message) => return out.refuse(&message, "`dr execute --help`", Exit::Usage),
    };
    let Order { plan, sources, state, skips } = match order(args, state_dir, now, out) {
        Ok(order) => order,
        Err(exit) => return exit,
    };
    if let Err(error) = identity::require(&plan) {
        return out.fail(&error, Exit::NotReady);
    }
    let given = match files(&args.selection.inputs, |name| is_secret(&plan, name), out) {
        Ok(given) => given,
        Err(exit) => return exit,
    };
    let requests = match assumptions(&args.assumes, args.reason.as_ref(), &plan, out) {
        Ok(assumed) => assumed.into_iter().chain(skips).collect(),
        Err(exit) => return exit,
    };
    if let Err(exit) = confirm(&plan, args, out) {
        return exit;
    }
    let store = state.store();
    if let Err(error) = store.prepare() {
        return out.fail(&error, Exit::NotReady);
    }
    let id = new_run_id(now, &plan.runbook, (random() & 0xffff) as u16);
    let mut locks = match Locks::take(&store, &plan, &id, now) {
        Ok(locks) => locks,
        Err(error) => return locked(&error, &state, out),
    };
    if let Some(past) = interrupted(&state, &plan.runbook, &plan.environment) {
        out.remark(&format!(
            "note: run {} of this runbook and environment was interrupted, and what it had started \
             may still be at work; `dr resume {}` goes on with it. This is a new run",
            past.dir.id(),
            past.spoken()
        ));
    }
    let tools = match Tools::new(&plan, &given) {
        Ok(tools) => tools,
        Err(error) => return out.fail(&error, Exit::NotReady),
    };
    tools.type_secrets(|name| type_secret(name, out));
    let preflight = if args.skip_preflight {
        None
    } else {
        match look_ahead(&tools, &plan, |_| true, out) {
            Ok(found) => Some(found),
            Err(exit) => return exit,
        }
    };
    if let Some(found) = &preflight
        && !found.unreachable.is_empty()
        && !args.yes
        && plan.style == Style::Graceful
        && Out::is_attended()
        && !ask(
            &match found.unreachable.len() {
                1 => "1 target does not answer. Start all the same? [y/N] ".to_owned(),
                more => format!("{more} targets do not answer. Start all the same? [y/N] "),
            },
            out,
        )
    {
        return out.refuse("not started", "nothing was done", Exit::NotReady);
    }
    let seal = plan.seal.as_ref().map(|seal| seal.id.clone());
    if let Some(seal) = &seal {
        let by = who::actor("command line").to_string();
        let claim = Claim { run: id.clone(), at: now, by, again: args.again.clone() };
        if let Err(error) = sealed::claim(state.path(), seal, &claim) {
            return out.fail(&error, cli_sealed::exit(&error));
        }
    }
    let dir = match make_run(&store, &id, &plan, &sources) {
        Ok(dir) => dir,
        Err(error) => {
            if let Some(seal) = &seal {
                sealed::release(state.path(), seal);
            }
            return out.fail(&error, Exit::NotReady);
        }
    };
    if let Err(error) = locks.take_run(&dir, now) {
        return locked(&error, &state, out);
    }
    tools.keep_calls(&dir);
    if let Err(error) = tools.keep_secrets(&plan, &dir) {
        return out.fail(&error, Exit::NotReady);
    }
    let journal = match journal::create(&dir.journal(), tools.masker.clone()) {
        Ok(journal) => journal,
        Err(error) => return out.fail(&error, Exit::NotReady),
    };
    let started = RunStarted {
        format: FORMAT,
        run: id,
        runbook: plan.runbook.clone(),
        environment: plan.environment.clone(),
        mode: plan.mode,
        style: plan.style,
        plan_digest: plan.digest.clone(),
        declared_at: times.declared_at,
        incident_at: times.incident_at,
        by: who::actor("command line"),
        attended: Out::is_attended() && !args.terminal.detached,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reason: args.reason.clone(),
        folder: folder::current(),
        seal: seal.map(|id| SealUse { id, again: args.again.clone() }),
    };
    let parts = Parts {
        reporter: if args.terminal.detached {
            Box::new(Leaving::new(&dir))
        } else {
            note_connection(&plan, out);
            reporter(args.format, out)
        },
        plan: Arc::new(plan),
        registry: tools.registry,
        secrets: tools.secrets,
        masker: tools.masker,
        journal,
        history: Vec::new(),
        preflight: preflight.map(|found| found.findings()),
        session: Session { started, reason: None, requests, refused: Vec::new(), lost: None },
        clock: Arc::new(clock),
        dir: dir.clone(),
    };
    finish(&dir, session::run(parts, tools.runtime), args.format, out)
}

/// What is to be carried out.
struct Order {
    plan: Plan,
    /// The texts that it was made from, the runbook first.
    sources: Vec<(PathBuf, Vec<u8>)>,
    state: StateDir,
    /// `--skip` of a sealed plan: a decision of the run, since the plan stays as it is.
    skips: Vec<Request>,
}

/// The plan of a runbook, or a sealed one.
fn order(
    args: &Execute,
    state_dir: Option<&Path>,
    now: Timestamp,
    out: &Out,
) -> Result<Order, Exit> {
    let Some(plan) = cli_sealed::open(&args.runbook, out)? else {
        if args.again.is_some() {
            return Err(out.refuse(
                "`--again` belongs to sealed plans, and this is a runbook",
                "a runbook may be executed any number of times: leave it out",
                Exit::Usage,
            ));
        }
        let state = StateDir::resolve(state_dir, &args.runbook);
        let skips: Vec<_> =
            args.skips.iter().map(|step| (step.clone(), args.reason.clone())).collect();
        let (plan, examined) = make(
            &args.runbook,
            &args.selection,
            &skips,
            Effort::NO_FORECAST,
            Some(state.path()),
            out,
        )?;
        for step in &args.skips {
            may_skip(&plan, step, args.reason.as_deref(), out)?;
        }
        return Ok(Order { plan, sources: examined.sources(), state, skips: Vec::new() });
    };
    let shown = args.runbook.display();
    if let Some(clash) = cli_sealed::contradiction(&plan, &args.selection) {
        return Err(out.refuse(
            &format!("{shown} is a sealed plan: {clash}"),
            "leave the option out, or execute the runbook itself",
            Exit::Usage,
        ));
    }
    let sources = cli_sealed::admit(&plan, &args.runbook, now, out)?;
    let state = StateDir::resolve(state_dir, &cli_sealed::near(&plan, &args.runbook));
    let mut skips = Vec::new();
    for step in &args.skips {
        require_step(&plan, step, out)?;
        may_skip(&plan, step, args.reason.as_deref(), out)?;
        let by = who::actor("command line");
        let step = Some(StepId::from(step.as_str()));
        skips.push(request(RequestKind::Skip, step, by, args.reason.clone()));
    }
    Ok(Order { plan, sources, state, skips })
}

/// What holds others back is passed over for a reason only, which the evidence shows.
pub(super) fn may_skip(
    plan: &Plan,
    step: &str,
    reason: Option<&str>,
    out: &Out,
) -> Result<(), Exit> {
    let Some((guard, what)) = plan.guard_within(step) else { return Ok(()) };
    if reason.is_some_and(|reason| !reason.trim().is_empty()) {
        return Ok(());
    }
    Err(out.refuse(
        &format!("`--skip {step}` needs a reason: `{guard}` is a {what}"),
        "add `--reason \"…\"`: it is kept in the evidence",
        Exit::Usage,
    ))
}

fn require_step(plan: &Plan, step: &str, out: &Out) -> Result<(), Exit> {
    if plan.step(step).is_some() {
        return Ok(());
    }
    let message = format!("the plan has no step `{step}`");
    Err(out.refuse(&message, "`dr plan` lists the steps", Exit::Usage))
}

struct Times {
    declared_at: Timestamp,
    incident_at: Timestamp,
}

fn times(args: &Execute, now: Timestamp) -> Result<Times, String> {
    let zone = zone::local();
    let read = |text: &Option<String>| {
        text.as_deref().map(|text| moment::parse(text, now, &zone)).transpose()
    };
    let declared_at = read(&args.declared_at)?.unwrap_or(now);
    let incident_at = read(&args.incident_at)?.unwrap_or(declared_at);
    Ok(Times { declared_at, incident_at })
}

/// `--assume STEP=done` as requests.
fn assumptions(
    assumes: &[(String, String)],
    reason: Option<&String>,
    plan: &Plan,
    out: &Out,
) -> Result<Vec<Request>, Exit> {
    let mut requests = Vec::new();
    for (step, what) in assumes {
        if what != "done" {
            let message =
                format!("`--assume {step}={what}`: before a run only `done` can be assumed");
            return Err(out.refuse(&message, "write `--assume STEP=done`", Exit::Usage));
        }
        if reason.is_none() {
            return Err(out.refuse(
                &format!("`--assume {step}=done` needs a reason"),
                "add `--reason \"…\"`: it is kept in the evidence",
                Exit::Usage,
            ));
        }
        require_step(plan, step, out)?;
        requests.push(request(
            RequestKind::AssumeDone,
            Some(StepId::from(step.as_str())),
            who::actor("command line"),
            reason.cloned(),
        ));
    }
    Ok(requests)
}

/// A protected environment asks for its name; a drill is refused there.
fn confirm(plan: &Plan, args: &Execute, out: &Out) -> Result<(), Exit> {
    if !plan.protected {
        return Ok(());
    }
    if plan.mode == Mode::Drill {
        return Err(out.refuse(
            &format!("`{}` is protected: no drill runs there", plan.environment),
            "name another environment with `--env`",
            Exit::Usage,
        ));
    }
    if args.yes {
        return Ok(());
    }
    if !Out::is_attended() {
        return Err(out.refuse(
            &format!(
                "`{}` is protected, and nobody is at the terminal to confirm",
                plan.environment
            ),
            "confirm with `--yes`",
            Exit::Usage,
        ));
    }
    out.remark(&format!(
        "`{}` is protected. This machine's lock does not cover other machines.",
        plan.environment
    ));
    let typed = prompt("Type the name of the environment to start: ", out);
    if typed.as_deref() == Some(plan.environment.as_str()) {
        return Ok(());
    }
    Err(out.refuse("the name is another one", "nothing was done", Exit::Usage))
}

pub(super) fn reporter(format: RunFormat, out: &Out) -> Box<dyn Reporter> {
    match format {
        RunFormat::Json => Box::new(Json::new(io::stdout())),
        RunFormat::Text if Out::is_live() => {
            let live = Live::stderr(out.error_screen());
            log::write_above(live.progress());
            Box::new(live)
        }
        RunFormat::Text | RunFormat::Lines => Box::new(Lines::new(io::stderr())),
    }
}

/// Says how the session ended, and what to do now.
pub(super) fn finish(
    dir: &RunDir,
    done: Result<Done, SessionError>,
    format: RunFormat,
    out: &Out,
) -> Exit {
    match done {
        Ok(Done { ending, view, evidence_error, lines }) => {
            // The process ends with it.
            let view = ManuallyDrop::new(view);
            let report = dir.path().join("report.md");
            let report = report.exists().then(|| report.display().to_string());
            let beside = Beside { alive: false, now: None, report: report.as_deref() };
            let text = match format {
                RunFormat::Json => out.error_screen(),
                _ => out.screen(),
            };
            let text = summary(&view, beside, &text);
            if let Some(file) = lines {
                let _ = append(&file, &summary(&view, beside, &Screen::plain()));
            }
            // On stdout there are events and nothing else.
            if format == RunFormat::Json {
                out.remark(&text);
            } else {
                out.result(&text);
            }
            if let Some(error) = evidence_error {
                out.fail(&error, Exit::Internal);
            }
            Exit::from(&ending)
        }
        Err(error) => {
            let exit = match &error {
                SessionError::Plan(_) => Exit::Invalid,
                SessionError::Engine(
                    EngineError::PluginMissing { .. } | EngineError::Settings { .. },
                ) => Exit::NotReady,
                SessionError::Engine(EngineError::Journal(_) | EngineError::Unrecorded { .. }) => {
                    Exit::NotReady
                }
                SessionError::Engine(EngineError::Abandoned { .. }) => Exit::Failed,
                SessionError::Engine(EngineError::System { .. }) => Exit::Internal,
            };
            out.fail(&error, exit);
            out.remark(&format!("the run is kept: continue with `dr resume {}`", spoken(dir)));
            exit
        }
    }
}

/// A run of this length that hangs on a connection is worth a word, in milliseconds.
const LONG_MS: u64 = 10 * 60_000;

/// Says what a broken connection would mean for a long run.
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn note_connection(plan: &Plan, out: &Out) {
    let has = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let hangs = has("SSH_CONNECTION") && !has("TMUX") && !has("STY");
    if Out::is_attended() && hangs && plan.makespan_ms >= LONG_MS {
        out.remark(
            "note: if the connection breaks, the run goes on, and `dr watch` shows it again \
             (tmux, screen or `--detach` spare you that)",
        );
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    std::fs::OpenOptions::new().append(true).open(file)?.write_all(text.as_bytes())
}

pub(super) fn locked(error: &journal::LockError, state: &StateDir, out: &Out) -> Exit {
    match error {
        journal::LockError::Held { .. } => {
            let exit = out.fail(error, Exit::Locked);
            let run = holder(error, state);
            // Not wrapped, so that they can be pasted.
            out.remark(&format!("follow it with `dr watch {run}`, stop it with `dr cancel {run}`"));
            exit
        }
        journal::LockError::Io { .. } => out.fail(error, Exit::NotReady),
    }
}

fn ask(question: &str, out: &Out) -> bool {
    prompt(question, out).is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes"))
}

pub(super) fn prompt(question: &str, out: &Out) -> Option<String> {
    out.ask(question);
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}
