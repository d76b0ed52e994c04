use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::is_held;
use crate::event::Purpose;
use crate::id::{RequestId, RunId, StepId};

/// The folder of one run: where each thing in it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run in the folder `path`. Touches nothing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id: the name of the folder.
    #[must_use]
    pub fn id(&self) -> RunId {
        RunId::from(self.path.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }

    /// The plan that is carried out.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// The runbook and what it includes, as they were.
    #[must_use]
    pub fn runbook(&self) -> PathBuf {
        self.path.join("runbook")
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Secrets that must outlive a crash, encrypted.
    #[must_use]
    pub fn sealed(&self) -> PathBuf {
        self.path.join("sealed")
    }

    /// Held by the process that drives the run.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.path.join("run.lock")
    }

    /// Requests of other terminals.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.path.join("inbox")
    }

    /// Where a request waits for the process that drives the run.
    #[must_use]
    pub fn request(&self, id: &RequestId) -> PathBuf {
        self.inbox().join(format!("{}.json", file_name(id.as_str())))
    }

    /// What commands have printed.
    #[must_use]
    pub fn outputs(&self) -> PathBuf {
        self.path.join("outputs")
    }

    /// What the run has to say once no terminal takes it any more.
    #[must_use]
    pub fn lines(&self) -> PathBuf {
        self.path.join("run.log")
    }

    /// Results that came back after the journal could no longer be written.
    #[must_use]
    pub fn recovered(&self) -> PathBuf {
        self.path.join("recovered.jsonl")
    }

    /// Where the output of an attempt is kept: `outputs/STEP.ATTEMPT.stdout`. Readings of `repeat`
    /// and validation, of which there may be thousands, share one file that holds the last one's:
    /// `outputs/STEP.repeat.stdout`; a check's is `outputs/STEP.check.ATTEMPT.stdout`. In STEP,
    /// what is not a lower-case letter, a digit or `_` is written as `-` and two hexadecimal
    /// digits.
    #[must_use]
    pub fn output(
        &self,
        step: &StepId,
        purpose: Purpose,
        attempt: u32,
        stream: dr_plugin::Stream,
    ) -> PathBuf {
        let step = file_name(step.as_str());
        let attempt = match purpose {
            Purpose::Apply => attempt.to_string(),
            Purpose::Repeat | Purpose::Validate => purpose.as_str().to_owned(),
            Purpose::Check | Purpose::Undo => format!("{}.{attempt}", purpose.as_str()),
        };
        let stream = match stream {
            dr_plugin::Stream::Stdout => "stdout",
            dr_plugin::Stream::Stderr => "stderr",
        };
        self.outputs().join(format!("{step}.{attempt}.{stream}"))
    }

    /// Whether a process drives the run at this moment.
    #[must_use]
    pub fn is_live(&self) -> bool {
        is_held(&self.lock())
    }
}

/// `text` as a word that is a safe file name; distinct texts have distinct words.
pub(super) fn file_name(text: &str) -> String {
    use std::fmt::Write as _;
    let mut word = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => word.push(char::from(byte)),
            _ => {
                let _ = write!(word, "-{byte:02x}");
            }
        }
    }
    word
}

/// Writes a file that does not exist yet, for its owner only, durably.
///
/// # Errors
/// The system's.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_distinct_and_safe_names() {
        let dir = RunDir::new("r");
        let name = |step: &str, purpose, attempt| {
            let path = dir.output(&StepId::from(step), purpose, attempt, dr_plugin::Stream::Stderr);
            path.strip_prefix("r/outputs").unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(name("promote", Purpose::Apply, 2), "promote.2.stderr");
        assert_eq!(name("w@a/b", Purpose::Check, 1), "w-40a-2fb.check.1.stderr");
        assert_eq!(
            name("db!validation/1", Purpose::Repeat, 9),
            "db-21validation-2f1.repeat.stderr"
        );
    }
}
