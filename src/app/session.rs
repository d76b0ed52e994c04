//! One session of a run: the engine carries it out, a reporter shows it, and evidence is written at
//! its end, however it ended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::audience::Audience;
use super::evidence::{EvidenceError, keep_evidence};
use super::state::dir_to_name;
use crate::engine::{Engine, EngineError, Handle, RunContext};
use crate::event::{Finding, Record};
use crate::journal::{Masker, RunDir, Writer};
use crate::machine::{Ending, Machine, PlanFault, Session};
use crate::plan::Plan;
use crate::plugin::{Registry, SecretStore};
use crate::report::Reporter;
use crate::time::{Clock, Now};
use crate::view::View;

/// What a session needs.
pub struct Parts {
    /// The run's folder, whose lock this process holds.
    pub dir: RunDir,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The plugins.
    pub registry: Arc<Registry>,
    /// The secrets.
    pub secrets: Arc<SecretStore>,
    /// Masks what is kept and shown.
    pub masker: Masker,
    /// The journal, open at its end.
    pub journal: Writer,
    /// What it holds already.
    pub history: Vec<Record>,
    /// What the preflight found.
    pub preflight: Option<Vec<Finding>>,
    /// What the machine starts with.
    pub session: Session,
    /// Shows the run; none: nobody looks.
    pub reporter: Box<dyn Reporter>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

/// How a session ended.
pub struct Done {
    /// With a verdict, or waiting for people.
    pub ending: Ending,
    /// What is known of the run now.
    pub view: View,
    /// Why the evidence could not be written, if so.
    pub evidence_error: Option<EvidenceError>,
    /// Where the run's lines are, if nobody took them any more.
    pub lines: Option<PathBuf>,
}

/// Why a session could not be carried out.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum SessionError {
    /// The plan is not one that can be run.
    #[error("the plan cannot be run: {0}")]
    #[diagnostic(code(DR3003), help("plan the runbook again"))]
    Plan(PlanFault),
    /// The engine stopped.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Engine(#[from] EngineError),
}

/// How often a reporter is told that time has passed.
const TICK: Duration = Duration::from_millis(100);

/// Carries a session out to its end and writes what it leaves.
///
/// # Errors
/// [`SessionError`]; what the run did until then is in its journal.
pub fn run(parts: Parts, runtime: Runtime) -> Result<Done, SessionError> {
    let done = runtime.block_on(carry_out(parts));
    // A plugin's blocking call may hang on a dead host: it must not hold the program.
    runtime.shutdown_timeout(Duration::from_secs(2));
    done
}

async fn carry_out(parts: Parts) -> Result<Done, SessionError> {
    let machine = Machine::new(Arc::clone(&parts.plan)).map_err(SessionError::Plan)?;
    let mut view = View::new(&parts.plan).kept_in(dir_to_name(&parts.dir).as_deref());
    for record in &parts.history {
        view.apply_record(record);
    }
    let secrets = Arc::clone(&parts.secrets);
    let context = RunContext {
        plan: Arc::clone(&parts.plan),
        dir: parts.dir.clone(),
        clock: Arc::clone(&parts.clock),
        registry: parts.registry,
        secrets: parts.secrets,
        masker: parts.masker,
        journal: parts.journal,
        history: parts.history,
        preflight: parts.preflight,
        signals: true,
    };
    let (engine, handle) = Engine::new(context, machine)?;
    let audience = Audience::new(parts.reporter, &parts.dir);
    // Its writes may block for ever, on a pipe that nobody reads: not on the run's threads.
    let runtime = tokio::runtime::Handle::current();
    let clock = parts.clock;
    let shown =
        tokio::task::spawn_blocking(move || runtime.block_on(show(handle, view, audience, clock)));
    let ending = engine.run(parts.session).await;
    if matches!(&ending, Ok(Ending::Verdict(verdict)) if verdict.is_final())
        && let Err(error) = secrets.forget()
    {
        tracing::warn!("secrets that are no longer needed were not removed: {error}");
    }
    let evidence_error = keep_evidence(&parts.dir, &parts.plan).err();
    // If the reporter broke: the run does not depend on it.
    let (view, lines) = shown.await.unwrap_or_else(|_| (View::new(&parts.plan), None));
    Ok(Done { ending: ending?, view, evidence_error, lines })
}

/// Feeds view and audience until the session is over. Gives the file that took the rest of the
/// lines, if nobody else did.
async fn show(
    mut handle: Handle,
    mut view: View,
    mut audience: Audience,
    clock: Arc<dyn Clock>,
) -> (View, Option<PathBuf>) {
    let mut elapsed = Elapsed { at_ms: clock.monotonic_ms(), elapsed_ms: view.elapsed_ms() };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut volatile_open = true;
    loop {
        tokio::select! {
            biased;
            records = handle.records.recv() => {
                let Some(records) = records else { break };
                for record in &records {
                    view.apply_record(record);
                    audience.tell(|it| it.record(&view, record));
                }
                elapsed =
                    Elapsed { at_ms: clock.monotonic_ms(), elapsed_ms: view.elapsed_ms() };
            }
            volatile = handle.volatile.recv(), if volatile_open => {
                let Some(volatile) = volatile else { volatile_open = false; continue };
                view.apply_volatile(&volatile);
                let now = elapsed.now(clock.as_ref());
                audience.tell(|it| it.volatile(&view, now, &volatile));
            }
            _ = ticks.tick() => {
                let now = elapsed.now(clock.as_ref());
                audience.tell(|it| it.tick(&view, now));
            }
        }
        audience.flush();
    }
    let now = elapsed.now(clock.as_ref());
    audience.tell(|it| it.end(&view, now));
    audience.flush();
    (view, audience.file())
}

/// The run's own time between two records.
#[derive(Clone, Copy)]
struct Elapsed {
    at_ms: u64,
    elapsed_ms: u64,
}

impl Elapsed {
    fn now(self, clock: &dyn Clock) -> Now {
        let since = clock.monotonic_ms().saturating_sub(self.at_ms);
        Now { at: clock.wall(), elapsed_ms: self.elapsed_ms + since }
    }
}
