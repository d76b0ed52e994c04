//! Exit codes: what scripts may rely on.

use std::process::ExitCode;

use crate::event::Verdict;
use crate::machine::Ending;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for a run: the verdict is `succeeded`.
    Done = 0,
    /// A defect of `dr`.
    Internal = 1,
    /// The command line is wrong. Clap uses the same number.
    Usage = 2,
    /// The runbook or plan is invalid.
    Invalid = 3,
    /// Not ready: an objective is missed under `--require-rto`, a plugin or secret is missing,
    /// preflight was denied, or the state folder cannot be written.
    NotReady = 4,
    /// The run failed, was unwound, cancelled or is stuck.
    Failed = 5,
    /// The run succeeded but missed an objective.
    ObjectiveMissed = 6,
    /// Paused: it waits for a decision and can be resumed.
    Paused = 7,
    /// Locked by another run.
    Locked = 9,
}

impl Exit {
    /// What the exit code of another `dr` means.
    #[must_use]
    pub fn of_code(code: Option<i32>) -> Self {
        let known = [
            Self::Done,
            Self::Usage,
            Self::Invalid,
            Self::NotReady,
            Self::Failed,
            Self::ObjectiveMissed,
            Self::Paused,
            Self::Locked,
        ];
        let found = known.into_iter().find(|exit| Some(*exit as i32) == code);
        found.unwrap_or(Self::Internal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&Ending> for Exit {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Paused(_) => Self::Paused,
            Ending::Verdict(verdict) => match verdict {
                Verdict::Succeeded => Self::Done,
                Verdict::ObjectiveMissed => Self::ObjectiveMissed,
                Verdict::Failed | Verdict::Unwound | Verdict::Cancelled | Verdict::Stuck => {
                    Self::Failed
                }
            },
        }
    }
}
