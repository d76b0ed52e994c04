//! Requests of people, from any terminal.

use std::collections::BTreeMap;

use crate::engine::{Letter, Posted, post};
use crate::event::{Actor, Request, RequestKind};
use crate::id::{RequestId, StepId};
use crate::journal::{JournalError, RunDir};
use crate::plan::Plan;
use crate::time::{Clock as _, SystemClock};

/// Why a request is not handed in: the run would not follow it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RequestError {
    /// The run is over for good.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Over(#[from] JournalError),
    /// As it stands, it would be refused.
    #[error("{why}")]
    #[diagnostic(
        code(DR3130),
        help("nothing was recorded: `dr show {run} {step}` tells what was decided, and by whom")
    )]
    Refused {
        /// What stands against it.
        why: String,
        /// The run, as a command names it.
        run: String,
        /// The step that it is about.
        step: StepId,
    },
}

/// A request with an id of its own.
#[must_use]
pub fn request(
    ask: RequestKind,
    step: Option<StepId>,
    by: Actor,
    reason: Option<String>,
) -> Request {
    Request {
        id: RequestId::from(format!("{:016x}", random())),
        step,
        ask,
        by,
        reason,
        inputs: BTreeMap::new(),
        signed: None,
    }
}

/// Puts a request into the inbox of a run.
///
/// # Errors
/// The system's.
pub fn hand_in(dir: &RunDir, plan: &Plan, request: Request) -> std::io::Result<Posted> {
    let asked = SystemClock.wall();
    post(dir, &Letter::new(dir.id(), plan.digest.clone(), asked, request))
}

/// Random bits, from the system's per-process hash keys.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
