//! How a run ends: steps that close what others opened, and what takes steps back.

use dr_plugin::Effect;

use super::checker::Checker;
use crate::runbook::{DocPath, StepDoc, UndoDoc, codes};
use crate::words::{OnCancel, OnFailure};

impl Checker<'_> {
    /// `closes` and `undo` of a step.
    pub(super) fn step_ends(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        self.closing(index, step, at);
        if let Some(undo) = &step.undo {
            self.undo(index, step, undo, &at.field("undo"));
        }
    }

    fn closing(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let Some(closes) = &step.closes else { return };
        let id = &step.id.value;
        if step.needs.is_some() {
            self.help(
                codes::CLOSING,
                at.field("needs"),
                format!("`{id}` closes `{closes}` and so must run however the run goes"),
                "write `after` instead of `needs`",
            );
        }
        for (key, is_there, why) in [
            ("early", step.early, "it waits for no service anyway"),
            ("point_of_no_return", step.point_of_no_return, "it runs at every end of a run"),
            ("incident", step.incident, "it runs at every end of a run"),
            ("undo", step.undo.is_some(), "it is what undoes"),
            (
                "on_failure",
                step.on_failure == Some(OnFailure::Undo),
                "a closing step that fails leaves the run stuck: write `warn` or `ask`, or nothing",
            ),
        ] {
            if is_there {
                self.help(
                    codes::CLOSING,
                    at.field(key),
                    format!("`{id}` closes `{closes}`, and such a step can have no `{key}` here"),
                    why,
                );
            }
        }
        let declared = *self.outline.get(index);
        if declared.is_compound() {
            let key = if step.for_each.is_some() { "for_each" } else { "steps" };
            self.help(
                codes::CLOSING,
                at.field(key),
                format!("`{id}` closes `{closes}`, and such a step can have no `{key}` here"),
                "write a closing step for each thing that is opened",
            );
        }
        let group = declared.parent.map(|group| group as usize);
        let Some(opener) = self.outline.named(closes, group) else { return };
        if self.outline.get(opener).parent != declared.parent {
            self.help(
                codes::CLOSING,
                at.field("closes"),
                format!("`{closes}` stands outside of the group of `{id}`"),
                "let the closing step stand beside the step that opens",
            );
        }
        let opener = self.outline.get(opener).doc;
        if opener.closes.is_some() {
            self.help(
                codes::CLOSING,
                at.field("closes"),
                format!("`{closes}` is a closing step itself"),
                "name the step that opens",
            );
        }
        let waits = step.after.as_ref().is_some_and(|after| !after.is_empty())
            || (self.outline.in_order(declared.parent)
                && declared.sibling > 0
                && step.after.is_none());
        if !waits && step.needs.is_none() {
            self.warn(
                codes::CLOSES_AT_ONCE,
                at.field("closes"),
                format!(
                    "`{id}` waits for nothing but `{closes}`, and closes as soon as it is over"
                ),
                "add `after: [STEP]`: the last of what must happen in between",
            );
        }
    }

    fn undo(&mut self, index: usize, step: &StepDoc, undo: &UndoDoc, at: &DocPath) {
        let id = &step.id.value;
        if step.uses.is_none() {
            self.help(
                codes::UNDO_SHAPE,
                at.clone(),
                format!("`{id}` calls no action, so there is nothing to undo"),
                "give `undo` to the step that changes something",
            );
            return;
        }
        let body = undo.as_step(step);
        if let Some(steps) = &undo.steps {
            self.undo_steps(index, step, (undo, steps), at);
        } else if undo.in_order {
            let help = "give it `steps`, or remove `in_order`";
            let key = std::iter::once(("in_order", help));
            self.meaningless(at, format_args!("one step takes `{id}` back"), key);
        }
        if undo.steps.is_some() {
            // What it says beside its steps is asked and decided before them.
        } else if undo.is_own() {
            if self.action_of(step).is_some_and(|action| !action.has_undo) {
                let uses = step.uses.as_deref().unwrap_or_default();
                self.help(
                    codes::UNDO_SHAPE,
                    at.clone(),
                    format!("`{uses}` does not know how to undo what it did"),
                    "say what takes it back: `undo: { uses: …, with: … }`",
                );
                return;
            }
            if undo.with.is_some() {
                self.help(
                    codes::UNDO_SHAPE,
                    at.field("with"),
                    "an action that undoes itself is called with what it was called with",
                    "remove `with`, or add `uses`",
                );
            }
        } else {
            self.step_shape(index, &body, at);
            self.step_calls(index, &body, at);
        }
        self.step_numbers(index, &body, at);
        if let Some(policy @ (OnFailure::Undo | OnFailure::Continue)) = undo.on_failure {
            self.help(
                codes::UNDO_SHAPE,
                at.field("on_failure"),
                format!("`{policy}` means nothing here: an undo that fails leaves the run stuck"),
                "write `warn` or `ask`, or nothing",
            );
        }
        if undo.uses.is_some() {
            self.lint_repeatable(&body, id, at);
        }
    }

    /// Whether it hurts to take a step back twice.
    pub(super) fn lint_repeatable(&mut self, body: &StepDoc, id: &str, at: &DocPath) {
        if self.effect_of(body) == Some(Effect::Once) && body.check.is_none() {
            self.warn(
                codes::UNDO_NOT_REPEATABLE,
                at.field("uses"),
                format!("whatever was started is taken back, so this may run twice for `{id}`"),
                "let it do nothing the second time, and say `effect: idempotent`; or add a `check`",
            );
        }
    }

    /// `undo` as a policy where nothing can be undone.
    pub(super) fn lint_undo(&mut self) {
        let document = self.document;
        let none = self.outline.steps().all(|step| step.doc.undo.is_none());
        if document.on_cancel == Some(OnCancel::Undo) && none {
            self.warn(
                codes::NOTHING_TO_UNDO,
                DocPath::key("on_cancel"),
                "a cancel takes everything back, and no step says how",
                "add `undo` to the steps that change something",
            );
        }
        let undone: Vec<(usize, String)> = (0..self.outline.len())
            .filter(|step| self.outline.get(*step).doc.undo.is_some())
            .map(|step| (step, self.outline.id(step).to_string()))
            .collect();
        let mut found = Vec::new();
        for index in 0..self.outline.len() {
            let declared = self.outline.get(index);
            let step = declared.doc;
            if step.on_failure != Some(OnFailure::Undo) || step.closes.is_some() {
                continue;
            }
            let id = self.outline.id(index).to_string();
            let runs_first = |(position, undone): &(usize, String)| {
                (index..declared.end as usize).contains(position) || !self.waits(&id, undone)
            };
            if !undone.iter().any(runs_first) {
                let at = self.outline.path(index).field("on_failure");
                found.push((at, format!("`{id}`")));
            }
        }
        if document.on_failure == Some(OnFailure::Undo) && none {
            found.push((DocPath::key("on_failure"), "a step".to_owned()));
        }
        for (at, who) in found {
            self.warn(
                codes::NOTHING_TO_UNDO,
                at,
                format!("if {who} fails, everything is to be taken back, and no step says how"),
                "add `undo` to the steps before it that change something",
            );
        }
    }
}
