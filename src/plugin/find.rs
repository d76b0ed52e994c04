use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use dr_plugin::{Manifest, PROTOCOL};

use crate::id::{Digest, Digester};

/// A manifest larger than this is not read.
const MANIFEST: u64 = 8 << 20;

/// An executable plugin with the manifest that lies beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The executable, `dr-plugin-NAME`.
    pub path: PathBuf,
    /// Digest of the executable.
    pub sha256: Digest,
    /// What it offers, from `dr-plugin-NAME.json`.
    pub manifest: Manifest,
}

/// Why an executable that is there cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum FindError {
    /// Its manifest is missing or cannot be read.
    #[error("plugin {path} has no usable manifest: {reason}", path = path.display())]
    #[diagnostic(
        code(DR3311),
        help("make one with `{path} manifest > {path}.json`", path = path.display())
    )]
    Manifest {
        /// The executable.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It speaks another version of the protocol.
    #[error("plugin {path} speaks version {protocol} of the plugin protocol, dr speaks {PROTOCOL}", path = path.display())]
    #[diagnostic(code(DR3312), help("install the plugin that belongs to this version of dr"))]
    Protocol {
        /// The executable.
        path: PathBuf,
        /// What it speaks.
        protocol: u32,
    },
    /// The executable cannot be read.
    #[error("plugin {path} cannot be read: {source}", path = path.display())]
    #[diagnostic(code(DR3313), help("put it back where it was planned with"))]
    Executable {
        /// The executable.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// The folders in which executable plugins are looked for, in order: those of `$DR_PLUGIN_PATH`,
/// the program's own, those of `$PATH`; never the working directory.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "where plugins are is told by the environment")]
pub fn folders() -> Vec<PathBuf> {
    let listed = |name: &str| -> Vec<PathBuf> {
        std::env::var_os(name)
            .map(|list| std::env::split_paths(&list).collect())
            .unwrap_or_default()
    };
    let mut folders = listed("DR_PLUGIN_PATH");
    let own = std::env::current_exe().ok();
    folders.extend(own.as_deref().and_then(Path::parent).map(Path::to_owned));
    folders.extend(listed("PATH"));
    // A relative folder would depend on where dr is started.
    folders.retain(|folder| folder.is_absolute());
    folders
}

/// The plugin `name` in the first of `folders` that has its executable. Starts nothing.
///
/// `known` is what it offers where no manifest lies beside it.
///
/// # Errors
/// [`FindError`]: it is there and cannot be used.
pub fn find(
    name: &str,
    folders: &[PathBuf],
    known: Option<&Manifest>,
) -> Result<Option<Found>, FindError> {
    let file = format!("dr-plugin-{name}");
    match folders.iter().map(|folder| folder.join(&file)).find(|path| is_executable(path)) {
        Some(path) => examine(name, path, known).map(Some),
        None => Ok(None),
    }
}

/// Names of all executable plugins in `folders`, each once, sorted.
#[must_use]
pub fn names(folders: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_prefix("dr-plugin-")?.to_owned();
            (crate::id::check_name(&name).is_ok() && is_executable(&entry.path())).then_some(name)
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Digest of an executable's content.
///
/// # Errors
/// The system's.
pub fn digest(path: &Path) -> io::Result<Digest> {
    let mut hash = Digester::default();
    io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok(hash.finish())
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn examine(name: &str, path: PathBuf, known: Option<&Manifest>) -> Result<Found, FindError> {
    let mut beside = path.clone().into_os_string();
    beside.push(OsString::from(".json"));
    let unusable = |reason: String| FindError::Manifest { path: path.clone(), reason };
    let read = |file: &Path| -> io::Result<Vec<u8>> {
        let size = std::fs::metadata(file)?.len();
        if size > MANIFEST {
            return Err(io::Error::other("it is larger than 8 MiB"));
        }
        std::fs::read(file)
    };
    let manifest: Manifest = match (read(Path::new(&beside)), known) {
        (Ok(bytes), _) => {
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?
        }
        (Err(error), Some(known)) if error.kind() == io::ErrorKind::NotFound => known.clone(),
        (Err(error), _) => return Err(unusable(error.to_string())),
    };
    if manifest.name != name {
        return Err(unusable(format!("it is that of `{}`", manifest.name)));
    }
    if manifest.protocol != PROTOCOL {
        return Err(FindError::Protocol { path, protocol: manifest.protocol });
    }
    match digest(&path) {
        Ok(sha256) => Ok(Found { path, sha256, manifest }),
        Err(source) => Err(FindError::Executable { path, source }),
    }
}
