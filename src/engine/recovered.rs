use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use dr_plugin::{CallError, Checked};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Purpose;
use crate::id::StepId;
use crate::journal::{Masker, RunDir};
use crate::machine::AttemptResult;
use crate::time::Timestamp;

/// The result of an attempt that came back when the journal could no longer be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// When it came back.
    pub at: Timestamp,
    /// The step.
    pub step: StepId,
    /// Number of the attempt.
    pub attempt: u32,
    /// What it was for.
    pub purpose: Purpose,
    /// What it came back with, secrets masked.
    #[serde(flatten)]
    pub result: RecoveredResult,
}

/// What an attempt came back with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveredResult {
    /// It was applied.
    Applied(Value),
    /// A check's answer.
    Checked(Checked),
    /// It did not succeed.
    Error(CallError),
}

impl RecoveredResult {
    pub(super) fn new(result: AttemptResult, masker: &Masker) -> Self {
        match result {
            AttemptResult::Applied(Ok(mut value)) => {
                masker.value(&mut value);
                Self::Applied(value)
            }
            AttemptResult::Checked(Ok(mut checked)) => {
                if let Checked::Done(Some(value)) = &mut checked {
                    masker.value(value);
                }
                Self::Checked(checked)
            }
            AttemptResult::Applied(Err(error)) | AttemptResult::Checked(Err(error)) => {
                let mut error = Some(error);
                masker.error(&mut error);
                error.map_or(Self::Applied(Value::Null), Self::Error)
            }
        }
    }
}

impl std::fmt::Display for Recovered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, attempt, purpose, .. } = self;
        write!(f, "{step} ({} {attempt}): ", purpose.as_str())?;
        match &self.result {
            RecoveredResult::Applied(value) => write!(f, "done, {value}"),
            RecoveredResult::Checked(checked) => write!(f, "{checked:?}"),
            RecoveredResult::Error(error) => write!(f, "{} ({})", error.message, error.code),
        }
    }
}

/// Adds a result to `recovered.jsonl`. Best effort: the disk may be the reason for all this.
pub(super) fn keep(dir: &RunDir, recovered: &Recovered) {
    let path = dir.recovered();
    let kept = serde_json::to_string(recovered).map_err(std::io::Error::from).and_then(|line| {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    });
    match kept {
        Ok(()) => tracing::warn!("not in the journal, but kept in recovered.jsonl: {recovered}"),
        Err(error) => tracing::error!("neither in the journal nor kept ({error}): {recovered}"),
    }
}
