//! Secrets that must outlive a crash, in files that only the holder of an identity can read.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use age::x25519::Identity;
use dr_plugin::Secret;
use zeroize::Zeroizing;

/// Ends the name of every file.
const END: &str = ".age";

/// Why a secret could not be kept or read back. Never says what it is.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum VaultError {
    /// There is no identity.
    #[error("there is no identity at {}", path.display())]
    #[diagnostic(
        code(DR3203),
        help(
            "secrets that a run captures or generates are kept for its resumes, encrypted to an age \
             identity outside the state directory: make one with `age-keygen -o {}`, or name another \
             file in DR_IDENTITY",
            path.display()
        )
    )]
    NoIdentity {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// What is there is no identity.
    #[error("{} is no age identity: {why}", path.display())]
    #[diagnostic(
        code(DR3203),
        help("a line of it begins with `AGE-SECRET-KEY-1`; `age-keygen -o FILE` makes one")
    )]
    BadIdentity {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A sealed secret cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    #[diagnostic(code(DR3203), help("see whether the folder can be written, and resume"))]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A sealed secret was sealed for another identity, or is damaged.
    #[error("{} cannot be opened: {why}", path.display())]
    #[diagnostic(
        code(DR3203),
        help("name the identity that the run was started with in DR_IDENTITY")
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// The sealed secrets of one run.
pub struct Vault {
    folder: PathBuf,
    identity: Identity,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Reads the first identity of a file as `age-keygen` writes it.
///
/// # Errors
/// [`VaultError::NoIdentity`], [`VaultError::BadIdentity`].
pub fn read_identity(path: &Path) -> Result<Identity, VaultError> {
    let bad = |why: String| VaultError::BadIdentity { path: path.to_owned(), why };
    let text = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VaultError::NoIdentity { path: path.to_owned() });
        }
        Err(error) => return Err(bad(error.to_string())),
    };
    let text = std::str::from_utf8(&text).map_err(|_| bad("it is no text".to_owned()))?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let line = line.ok_or_else(|| bad("it is empty".to_owned()))?;
    line.parse::<Identity>().map_err(|why| bad(why.to_owned()))
}

impl Vault {
    /// The sealed secrets in `folder`, which is made when the first one is kept.
    #[must_use]
    pub fn new(folder: PathBuf, identity: Identity) -> Self {
        Self { folder, identity }
    }

    /// Keeps a secret. It is on disk when this returns.
    ///
    /// # Errors
    /// [`VaultError::File`].
    pub fn put(&self, name: &str, secret: &Secret) -> Result<(), VaultError> {
        let path = self.path(name);
        let failed = |what| {
            let path = path.clone();
            move |source| VaultError::File { what, path, source }
        };
        let sealed = age::encrypt(&self.identity.to_public(), secret.expose().as_bytes())
            .map_err(|error| failed("seal")(io::Error::other(error)))?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(failed("make the folder of"))?;
        let aside = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed("write"))
    }

    /// A secret that was kept; none of this name is `None`.
    ///
    /// # Errors
    /// [`VaultError::File`], [`VaultError::Sealed`].
    pub fn get(&self, name: &str) -> Result<Option<Secret>, VaultError> {
        let path = self.path(name);
        let sealed = match fs::read(&path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(VaultError::File { what: "read", path, source }),
        };
        let opened = age::decrypt(&self.identity, &sealed).map(Zeroizing::new);
        let opened = opened
            .map_err(|error| VaultError::Sealed { path: path.clone(), why: error.to_string() })?;
        let text = std::str::from_utf8(&opened)
            .map_err(|_| VaultError::Sealed { path, why: "it is no text".to_owned() })?;
        Ok(Some(Secret::new(text)))
    }

    /// The names of all that was kept.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let files =
            entries.filter_map(Result::ok).filter_map(|it| it.file_name().into_string().ok());
        let mut names: Vec<String> =
            files.filter_map(|file| file.strip_suffix(END).map(unescape)).collect();
        names.sort();
        names
    }

    /// Removes everything: the run is over for good.
    ///
    /// # Errors
    /// [`VaultError::File`].
    pub fn clear(&self) -> Result<(), VaultError> {
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(VaultError::File { what: "remove", path: self.folder.clone(), source })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(escape(name) + END)
    }
}

/// As the name of a file: what could leave the folder is written as `%2F`.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for char in name.chars() {
        if char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '@' | '!' | '#') {
            escaped.push(char);
        } else {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

fn unescape(file: &str) -> String {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(byte) => bytes.push(byte),
            None => return file.to_owned(),
        }
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn vault(folder: &Path) -> Vault {
        Vault::new(folder.join("sealed"), Identity::generate())
    }

    #[test]
    fn what_is_kept_is_read_back_and_cannot_be_read_without_the_identity() {
        let folder = tempfile::tempdir().unwrap();
        let mut vault = vault(folder.path());
        assert!(vault.get("x").unwrap().is_none() && vault.names().is_empty());
        for name in ["new_password", "rotate@db/1.password", "../x"] {
            vault.put(name, &Secret::new("s3cret wörd")).unwrap();
            assert_eq!(vault.get(name).unwrap().unwrap().expose(), "s3cret wörd");
        }
        assert_eq!(vault.names(), ["../x", "new_password", "rotate@db/1.password"]);
        for entry in fs::read_dir(folder.path().join("sealed")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(6).any(|part| part == b"s3cret"));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing left its folder");
        vault.identity = Identity::generate();
        assert!(matches!(vault.get("new_password"), Err(VaultError::Sealed { .. })));
        vault.clear().unwrap();
        vault.clear().unwrap();
        assert!(vault.names().is_empty());
    }

    #[test]
    fn identities_are_read_as_they_are_made() {
        use age::secrecy::ExposeSecret as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        assert!(matches!(read_identity(&path), Err(VaultError::NoIdentity { .. })));
        let identity = Identity::generate();
        let text = format!(
            "# created: 2026-11-21\n# public key: {}\n{}\n",
            identity.to_public(),
            identity.to_string().expose_secret()
        );
        fs::write(&path, text).unwrap();
        let read = read_identity(&path).unwrap();
        assert_eq!(read.to_public().to_string(), identity.to_public().to_string());
        for text in ["", "# nothing\n", "age1notasecret", "AGE-SECRET-KEY-1XX"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read_identity(&path), Err(VaultError::BadIdentity { .. })), "{text}");
        }
    }
}
