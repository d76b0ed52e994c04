//! The evidence of a run: computed, written at the end of a session, and completed afterwards where
//! that did not come about.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::past::read_plan;
use super::start::hold_run;
use super::state::spoken;
use super::verify::planned;
use crate::bundle::{self, BundleError};
use crate::event::EventKind;
use crate::evidence::{self, Evidence, Gathering, JournalHead};
use crate::journal::{self, JournalError, LockError, Replay, RunDir};
use crate::plan::Plan;
use crate::time::Timestamp;

/// Why evidence could not be written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum EvidenceError {
    /// The journal cannot be read back.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Journal(#[from] JournalError),
    /// A file cannot be written. The run itself is not touched by that: its journal holds
    /// everything.
    #[error("{source}")]
    #[diagnostic(
        code(DR4001),
        help(
            "nothing is lost: once there is room and permission, `dr report {run}` completes the \
             evidence from the journal"
        )
    )]
    Bundle {
        /// Which file, and why.
        source: BundleError,
        /// The run as a command names it.
        run: String,
    },
}

impl EvidenceError {
    fn of(dir: &RunDir) -> impl FnOnce(BundleError) -> Self {
        let run = spoken(dir);
        move |source| Self::Bundle { source, run }
    }
}

/// Writes `evidence.json`, `report.md` and the sums of the run's files, from its plan and journal
/// alone.
///
/// # Errors
/// [`EvidenceError`].
pub fn keep_evidence(dir: &RunDir, plan: &Arc<Plan>) -> Result<(), EvidenceError> {
    let mut gathering = Gathering::new(plan);
    let replay = journal::scan(&dir.journal(), true, |record| gathering.take(&record))?;
    if let Some(evidence) = gathering.evidence(&head_of(&replay)) {
        // The process ends with it: taking a large one apart first takes longer than writing it.
        bundle::write(dir.path(), &ManuallyDrop::new(evidence)).map_err(EvidenceError::of(dir))?;
    }
    Ok(())
}

/// What a run proves; `None` before its first record.
#[must_use]
pub fn evidence_of(plan: &Arc<Plan>, replay: &Replay) -> Option<Evidence> {
    evidence::build(plan, &replay.records, &head_of(replay))
}

fn head_of(replay: &Replay) -> JournalHead {
    JournalHead { count: replay.head.seq, sum: replay.head.sum().to_owned() }
}

/// What the evidence of a run lacks that plan and journal give: its last session was over, and was
/// kept from writing it by a full disk or its end. Nothing where plan or journal are not what they
/// were.
#[must_use]
pub fn lacking(dir: &RunDir, plan: &Arc<Plan>, replay: &Replay) -> Vec<&'static str> {
    if bundle::is_whole(dir.path()).unwrap_or(true) {
        return Vec::new();
    }
    let Some(evidence) = to_complete(plan, replay) else { return Vec::new() };
    bundle::lacking(dir.path(), &evidence).map(|lacking| lacking.files).unwrap_or_default()
}

/// Makes what the evidence of a run lacks, and gives the names of these files; nothing while
/// somebody works on the run. What is there and was summed is never written again: if it was
/// changed, that is to be found.
///
/// # Errors
/// [`EvidenceError`].
pub fn complete(dir: &RunDir, now: Timestamp) -> Result<Vec<&'static str>, EvidenceError> {
    let failed = || EvidenceError::of(dir);
    if bundle::is_whole(dir.path()).map_err(failed())? {
        return Ok(Vec::new());
    }
    let Ok(plan) = read_plan(dir) else { return Ok(Vec::new()) };
    if lacking(dir, &plan, &journal::read(&dir.journal(), true)?).is_empty() {
        return Ok(Vec::new());
    }
    let _lock = match hold_run(dir, now) {
        Ok(lock) => lock,
        Err(LockError::Held { .. }) => return Ok(Vec::new()),
        Err(LockError::Io { path, source }) => {
            let source = std::io::Error::new(source.kind(), source.to_string());
            return Err(failed()(BundleError { path, source }));
        }
    };
    // Somebody may have gone on with it before the lock was had.
    let Some(evidence) = to_complete(&plan, &journal::read(&dir.journal(), true)?) else {
        return Ok(Vec::new());
    };
    bundle::complete(dir.path(), &evidence).map_err(failed())
}

fn to_complete(plan: &Arc<Plan>, replay: &Replay) -> Option<Evidence> {
    let holds = replay.lost.is_none() && replay.torn.is_none() && replay.unknown.is_empty();
    let last = replay.records.last().map(|record| &record.event.kind);
    let is_over = matches!(last, Some(EventKind::RunFinished(_) | EventKind::RunPaused { .. }));
    if holds && is_over && planned(plan, replay).is_empty() {
        return evidence_of(plan, replay);
    }
    None
}
