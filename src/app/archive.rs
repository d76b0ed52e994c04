//! Past runs of a state directory, for history.

use std::path::{Path, PathBuf};

use super::past::Past;
use super::state::StateDir;
use crate::history::{self, Durations, Reader};
use crate::id::RunId;
use crate::planner::Estimates;
use crate::runbook::Document;
use crate::view::Phase;
use crate::words::Mode;

/// Why there are no past runs to be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ArchiveError {
    /// What is named as a state folder is none.
    #[error("there is no folder {} to take past runs from", .0.display())]
    #[diagnostic(
        code(DR2221),
        help("name a state folder, such as `.dr`; `--history none` plans without past runs")
    )]
    NoFolder(PathBuf),
}

/// Whether a folder that a person names can be read. One that nobody names need not be there.
///
/// # Errors
/// [`ArchiveError::NoFolder`].
pub fn require(state: &Path) -> Result<(), ArchiveError> {
    match std::fs::read_dir(state) {
        Ok(_) => Ok(()),
        Err(_) => Err(ArchiveError::NoFolder(state.to_owned())),
    }
}

/// Reads the runs of a state directory, all or those of one runbook.
pub struct Archive<'a> {
    state: &'a StateDir,
    runbook: Option<&'a str>,
}

impl<'a> Archive<'a> {
    /// Every run.
    #[must_use]
    pub fn new(state: &'a StateDir) -> Self {
        Self { state, runbook: None }
    }

    /// Only runs of this runbook: an id names it, so the others are not even opened.
    #[must_use]
    pub fn of(state: &'a StateDir, runbook: &'a str) -> Self {
        Self { state, runbook: Some(runbook) }
    }
}

impl Reader for Archive<'_> {
    fn runs(&self) -> Result<Vec<RunId>, String> {
        let mut runs = self.state.list();
        if let Some(runbook) = self.runbook {
            runs.retain(|run| name_in(run.as_str()) == Some(runbook));
        }
        Ok(runs)
    }

    fn load(&self, run: &RunId) -> Result<history::Past, String> {
        let past = Past::read(self.state.store().run(run), true).map_err(|it| it.to_string())?;
        let (alive, damage) = (past.is_live(), past.damage());
        Ok(history::Past { plan: past.plan, records: past.replay.records, alive, damage })
    }
}

/// The last run of a runbook in its environment, if it was interrupted: its process ended without
/// a word, and what it had started may still be at work.
#[must_use]
pub fn interrupted(state: &StateDir, runbook: &str, environment: &str) -> Option<Past> {
    let runs = Archive::of(state, runbook).runs().unwrap_or_default();
    let read = |run: &RunId| Past::read(state.store().run(run), true).ok();
    let last =
        runs.iter().rev().filter_map(read).find(|past| past.plan.environment == environment)?;
    (!last.is_live() && *last.view().phase() == Phase::Open).then_some(last)
}

/// The runbook's name in a run's id, between the moment and the random digits.
fn name_in(run: &str) -> Option<&str> {
    Some(run.split_once('-')?.1.rsplit_once('-')?.0)
}

/// The environment that a plan is for: the one given, else the default or only one.
#[must_use]
pub fn environment<'a>(document: &'a Document, given: Option<&'a str>) -> &'a str {
    let named = &document.environments;
    let default = || named.iter().find(|(_, it)| it.default).or_else(|| named.first());
    given.or_else(|| default().map(|(name, _)| name.as_str())).unwrap_or("default")
}

/// What past runs of a runbook in an environment tell about durations.
#[must_use]
pub fn estimates(state: &Path, runbook: &str, environment: &str, mode: Mode) -> Estimates {
    let state = StateDir::resolve(Some(state), Path::new("."));
    let read = Durations::read(&Archive::of(&state, runbook));
    read.map_or_else(
        |_| Estimates::default(),
        |(durations, _)| Estimates::of(durations.runs(runbook, environment, mode).to_vec()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_names_its_runbook() {
        assert_eq!(name_in("20260101T000000Z-shop_failover-4f3a"), Some("shop_failover"));
        assert_eq!(name_in("x"), None);
    }
}
