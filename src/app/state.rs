//! Where state lives, and how a run is named.

use std::path::{Path, PathBuf};

use super::folder::as_typed;
use crate::id::RunId;
use crate::journal::{LockError, RunDir, RunStore};
use crate::view::quote;

/// The folder that holds runs, locks and history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The directory, if a command typed where this one was has to name it.
    #[must_use]
    pub fn to_name(&self) -> Option<PathBuf> {
        to_name(self.path().canonicalize().unwrap_or_else(|_| self.path().to_owned()))
    }

    /// The folder given, else `.dr` at the top of the git repository that holds `near`, else `.dr`
    /// beside it.
    ///
    /// `near` is a runbook's file, or the current folder where no runbook is named.
    #[must_use]
    pub fn resolve(given: Option<&Path>, near: &Path) -> Self {
        if let Some(given) = given {
            return Self(given.to_owned());
        }
        let near = near.canonicalize().unwrap_or_else(|_| near.to_owned());
        let folder =
            if near.is_dir() { near.as_path() } else { near.parent().unwrap_or(Path::new(".")) };
        let top = folder.ancestors().find(|folder| folder.join(".git").exists());
        Self(top.unwrap_or(folder).join(".dr"))
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its runs and locks.
    #[must_use]
    pub fn store(&self) -> RunStore {
        RunStore::new(&self.0)
    }

    /// Whether the runs can be listed: a folder that is not there yet holds none.
    ///
    /// # Errors
    /// [`NoRun::Unreadable`].
    pub fn readable(&self) -> Result<(), NoRun> {
        let folder = self.store().runs();
        match std::fs::read_dir(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(NoRun::Unreadable { folder, why: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Every run, oldest first: ids begin with the second of the start, the plan is written then.
    #[must_use]
    pub fn list(&self) -> Vec<RunId> {
        let Ok(entries) = std::fs::read_dir(self.store().runs()) else { return Vec::new() };
        let mut runs: Vec<_> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let plan = std::fs::metadata(entry.path().join("plan.json")).ok()?;
                let id = entry.file_name().into_string().ok()?;
                let second = id.get(..STAMP).unwrap_or(&id).to_owned();
                plan.is_file().then(|| (second, plan.modified().ok(), RunId::from(id)))
            })
            .collect();
        runs.sort();
        runs.into_iter().map(|(.., run)| run).collect()
    }

    /// The run that `name` means: an id, a unique beginning of one, or `last`.
    ///
    /// # Errors
    /// No such run, or several.
    pub fn find(&self, name: &str) -> Result<RunDir, NoRun> {
        let run = self.find_id(name)?;
        Ok(self.store().run(&run))
    }

    fn find_id(&self, name: &str) -> Result<RunId, NoRun> {
        self.readable()?;
        let runs = self.list();
        if name == "last" {
            return runs.last().cloned().ok_or_else(|| NoRun::Empty(self.0.clone()));
        }
        if let Some(run) = runs.iter().find(|run| run.as_str() == name) {
            return Ok(run.clone());
        }
        let mut matching = runs.iter().filter(|run| run.as_str().starts_with(name));
        match (matching.next(), matching.next()) {
            (Some(run), None) => Ok(run.clone()),
            (None, _) => Err(NoRun::Unknown { name: name.to_owned(), folder: self.0.clone() }),
            (Some(first), Some(second)) => Err(NoRun::Several {
                name: name.to_owned(),
                first: first.clone(),
                second: second.clone(),
            }),
        }
    }
}

/// Bytes of an id that tell the second of the start: `20261121T035326Z`.
const STAMP: usize = 16;

/// The folder as an option of a command, if it has to be named.
fn option(folder: &Path) -> String {
    let folder = StateDir(folder.to_owned()).to_name();
    folder
        .map_or_else(String::new, |it| format!(" --state-dir {}", quote(&it.display().to_string())))
}

/// Why a name means no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum NoRun {
    /// There are no runs at all.
    #[error("no run was ever started here: {} holds none", .0.display())]
    #[diagnostic(code(DR3001), help("`--state-dir` names another folder"))]
    Empty(PathBuf),
    /// There may be some, and this user cannot see them.
    #[error("cannot read {}: {why}", folder.display())]
    #[diagnostic(
        code(DR3001),
        help(
            "only the user who started its runs can look at them; `--state-dir` names another folder"
        )
    )]
    Unreadable {
        /// The folder of the runs.
        folder: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// None of that name.
    #[error("there is no run `{name}` in {}", folder.display())]
    #[diagnostic(
        code(DR3001),
        help(
            "`dr runs{named}` lists them; `--state-dir` names another folder",
            named = option(folder)
        )
    )]
    Unknown {
        /// As given.
        name: String,
        /// Where it was sought.
        folder: PathBuf,
    },
    /// The beginning is not unique.
    #[error("`{name}` may mean {first} or {second}")]
    #[diagnostic(code(DR3001), help("give more of the id"))]
    Several {
        /// As given.
        name: String,
        /// One that matches.
        first: RunId,
        /// Another that matches.
        second: RunId,
    },
}

/// The state directory of a run, if a command typed where this one was has to name it.
#[must_use]
pub fn dir_to_name(run: &RunDir) -> Option<PathBuf> {
    let folder = run.path().parent()?.parent()?;
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    to_name(folder)
}

fn to_name(folder: PathBuf) -> Option<PathBuf> {
    (StateDir::resolve(None, &as_typed(Path::new("."))).path() != folder).then_some(folder)
}

/// The run that has a lock of this state directory, as a command of a shell names it.
#[must_use]
pub fn holder(lock: &LockError, state: &StateDir) -> String {
    match lock {
        LockError::Held { holder: Some(holder), .. } => spoken(&state.store().run(&holder.run)),
        _ => format!("{} last", option(state.path())).trim_start().to_owned(),
    }
}

/// A run as a command of a shell names it.
#[must_use]
pub fn spoken(run: &RunDir) -> String {
    let id = run.id();
    match dir_to_name(run) {
        Some(folder) => format!("--state-dir {} {id}", quote(&folder.display().to_string())),
        None => id.to_string(),
    }
}

/// A new run's id: when it starts, what it runs, and four random hexadecimal digits.
#[must_use]
pub fn new_run_id(at: crate::time::Timestamp, runbook: &str, random: u16) -> RunId {
    let time = at.strftime("%Y%m%dT%H%M%SZ");
    RunId::from(format!("{time}-{runbook}-{random:04x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_found() {
        let temp = tempfile::tempdir().expect("a folder");
        let deep = temp.path().join("repo/runbooks");
        std::fs::create_dir_all(&deep).expect("folders");
        std::fs::create_dir(temp.path().join("repo/.git")).expect("a folder");
        std::fs::write(deep.join("a.yaml"), "").expect("a file");
        let real = temp.path().canonicalize().expect("a path");
        let resolve = |given: Option<&str>, near: &Path| {
            StateDir::resolve(given.map(Path::new), near).path().to_owned()
        };
        assert_eq!(resolve(None, &deep.join("a.yaml")), real.join("repo/.dr"));
        assert_eq!(resolve(Some("x"), &deep.join("a.yaml")), Path::new("x"));
        let lone = temp.path().join("lone.yaml");
        std::fs::write(&lone, "").expect("a file");
        assert_eq!(resolve(None, &lone), real.join(".dr"));
    }

    #[test]
    fn runs_are_found_by_their_beginning() {
        let temp = tempfile::tempdir().expect("a folder");
        let state = StateDir::resolve(Some(temp.path()), Path::new("."));
        assert!(matches!(state.find("last"), Err(NoRun::Empty(_))));
        for run in ["20260101T000000Z-a-0001", "20260102T000000Z-a-0002"] {
            let folder = state.store().runs().join(run);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("plan.json"), "{}").expect("a file");
        }
        assert_eq!(state.find("last").expect("a run").id().as_str(), "20260102T000000Z-a-0002");
        assert_eq!(state.find("20260101").expect("a run").id().as_str(), "20260101T000000Z-a-0001");
        assert!(matches!(state.find("2026"), Err(NoRun::Several { .. })));
        assert!(matches!(state.find("x"), Err(NoRun::Unknown { .. })));
        let unreadable = temp.path().join("other");
        std::fs::create_dir(&unreadable).expect("a folder");
        std::fs::write(unreadable.join("runs"), "").expect("a file");
        let state = StateDir::resolve(Some(&unreadable), Path::new("."));
        assert!(matches!(state.find("last"), Err(NoRun::Unreadable { .. })));
    }

    #[test]
    fn ids_sort_by_start() {
        let at: crate::time::Timestamp = "2026-11-20T03:12:07.25Z".parse().expect("a timestamp");
        assert_eq!(new_run_id(at, "shop", 0x4f3a).as_str(), "20261120T031207Z-shop-4f3a");
    }
}
