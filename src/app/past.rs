//! A run as it is on disk.

use std::path::PathBuf;
use std::sync::Arc;

use super::request::RequestError;
use super::state::{dir_to_name, spoken};
use crate::event::{EventKind, Record, Request};
use crate::journal::{self, JournalError, Replay, RunDir};
use crate::machine::{Input, Machine};
use crate::plan::Plan;
use crate::time::{Clock as _, Now, SystemClock};
use crate::view::{Damage, View};

/// A run read from its folder.
#[derive(Debug)]
pub struct Past {
    /// Its folder.
    pub dir: RunDir,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its journal.
    pub replay: Replay,
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PastError {
    /// The plan is missing or is not one.
    #[error("cannot read the plan of run {run}: {reason}")]
    #[diagnostic(code(DR3002), help("the folder of the run was changed by something else than dr"))]
    Plan {
        /// The run.
        run: crate::id::RunId,
        /// What is wrong.
        reason: String,
    },
    /// The journal cannot be read, or is damaged.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] JournalError),
}

impl Past {
    /// Reads a run. With `accept_loss`, a damaged journal is read up to the damage.
    ///
    /// # Errors
    /// [`PastError`].
    pub fn read(dir: RunDir, accept_loss: bool) -> Result<Self, PastError> {
        // Of a large run either takes a while, and somebody waits for both.
        let (plan, replay) = std::thread::scope(|scope| {
            let plan = scope.spawn(|| read_plan(&dir));
            let replay = journal::read(&dir.journal(), accept_loss);
            (plan.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), replay)
        });
        let plan = plan?;
        let replay = match replay {
            Ok(replay) => replay,
            // Killed between making the folder and the first record.
            Err(_) if !dir.journal().exists() => journal::decode(b"", accept_loss)?,
            Err(error) => return Err(error.of_run(spoken(&dir)).into()),
        };
        Ok(Self { dir, plan: expanded(plan, &replay.records), replay })
    }

    /// What a screen needs of it.
    #[must_use]
    pub fn view(&self) -> View {
        let mut view = View::new(&self.plan).kept_in(self.dir_to_name().as_deref());
        for record in self.records() {
            view.apply_record(record);
        }
        let view = view.damaged(self.damage());
        if self.is_live() { view } else { view.unattended() }
    }

    /// Whether the run as it stands would follow a request about a step.
    ///
    /// # Errors
    /// [`RequestError`]: why not.
    pub fn takes(&self, request: &Request) -> Result<(), RequestError> {
        self.is_going()?;
        let Ok(mut machine) = Machine::new(Arc::clone(&self.plan)) else { return Ok(()) };
        for Record { event, .. } in self.records() {
            let now = Now { at: event.at, elapsed_ms: event.elapsed_ms };
            let _ = machine.handle(now, Input::Replayed(Box::new(event.clone())));
        }
        let why = machine.refuses(request, SystemClock.wall());
        why.zip(request.step.clone()).map_or(Ok(()), |(why, step)| {
            Err(RequestError::Refused { why, run: self.spoken(), step })
        })
    }

    /// Whether anything can still be asked of the run.
    ///
    /// # Errors
    /// [`RequestError::Over`].
    pub fn is_going(&self) -> Result<(), RequestError> {
        let last = self.records().last().map(|record| &record.event.kind);
        match last {
            Some(EventKind::RunFinished(finished)) if finished.verdict.is_final() => {
                Err(JournalError::Over { verdict: finished.verdict.as_str() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Where its journal does not hold any more, if it is damaged.
    #[must_use]
    pub fn damage(&self) -> Option<Damage> {
        let lost = self.replay.lost.as_ref()?;
        Some(Damage { run: self.dir.id(), record: lost.record, offset: lost.offset })
    }

    /// The state directory, if a command has to name it.
    #[must_use]
    pub fn dir_to_name(&self) -> Option<PathBuf> {
        dir_to_name(&self.dir)
    }

    /// The run as a command of a shell names it.
    #[must_use]
    pub fn spoken(&self) -> String {
        spoken(&self.dir)
    }

    /// Its records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.replay.records
    }

    /// Whether a process works on it at this moment.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.dir.is_live()
    }
}

/// The plan with what its loops turned out to go over.
fn expanded(plan: Arc<Plan>, records: &[Record]) -> Arc<Plan> {
    records.iter().fold(plan, |plan, record| {
        let grown = crate::plan::grown_by(&plan, &record.event.kind);
        grown.map_or(plan, |(grown, _)| Arc::new(grown))
    })
}

/// The plan that a run carries out.
///
/// # Errors
/// [`PastError::Plan`].
pub fn read_plan(dir: &RunDir) -> Result<Arc<Plan>, PastError> {
    let failed = |reason: String| PastError::Plan { run: dir.id(), reason };
    let bytes = std::fs::read(dir.plan()).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&bytes).map(Arc::new).map_err(|error| failed(error.to_string()))
}
