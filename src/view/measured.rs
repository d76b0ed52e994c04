use std::collections::BTreeSet;

use super::{StepView, View};
use crate::event::StepState;
use crate::id::StepId;
use crate::plan::{EXPECTATION_FAILED, Step, meanings};

impl View {
    /// The steps whose outputs a failed expectation of `step` was read from, and that may be done
    /// again without harm. To try the step once more without them reads the same again.
    pub(super) fn measured(&self, step: &StepView) -> BTreeSet<&StepId> {
        let mut found = BTreeSet::new();
        let unmet = step.error.as_ref().is_some_and(|error| error.code == EXPECTATION_FAILED);
        if unmet && let Some(planned) = self.planned(step.id.as_str()) {
            self.measure(planned, &mut found);
        }
        found
    }

    fn measure<'a>(&'a self, step: &'a Step, found: &mut BTreeSet<&'a StepId>) {
        let conditions = step.expect.iter().map(|expectation| &expectation.that);
        let exprs = conditions.chain(step.outputs.iter().map(|output| &output.value));
        for path in exprs.filter_map(|expr| expr.paths().ok()).flatten() {
            let Some(name) = path.field(1).filter(|_| path.root() == "steps") else { continue };
            let Some(read) = meanings(step, name).find_map(|id| self.planned(&id)) else {
                continue;
            };
            let state = self.step(read.id.as_str()).map(|step| step.state);
            let is_done = matches!(state, Some(StepState::Succeeded | StepState::Warned));
            let computes = read.uses.is_none() && !read.outputs.is_empty();
            let again = if computes { read.approve.is_none() } else { read.effect.is_repeatable() };
            let measures = read.group.is_none() && read.opens.is_none() && again && is_done;
            if measures && found.insert(&read.id) && computes {
                self.measure(read, found);
            }
        }
    }
}
