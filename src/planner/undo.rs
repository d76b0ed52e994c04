use crate::plan::Step;
use crate::runbook::{DocPath, StepDoc, UndoDoc};
use crate::text::Templated;

use super::steps::Maker;

impl Maker<'_> {
    /// The step that takes another one back.
    pub(super) fn undo(&mut self, undo: &UndoDoc, doc: &StepDoc, of: &Step, at: &DocPath) -> Step {
        let mut step = self.step_of(&undo.as_step(doc), at, of.skip);
        step.skip = None;
        if undo.is_own() {
            step.own_undo = true;
            // It is called with what the step itself was called with.
            step.with = Templated::default();
        }
        // It recovers nothing.
        step.service = None;
        step.phase = None;
        step
    }
}
