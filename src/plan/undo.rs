//! What takes a step back: one step, or a group of them, beside the plan's own.

use super::{Plan, Step};

/// What the id of a step that takes another one back adds to that one's.
pub const UNDO: &str = "!undo";

/// The id of the step that this one takes back, alone or as a part of that: `drain` for
/// `drain!undo`, `drain!undo!begin` and `drain!undo/fill`.
#[must_use]
pub fn undone_by(id: &str) -> Option<&str> {
    id.split_once(UNDO).map(|(of, _)| of)
}

/// What follows the step and `!undo` in an id.
fn part(id: &str) -> &str {
    id.split_once(UNDO).map_or("", |(_, part)| part)
}

impl Step {
    /// Everything that takes it back: a single step, or a group with its beginning first and its
    /// end last.
    pub fn undo_steps(&self) -> impl Iterator<Item = &Self> {
        let undo = self.undo.as_deref();
        undo.into_iter().flat_map(Self::undoing).chain(undo)
    }

    /// Does something with everything that takes it back.
    pub fn each_undo(&mut self, change: &mut dyn FnMut(&mut Self)) {
        let Some(undo) = &mut self.undo else { return };
        if let Some(group) = &mut undo.group {
            group.undoing.iter_mut().for_each(&mut *change);
        }
        change(undo);
    }

    /// What of it takes a step back, with this id or with one for another element.
    #[must_use]
    pub fn undo_step(&self, id: &str) -> Option<&Self> {
        self.undo_steps().find(|step| part(step.id.as_str()) == part(id))
    }

    /// Of what takes a step back: how it does, for people.
    #[must_use]
    pub fn undo_method(&self) -> String {
        let parts = self.undoing().iter().filter(|step| step.opens.is_none());
        let parts: Vec<&str> =
            parts.filter_map(|step| step.id.as_str().rsplit('/').next()).collect();
        match &self.uses {
            _ if !parts.is_empty() => format!("by its steps {}", parts.join(", ")),
            Some(_) if self.own_undo => "by its own action".to_owned(),
            Some(uses) => format!("by {uses}"),
            None => "by hand".to_owned(),
        }
    }

    /// Of the end of a group that takes a step back: its beginning and its steps.
    fn undoing(&self) -> &[Self] {
        self.group.as_ref().map_or(&[], |group| &group.undoing)
    }
}

impl Plan {
    /// The step with this id, or what takes a step back: `STEP!undo`, `STEP!undo/PART`.
    #[must_use]
    pub fn step_or_undo(&self, id: &str) -> Option<&Step> {
        match undone_by(id) {
            Some(of) => self.step(of)?.undo_step(id),
            None => self.step(id),
        }
    }
}
