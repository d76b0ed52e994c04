use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::BundleError;
use super::files::{folder, read, replace, replace_by};
use super::sums::sums;
use crate::evidence::{Evidence, html, junit, markdown};

/// What belongs to one session and is replaced by that of the next.
const OF_SESSION: [&str; 6] =
    ["SHA256SUMS", "VERIFY.txt", "evidence.json", "junit.xml", "report.html", "report.md"];

/// How to check a run's folder without `dr`.
const VERIFY: &str = include_str!("VERIFY.txt");

/// Where the evidence lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// For programs.
    pub evidence: PathBuf,
    /// For people.
    pub report: PathBuf,
    /// Over everything that is evidence.
    pub sums: PathBuf,
}

/// Writes the evidence of a session into the run's folder: `evidence.json`, `report.md`,
/// `report.html`, `junit.xml`, `VERIFY.txt`, and last `SHA256SUMS` over them and what they are computed from.
/// What an earlier session left is first kept in `sessions/N/`. Done again, it gives the same files.
///
/// # Errors
/// A file cannot be read or written. No file is ever half written.
pub fn write(dir: &Path, evidence: &Evidence) -> Result<Written, BundleError> {
    let session = evidence.sessions.last().map_or(1, |session| session.number);
    keep_earlier(dir, session)?;
    let written = Written {
        evidence: dir.join("evidence.json"),
        report: dir.join("report.md"),
        sums: dir.join("SHA256SUMS"),
    };
    for (name, make) in DOCUMENTS {
        replace_by(&dir.join(name), |file| written_to(file, |out| make(evidence, out)))?;
    }
    let mut lines = String::new();
    for line in sums(dir)? {
        let _ = writeln!(lines, "{line}");
    }
    replace(&written.sums, lines.as_bytes())?;
    Ok(written)
}

/// The documents of a session, as they are written: a function of the evidence alone. The evidence
/// itself comes last: until it is replaced, what is there counts as the earlier session's.
pub fn documents(evidence: &Evidence) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    DOCUMENTS.iter().map(move |(name, make)| {
        let mut bytes = Vec::new();
        // Memory takes all that is written.
        let _ = written_to(&mut bytes, |out| make(evidence, out));
        (*name, bytes)
    })
}

/// Where a document goes. A large one is never in memory as a whole.
type Out<'a> = BufWriter<&'a mut dyn Write>;

fn written_to(
    target: &mut dyn Write,
    write: impl FnOnce(&mut Out<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, target);
    write(&mut out)?;
    out.flush()
}

/// Makes one document of the evidence.
type Make = fn(&Evidence, &mut Out<'_>) -> io::Result<()>;

const DOCUMENTS: [(&str, Make); 5] = [
    ("report.md", |evidence, out| out.write_all(markdown(evidence).as_bytes())),
    ("report.html", |evidence, out| out.write_all(html(evidence).as_bytes())),
    ("junit.xml", |evidence, out| out.write_all(junit(evidence).as_bytes())),
    ("VERIFY.txt", |_, out| out.write_all(VERIFY.as_bytes())),
    ("evidence.json", |evidence, out| {
        serde_json::to_writer_pretty(&mut *out, evidence)?;
        out.write_all(b"\n")
    }),
];

/// The names of the documents.
pub(super) const NAMES: [&str; 5] = {
    let [(report, _), (page, _), (junit, _), (verify, _), (evidence, _)] = DOCUMENTS;
    [report, page, junit, verify, evidence]
};

/// As much of earlier evidence as tells whose it is.
#[derive(Deserialize)]
struct Earlier {
    sessions: Vec<EarlierSession>,
}

#[derive(Deserialize)]
struct EarlierSession {
    number: u32,
}

fn keep_earlier(dir: &Path, session: u32) -> Result<(), BundleError> {
    let Some(bytes) = read(&dir.join("evidence.json"))? else { return Ok(()) };
    // Evidence that cannot be read any more tells nothing that the journal does not.
    let Ok(earlier) = serde_json::from_slice::<Earlier>(&bytes) else { return Ok(()) };
    let Some(number) = earlier.sessions.last().map(|session| session.number) else {
        return Ok(());
    };
    if number >= session {
        return Ok(());
    }
    let kept = dir.join("sessions").join(number.to_string());
    folder(&kept)?;
    for name in OF_SESSION {
        let target = kept.join(name);
        // There already, if a crash interrupted this before: the first copy is the right one.
        if target.exists() {
            continue;
        }
        if let Some(bytes) = read(&dir.join(name))? {
            replace(&target, &bytes)?;
        }
    }
    Ok(())
}
