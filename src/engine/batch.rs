use std::path::PathBuf;
use std::sync::Arc;

use dr_plugin::{Call, Checked, ErrorClass};

use super::flights::Flight;
use crate::event::Event;
use crate::machine::{AttemptResult, Effect};

/// What follows from the inputs that were ready together.
#[derive(Default)]
pub(super) struct Batch {
    /// Written as one, before anything else.
    pub(super) events: Vec<Event>,
    /// Done afterwards, in order.
    pub(super) effects: Vec<Effect>,
    /// Attempts whose results are among the events.
    pub(super) landed: Vec<Landed>,
    /// Requests that are among the events.
    pub(super) files: Vec<PathBuf>,
}

/// An attempt that came back.
pub(super) struct Landed {
    pub(super) flight: Flight,
    pub(super) result: AttemptResult,
    pub(super) call: Option<Arc<Call>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        let Self { events, effects, landed, files } = self;
        events.is_empty() && effects.is_empty() && landed.is_empty() && files.is_empty()
    }
}

impl Landed {
    /// Whether what became of the attempt is known for good, so that nobody will ask its plugin
    /// again.
    pub(super) fn is_settled(&self) -> bool {
        match &self.result {
            AttemptResult::Applied(Ok(_)) | AttemptResult::Checked(Ok(Checked::Done(_))) => true,
            AttemptResult::Applied(Err(error)) => error.class == ErrorClass::Permanent,
            AttemptResult::Checked(_) => false,
        }
    }
}
