use crate::id::StepId;
use crate::plan::{Step, UNDO};
use crate::runbook::{DocPath, UndoDoc};
use crate::text::Templated;
use crate::words::OnFailure;

use super::steps::Maker;

impl Maker<'_> {
    /// The step that takes another one back.
    pub(super) fn undo(&mut self, index: usize, undo: &UndoDoc, of: &Step, at: &DocPath) -> Step {
        let doc = undo.as_step(self.outline.get(index).doc);
        let mut step = self.step_of(index, &doc, at, of.skip);
        step.id = StepId::from(format!("{}{UNDO}", of.id));
        // Only its own word counts: what the runbook or a group says is about steps.
        step.on_failure = doc.on_failure.unwrap_or(OnFailure::Halt);
        (step.fails_group, step.inside) = (false, None);
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
