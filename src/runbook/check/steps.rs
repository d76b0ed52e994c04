use dr_plugin::Effect;

use super::checker::Checker;
use crate::runbook::{DocPath, StepDoc, codes, is_path};

impl Checker<'_> {
    /// Whether the keys of a step go together, and whether it does anything.
    pub(super) fn step_shape(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let id = &step.id.value;
        if let Some(uses) = step.uses.as_deref().filter(|uses| is_path(uses)) {
            self.include(step, uses, at);
            return;
        }
        if step.sleep.is_some() && step.uses.is_some() {
            self.help(
                codes::STEP_SHAPE,
                at.field("sleep"),
                format!("`{id}` either waits or calls an action"),
                "put the wait into a step of its own, and let this one need it",
            );
        }
        if step.expect_error.is_some() && step.repeat.is_some() {
            self.help(
                codes::STEP_SHAPE,
                at.field("expect_error"),
                "`repeat` waits for a reading, and here every reading must fail",
                "read again in a step before this one, and let this one see once that it fails",
            );
        }
        if step.steps.is_some() {
            self.group_shape(index, step, at);
        } else if step.uses.is_none() {
            let does_something = step.approve.is_some()
                || step.sleep.is_some()
                || !step.expect.is_empty()
                || !step.outputs.is_empty()
                || step.recovery_point.is_some();
            if !does_something {
                self.help(
                    codes::STEP_SHAPE,
                    at.clone(),
                    format!("`{id}` does nothing"),
                    "give it an action (`uses`), a question (`approve`), a condition (`expect`), \
                     a value (`outputs`) or a wait (`sleep`)",
                );
                return;
            }
            let keys = [
                ("with", step.with.is_some()),
                ("timeout", step.timeout.is_some()),
                ("retry", step.retry.is_some()),
                ("repeat", step.repeat.is_some()),
                ("expect_error", step.expect_error.is_some()),
                ("effect", step.effect.is_some()),
                ("check", step.check.is_some()),
                ("on_unknown", step.on_unknown.is_some()),
            ];
            let found = keys.into_iter().filter(|(_, is_there)| *is_there);
            let found = found.map(|(key, _)| (key, format!("add `uses`, or remove `{key}`")));
            self.meaningless(at, format_args!("`{id}` calls no action"), found);
        }
        if step.in_order && step.steps.is_none() {
            let help = "give it `steps`, or remove `in_order`";
            let key = std::iter::once(("in_order", help));
            self.meaningless(at, format_args!("`{id}` is no group"), key);
        }
        if step.effect == Some(Effect::Checkable)
            && step.check.is_none()
            && !self.action_of(step).is_some_and(|action| action.has_check)
            && step.uses.is_some()
        {
            self.help(
                codes::CHECKABLE_WITHOUT_CHECK,
                at.field("effect"),
                format!("`{id}` says `checkable`, and nothing tells whether it was done"),
                "add `check: { uses: …, done: … }`",
            );
        }
        if step.repeat.is_some()
            && let Some(effect) = self.effect_of(step).filter(|effect| *effect != Effect::Pure)
        {
            self.help(
                codes::NOT_PURE,
                at.field("repeat"),
                format!("`repeat` would do `{id}` again and again: its action is {effect}"),
                "repeat a probe in a step of its own; if this action only reads, say `effect: pure`",
            );
        }
    }
}
