//! The folder that a run works in: relative paths in its steps and of its secrets' files begin there,
//! in every session.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the command was typed, if the process has gone to a run's folder since. Like the current
/// folder itself it belongs to the process.
static TYPED: OnceLock<PathBuf> = OnceLock::new();

/// The folder that a run was started in cannot be entered.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the run works in {folder}, which cannot be entered: {source}")]
#[diagnostic(
    code(DR3004),
    help(
        "bring the folder back and resume again; nothing was done. To go on elsewhere, start a new run"
    )
)]
pub struct FolderError {
    folder: String,
    source: io::Error,
}

/// The current folder, for a run that is started in it; none if it is gone or its path is no text.
#[must_use]
pub fn current() -> Option<String> {
    std::env::current_dir().ok()?.into_os_string().into_string().ok()
}

/// Goes to the folder that a run was started in. Only before anything else is started: the folder
/// is the whole process's. Paths that were given must be absolute by then.
///
/// # Errors
/// [`FolderError`].
pub fn enter(folder: &str) -> Result<(), FolderError> {
    if current().as_deref() == Some(folder) {
        return Ok(());
    }
    let typed = std::env::current_dir();
    std::env::set_current_dir(folder)
        .map_err(|source| FolderError { folder: folder.to_owned(), source })?;
    if let Ok(typed) = typed {
        let _ = TYPED.set(typed);
    }
    Ok(())
}

/// `path` as whoever typed the command meant it.
#[must_use]
pub fn as_typed(path: &Path) -> PathBuf {
    TYPED.get().map_or_else(|| path.to_owned(), |typed| typed.join(path))
}
