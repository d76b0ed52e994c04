//! Files as git keeps them: `REV:PATH` is read from the repository itself. No process is started
//! and nothing is fetched.

mod delta;
mod objects;
mod pack;
mod refs;
mod repository;

use std::path::{Path, PathBuf};

pub use repository::Repository;

/// Why a file cannot be read from git.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum GitError {
    /// There is no repository.
    #[error("there is no git repository at {} or above it", .0.display())]
    #[diagnostic(
        code(DR2211),
        help("`REV:PATH` names a file of the repository of the current folder")
    )]
    NoRepository(PathBuf),
    /// No commit of this name.
    #[error("`{0}` names no commit here")]
    #[diagnostic(
        code(DR2212),
        help("name a branch, a tag or a commit; in a shallow clone, fetch it first (`git fetch`)")
    )]
    Revision(String),
    /// An object is not there, or not as it should be.
    #[error("the repository cannot be read: {0}")]
    #[diagnostic(
        code(DR2213),
        help(
            "a shallow or partial clone lacks objects: `git fetch` brings them; `git fsck` checks the rest"
        )
    )]
    Object(String),
}

impl GitError {
    fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Object(what.to_string())
    }
}

/// The file `path` of the commit `revision`; none if the commit has no such file. A path that
/// begins with `./` or `../` counts from `folder`, others from the top of the repository.
///
/// # Errors
/// [`GitError`].
pub fn read(folder: &Path, revision: &str, path: &str) -> Result<Option<Vec<u8>>, GitError> {
    let repository = Repository::discover(folder)?;
    let commit = repository.commit(revision)?;
    let path = repository.from_top(folder, path);
    match path {
        Some(path) => repository.file(&commit, &path),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
