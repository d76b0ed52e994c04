use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use super::BundleError;
use super::files::{read, replace};
use super::sums::SumLine;
use super::write::{NAMES, documents, write};
use crate::evidence::Evidence;
use crate::id::{Digest, Digester};

/// What a run's folder lacks of its evidence and can be made from plan and journal.
///
/// The sums are written last, so sums of the journal as it is now tell that everything was there
/// once: what differs from them was changed afterwards, and is nothing to be made again. Where
/// there are none, or those of an earlier session, the evidence was never whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Files that are not there or are those of an earlier session, by name.
    pub files: Vec<&'static str>,
    /// Whether it never was whole, so that the sums are among them.
    pub sums: bool,
}

/// What a run's folder lacks, compared with the evidence that its plan and journal give.
///
/// # Errors
/// A file cannot be read.
pub fn lacking(dir: &Path, evidence: &Evidence) -> Result<Lacking, BundleError> {
    let Some(summed) = read(&dir.join("SHA256SUMS"))? else {
        // Somebody vouched for sums that were there.
        if dir.join("SHA256SUMS.sig").exists() {
            return Ok(Lacking::default());
        }
        return never_whole(dir, evidence);
    };
    let summed = String::from_utf8_lossy(&summed);
    match of_journal(&summed, &dir.join("journal.jsonl"))? {
        Of::Now => {
            let gone = |name: &str| !dir.join(name).exists();
            let listed = |name: &str, bytes: &[u8]| {
                let sum = Digest::of(bytes).hex().to_owned();
                let line = SumLine { path: name.to_owned(), sum }.to_string();
                summed.lines().any(|known| known == line)
            };
            let gone = documents(evidence).filter(|(name, _)| gone(name));
            let same = gone.filter(|(name, bytes)| listed(name, bytes));
            Ok(Lacking { files: same.map(|(name, _)| name).collect(), sums: false })
        }
        Of::Earlier => never_whole(dir, evidence),
        Of::Another => Ok(Lacking::default()),
    }
}

/// Whether nothing is lacking, as far as can be told without making the evidence.
///
/// # Errors
/// A file cannot be read.
pub fn is_whole(dir: &Path) -> Result<bool, BundleError> {
    let Some(summed) = read(&dir.join("SHA256SUMS"))? else { return Ok(false) };
    let of = of_journal(&String::from_utf8_lossy(&summed), &dir.join("journal.jsonl"))?;
    Ok(matches!(of, Of::Now) && NAMES.into_iter().all(|name| dir.join(name).exists()))
}

/// Which journal sums were made of.
enum Of {
    /// That which is there.
    Now,
    /// It, before records were added.
    Earlier,
    /// One that it does not go on from.
    Another,
}

fn of_journal(summed: &str, journal: &Path) -> Result<Of, BundleError> {
    let listed = summed.lines().find_map(|line| line.strip_suffix("  journal.jsonl"));
    let Some(listed) = listed else { return Ok(Of::Another) };
    let read = || -> io::Result<Of> {
        let mut file = BufReader::new(File::open(journal)?);
        let (mut digester, mut line, mut of) = (Digester::default(), Vec::new(), Of::Another);
        while file.read_until(b'\n', &mut line)? > 0 {
            digester.update(&line);
            line.clear();
            of = match of {
                _ if digester.clone().finish().hex() == listed => Of::Now,
                Of::Now | Of::Earlier => Of::Earlier,
                Of::Another => Of::Another,
            };
        }
        Ok(of)
    };
    read().map_err(BundleError::at(journal))
}

fn never_whole(dir: &Path, evidence: &Evidence) -> Result<Lacking, BundleError> {
    let mut files = Vec::new();
    for (name, bytes) in documents(evidence) {
        if read(&dir.join(name))?.as_deref() != Some(bytes.as_slice()) {
            files.push(name);
        }
    }
    files.push("SHA256SUMS");
    Ok(Lacking { files, sums: true })
}

/// Makes what a run's folder lacks, and nothing else. Gives the names of the files.
///
/// # Errors
/// A file cannot be read or written. No file is ever half written.
pub fn complete(dir: &Path, evidence: &Evidence) -> Result<Vec<&'static str>, BundleError> {
    let lacking = lacking(dir, evidence)?;
    if lacking.sums {
        write(dir, evidence)?;
    } else if !lacking.files.is_empty() {
        for (name, bytes) in documents(evidence).filter(|(name, _)| lacking.files.contains(name)) {
            replace(&dir.join(name), &bytes)?;
        }
    }
    Ok(lacking.files)
}
