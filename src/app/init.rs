//! `dr init`: a runbook to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Runbooks to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// The smallest one that shows how a runbook is made.
    First,
    /// Move to a standby.
    Failover,
    /// Restore from a backup.
    Restore,
    /// Take a backup and prove it.
    Backup,
    /// Break something on purpose, and recover.
    GameDay,
}

impl Template {
    /// Name of its file, and its text.
    #[must_use]
    pub fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::First => ("first.yaml", include_str!("templates/first.yaml")),
            Self::Failover => ("failover.yaml", include_str!("templates/failover.yaml")),
            Self::Restore => ("restore.yaml", include_str!("templates/restore.yaml")),
            Self::Backup => ("backup.yaml", include_str!("templates/backup.yaml")),
            Self::GameDay => ("game-day.yaml", include_str!("templates/game-day.yaml")),
        }
    }
}

/// Writes a template into a folder, which is made if it is not there. What exists is never touched.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] for a file of that name, and what the system says; with the
/// path it is about.
pub fn write(template: Template, folder: &Path) -> Result<PathBuf, (PathBuf, io::Error)> {
    let (name, text) = template.file();
    fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    let path = folder.join(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| (path.clone(), error))?;
    file.write_all(text.as_bytes()).map_err(|error| (path.clone(), error))?;
    Ok(path)
}
