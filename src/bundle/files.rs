use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::BundleError;

/// Puts a file in place, whole or not at all, durably and for its owner only: it is written aside,
/// synced and renamed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    replace_by(path, |file| file.write_all(bytes))
}

/// The same with a file that is written piece by piece.
pub(super) fn replace_by(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), BundleError> {
    put(path, write).map_err(BundleError::at(path))
}

fn put(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name}.new"));
    // What a crash has left of an earlier attempt may be a file with other permissions.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&aside);
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Makes a folder and those above it, for the owner only.
pub(super) fn folder(path: &Path) -> Result<(), BundleError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(BundleError::at(path))
}

/// A file's bytes; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, BundleError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BundleError::at(path)(error)),
    }
}
