use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::file::sync_parent;
use super::run_dir::file_name;
use super::{Holder, LockError, RunDir, RunLock, write_new};
use crate::id::RunId;

/// A run is not started with less room than this on the file system of the state, in bytes.
const LEAST_FREE: u64 = 16 << 20;

/// Why the state of runs cannot be kept. Nothing is done that could not be recorded.
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
pub enum StateError {
    /// The folder cannot be made or written.
    #[error("cannot write the state directory {path}: {source}", path = path.display())]
    #[diagnostic(
        code(DR3120),
        help("name another one with `--state-dir` or DR_STATE_DIR; nothing was started")
    )]
    NotWritable {
        /// What could not be written.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// The disk is as good as full.
    #[error("only {} KiB are free for the state directory {path}", free / 1024, path = path.display())]
    #[diagnostic(
        code(DR3121),
        help("free at least 16 MiB, or name another one with `--state-dir`; nothing was started")
    )]
    NoSpace {
        /// The state directory.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
    },
}

/// Files that a new run starts with.
#[derive(Debug, Clone, Default)]
pub struct NewRun<'a> {
    /// `plan.json`.
    pub plan: &'a [u8],
    /// Files of `runbook/` by relative path.
    pub runbook: Vec<(PathBuf, &'a [u8])>,
}

/// Makes runs and locks in a state directory (`.dr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStore {
    root: PathBuf,
}

impl RunStore {
    /// The runs in the state directory `root`. Touches nothing.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all runs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The folder of one run. Touches nothing.
    #[must_use]
    pub fn run(&self, id: &RunId) -> RunDir {
        RunDir::new(self.runs().join(id.as_str()))
    }

    /// Makes the folder where it is missing and finds out whether runs can be recorded in it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn prepare(&self) -> Result<(), StateError> {
        let failed = |source| self.unwritable(&self.root, source);
        make_dir(&self.root).map_err(failed)?;
        make_dir(&self.runs()).map_err(failed)?;
        make_dir(&self.root.join("locks")).map_err(failed)?;
        let ignore = self.root.join(".gitignore");
        if !ignore.exists() {
            allow_existing(write_new(&ignore, b"*\n")).map_err(failed)?;
        }
        let probe = self.runs().join(format!(".probe-{}", std::process::id()));
        let probed = write_new(&probe, b"x");
        let _ = fs::remove_file(&probe);
        allow_existing(probed).map_err(failed)?;
        let system = rustix::fs::statvfs(&self.root).map_err(|error| failed(error.into()))?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        if free < LEAST_FREE {
            return Err(StateError::NoSpace { path: self.root.clone(), free });
        }
        Ok(())
    }

    /// Makes the folder of a new run, whole or not at all.
    ///
    /// # Errors
    /// [`StateError`]; a run of this id exists already.
    pub fn create_run(&self, id: &RunId, files: &NewRun<'_>) -> Result<RunDir, StateError> {
        self.prepare()?;
        let made = self.runs().join(format!(".new-{id}"));
        let dir = self.run(id);
        let create = || -> io::Result<()> {
            DirBuilder::new().mode(0o700).create(&made)?;
            let new = RunDir::new(&made);
            make_dir(&new.inbox())?;
            make_dir(&new.outputs())?;
            make_dir(&new.runbook())?;
            write_new(&new.plan(), files.plan)?;
            for (path, bytes) in &files.runbook {
                if !path.components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(io::Error::other(format!("{} leaves its folder", path.display())));
                }
                let path = new.runbook().join(path);
                if let Some(parent) = path.parent() {
                    make_dir(parent)?;
                }
                write_new(&path, bytes)?;
            }
            for folder in [new.path(), &new.runbook()] {
                File::open(folder)?.sync_all()?;
            }
            if dir.path().exists() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(&made, dir.path())?;
            sync_parent(dir.path())
        };
        create().map_err(|source| {
            let _ = fs::remove_dir_all(&made);
            self.unwritable(dir.path(), source)
        })?;
        Ok(dir)
    }

    /// Takes the lock of a runbook in an environment.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn lock(
        &self,
        runbook: &str,
        environment: &str,
        holder: &Holder,
    ) -> Result<RunLock, LockError> {
        let name = format!("{}@{}.lock", file_name(runbook), file_name(environment));
        let path = self.root.join("locks").join(name);
        RunLock::acquire(&path, &format!("{runbook}@{environment}"), holder)
    }

    /// Takes a lock that runbooks name, whatever runbook and environment it is taken for.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn named_lock(&self, name: &str, holder: &Holder) -> Result<RunLock, LockError> {
        let path = self.root.join("locks").join(format!("{}.lock", file_name(name)));
        RunLock::acquire(&path, &format!("`{name}`"), holder)
    }

    fn unwritable(&self, path: &Path, source: io::Error) -> StateError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StateError::NoSpace { path: self.root.clone(), free: 0 }
            }
            _ => StateError::NotWritable { path: path.to_owned(), source: Arc::new(source) },
        }
    }
}

/// Makes a folder, for its owner only, with those above it, where it is missing.
fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Another process that was faster is no error.
fn allow_existing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
