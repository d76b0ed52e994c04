use std::io;
use std::path::{Path, PathBuf};

/// The evidence could not be written. The run itself is not touched by that: its journal holds
/// everything, and the evidence can be computed from it again.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the evidence at {}: {source}", path.display())]
pub struct BundleError {
    /// What could not be read or written.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl BundleError {
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}
