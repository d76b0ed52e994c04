use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::BundleError;
use crate::id::Digester;

/// What the sums cover, beside a run's folder: files and whole folders. The lock, the inbox, notes
/// and sealed secrets are not evidence.
pub(super) const LISTED: [&str; 10] = [
    "plan.json",
    "journal.jsonl",
    "evidence.json",
    "report.md",
    "report.html",
    "junit.xml",
    "VERIFY.txt",
    "runbook",
    "outputs",
    "sessions",
];

/// One line of `SHA256SUMS`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SumLine {
    /// Relative to the run's folder.
    pub path: String,
    /// 64 hexadecimal digits.
    pub sum: String,
}

impl fmt::Display for SumLine {
    /// As `sha256sum` writes it: names with a backslash or a line end are escaped, which a
    /// backslash at the front tells.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        let mark = if name == self.path { "" } else { "\\" };
        write!(f, "{mark}{}  {name}", self.sum)
    }
}

/// The sums of everything that is listed and there, by name. Symbolic links are not followed and
/// not listed.
///
/// # Errors
/// A file or folder cannot be read.
pub fn sums(dir: &Path) -> Result<Vec<SumLine>, BundleError> {
    let mut lines = Vec::new();
    for name in LISTED {
        collect(dir, name, &mut lines)?;
    }
    lines.sort();
    Ok(lines)
}

fn collect(dir: &Path, name: &str, lines: &mut Vec<SumLine>) -> Result<(), BundleError> {
    let path = dir.join(name);
    let kind = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BundleError::at(&path)(error)),
    };
    if kind.is_file() {
        let sum = of_file(&path).map_err(BundleError::at(&path))?;
        lines.push(SumLine { path: name.to_owned(), sum });
    } else if kind.is_dir() {
        for entry in fs::read_dir(&path).map_err(BundleError::at(&path))? {
            let entry = entry.map_err(BundleError::at(&path))?;
            // A name that is no text cannot be listed; `dr` writes none.
            if let Some(entry) = entry.file_name().to_str().filter(|name| !name.starts_with('.')) {
                collect(dir, &format!("{name}/{entry}"), lines)?;
            }
        }
    }
    Ok(())
}

fn of_file(path: &Path) -> io::Result<String> {
    let mut digester = Digester::default();
    io::copy(&mut File::open(path)?, &mut digester)?;
    Ok(digester.finish().hex().to_owned())
}
