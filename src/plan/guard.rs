use super::{Plan, Step};
use crate::id::StepId;

impl Step {
    /// What it is if others rely on it to hold them back: a gate, a guard or a point of no return.
    #[must_use]
    pub fn holds_back(&self) -> Option<&'static str> {
        if self.approve.is_some() {
            Some("gate")
        } else if self.point_of_no_return {
            Some("point of no return")
        } else if self.uses.is_none() && !self.expect.is_empty() {
            Some("guard")
        } else {
            None
        }
    }
}

impl Plan {
    /// The first step that holds others back of those that are passed over with `id`: itself, or one
    /// inside it. With what it is.
    #[must_use]
    pub fn guard_within(&self, id: &str) -> Option<(&StepId, &'static str)> {
        let inside = |step: &&Step| {
            let rest = step.id.as_str().strip_prefix(id);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
        };
        self.every_step().filter(inside).find_map(|step| Some((&step.id, step.holds_back()?)))
    }
}
