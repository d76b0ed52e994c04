//! Outputs of a run's commands as they are kept on disk.

use std::io;

use dr_plugin::Stream;

use super::past::Past;
use crate::event::{EventKind, Purpose};
use crate::id::StepId;

/// One kept output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What wrote it: `promote, attempt 1`.
    pub title: String,
    /// Which stream.
    pub stream: Stream,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// The outputs of all steps, or of one, in the order in which their attempts started.
///
/// # Errors
/// The system's.
pub fn read(past: &Past, only: Option<&str>) -> io::Result<Vec<Kept>> {
    let mut seen: Vec<(StepId, Purpose, u32)> = Vec::new();
    let replay = crate::journal::read(&past.dir.journal(), true).map_err(io::Error::other)?;
    for record in &replay.records {
        let EventKind::AttemptStarted { step, attempt, purpose, .. } = &record.event.kind else {
            continue;
        };
        let attempt = match purpose {
            // All readings share one file.
            Purpose::Repeat | Purpose::Validate => 1,
            _ => *attempt,
        };
        let key = (step.clone(), *purpose, attempt);
        if only.is_none_or(|only| only == step.as_str()) && !seen.contains(&key) {
            seen.push(key);
        }
    }
    let mut kept = Vec::new();
    for (step, purpose, attempt) in seen {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let path = past.dir.output(&step, purpose, attempt, stream);
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                continue;
            }
            let title = match purpose {
                Purpose::Apply => format!("{step}, attempt {attempt}"),
                Purpose::Repeat | Purpose::Validate => format!("{step}, last reading"),
                Purpose::Check => format!("{step}, check {attempt}"),
                Purpose::Undo => format!("{step}, undo {attempt}"),
            };
            kept.push(Kept { title, stream, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    Ok(kept)
}
