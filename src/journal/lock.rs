use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::time::{Timestamp, ToSecond};

/// [`is_held`] takes the lock for an instant, and a new holder needs one to say who it is: a lock
/// counts as held by somebody else only after it was tried so often,
const PATIENCE: u32 = 5;
/// so far apart.
const PAUSE: Duration = Duration::from_millis(10);

/// Who holds a lock, as told to whoever else wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run it is held for.
    pub run: RunId,
    /// Login name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { run, user, host, pid, since } = self;
        write!(f, "run {run} by {user}@{host} (process {pid}) since {}", ToSecond(*since))
    }
}

/// Why a lock was not had.
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{what} is locked by {}", holder.as_ref().map_or_else(|| "another process".to_owned(), ToString::to_string))]
    #[diagnostic(
        code(DR3110),
        help("the lock goes with its process, and it covers this machine only")
    )]
    Held {
        /// What it protects: `shop_failover@production`, or a run.
        what: String,
        /// Who, if the holder has said so.
        holder: Option<Box<Holder>>,
    },
    /// It could not be tried.
    #[error("cannot lock {path}: {source}", path = path.display())]
    #[diagnostic(code(DR3111))]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
}

/// A lock of this machine, held until it is dropped or its process ends, however it ends. The
/// file stays: removing it would let two processes hold two locks of one name.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl RunLock {
    /// Takes the lock at `path` without waiting and says who holds it. `what` names it for people.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire(path: &Path, what: &str, holder: &Holder) -> Result<Self, LockError> {
        let failed = |error| LockError::Io { path: path.to_owned(), source: Arc::new(error) };
        let mut file = open(path).map_err(failed)?;
        for patience in (0..PATIENCE).rev() {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if patience > 0 => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let holder = std::fs::read(path).ok();
                    let holder = holder.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                    return Err(LockError::Held { what: what.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        let line = serde_json::to_vec(holder).map_err(|error| failed(error.into()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&line))
            .map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // An old name in the file does no harm: it is only read while the lock is held.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Whether a process holds the lock at `path` at this moment.
#[must_use]
pub fn is_held(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
