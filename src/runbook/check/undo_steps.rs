//! Several steps that take one back.

use std::collections::HashMap;

use super::checker::Checker;
use super::groups::present;
use crate::runbook::{DocPath, StepDoc, UndoDoc, codes, is_path};
use crate::words::OnFailure;

/// Steps that take one back together.
pub(super) const MOST: usize = 100;

/// What each of several steps that take one back waits for among them, by position.
#[derive(Debug, Default)]
pub(super) struct Siblings<'d> {
    /// Their ids, in order.
    names: Vec<&'d str>,
    /// For each, those that it waits for, directly or not.
    before: Vec<Vec<bool>>,
}

impl<'d> Siblings<'d> {
    pub(super) fn new(undo: &UndoDoc, steps: &'d [StepDoc]) -> Self {
        let names: Vec<&str> = steps.iter().map(|step| step.id.value.as_str()).collect();
        let count = names.len();
        let mut before = vec![vec![false; count]; count];
        for (position, step) in steps.iter().enumerate() {
            let waited_for = step.needs.iter().chain(&step.after).flatten();
            for on in waited_for.filter_map(|name| names.iter().position(|known| known == name)) {
                before[position][on] = true;
            }
            let names_nothing = step.needs.is_none() && step.after.is_none();
            if undo.in_order && names_nothing && position > 0 {
                before[position][position - 1] = true;
            }
        }
        // What is waited for waits for others itself.
        for through in 0..count {
            let own = before[through].clone();
            for waits in before.iter_mut().filter(|waits| waits[through]) {
                for (on, also) in waits.iter_mut().zip(&own) {
                    *on |= also;
                }
            }
        }
        Self { names, before }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    /// Whether one waits for another.
    pub(super) fn waits(&self, position: usize, on: usize) -> bool {
        self.before[position][on]
    }
}

impl Checker<'_> {
    pub(super) fn undo_steps(
        &mut self,
        index: usize,
        of: &StepDoc,
        (undo, steps): (&UndoDoc, &[StepDoc]),
        at: &DocPath,
    ) {
        let id = &of.id.value;
        let keys = [
            ("uses", undo.uses.is_some(), "move it into a step of the group"),
            ("with", undo.with.is_some(), "move it to the step that calls something"),
            ("expect", !undo.expect.is_empty(), "put it into a step of its own, after the others"),
            ("timeout", undo.timeout.is_some(), "a timeout is for one attempt of one step"),
            ("retry", undo.retry.is_some(), "say it on the steps inside"),
            ("effect", undo.effect.is_some(), "say it on the steps inside"),
            ("check", undo.check.is_some(), "say it on the steps inside"),
            ("on_unknown", undo.on_unknown.is_some(), "say it on the steps inside"),
            (
                "on_failure",
                undo.on_failure == Some(OnFailure::Ask),
                "say `ask` on the step that may fail",
            ),
        ];
        self.meaningless(
            at,
            format_args!("several steps take `{id}` back"),
            present(keys.into_iter()),
        );
        let at = at.field("steps");
        if steps.is_empty() {
            self.help(
                codes::UNDO_SHAPE,
                at.clone(),
                format!("nothing takes `{id}` back: there are no steps"),
                "add a step, or remove `undo`",
            );
        }
        if steps.len() > MOST {
            self.help(
                codes::UNDO_SHAPE,
                at,
                format!("{} steps take `{id}` back, and there may be {MOST}", steps.len()),
                "let each step that changes something say how it is taken back",
            );
            return;
        }
        let mut lines: HashMap<&str, u64> = HashMap::new();
        let siblings = Siblings::new(undo, steps);
        for (position, part) in steps.iter().enumerate() {
            let at = at.index(position);
            let name = part.id.value.as_str();
            self.name(name, || at.field("id"));
            if let Some(line) = lines.insert(name, part.id.line) {
                self.help(
                    codes::DUPLICATE_ID,
                    at.field("id"),
                    format!("there is already a step `{name}`, on line {line}"),
                    "give one of them another id",
                );
            }
            for output in part.outputs.keys() {
                self.name(output, || at.field("outputs").field(output));
            }
            self.undo_part(part, id, &at);
            self.undo_edges(part, id, &siblings, &at);
            if siblings.waits(position, position) {
                self.help(
                    codes::CYCLE,
                    at.field("id"),
                    format!("`{name}` waits for itself, by way of others"),
                    "remove one of the `needs` or `after` on the way",
                );
            }
            if part.uses.as_deref().is_some_and(is_path) {
                continue;
            }
            let body = undo.part_as_step(part, of);
            self.step_shape(index, &body, &at);
            self.step_calls(index, &body, &at);
            self.step_numbers(index, &body, &at);
            self.lint_repeatable(&body, id, &at);
            self.lint_timeout(index, &body, &at);
        }
    }

    /// What a step that takes another one back, with others, cannot be.
    fn undo_part(&mut self, part: &StepDoc, of: &str, at: &DocPath) {
        let includes = part.uses.as_deref().is_some_and(is_path);
        let keys = [
            ("uses", includes, "a runbook is not included here: write its steps"),
            ("service", part.service.is_some(), "what takes a step back recovers nothing"),
            ("phase", part.phase.is_some(), "it runs when the run goes back"),
            ("closes", part.closes.is_some(), "what is opened here is closed here, by a step"),
            ("early", part.early, "it waits for no service anyway"),
            ("recovery_point", part.recovery_point.is_some(), "it recovers nothing"),
            ("point_of_no_return", part.point_of_no_return, "it only goes back"),
            ("incident", part.incident, "it only goes back"),
            ("estimate", part.estimate.is_some(), "a plan is about going forward"),
            ("undo", part.undo.is_some(), "what takes a step back is not taken back"),
            ("steps", part.steps.is_some(), "move the steps beside it"),
            ("for_each", part.for_each.is_some(), "write a step for each element"),
            (
                "sleep.since",
                part.sleep.as_ref().is_some_and(|sleep| sleep.since.is_some()),
                "it is counted from the end of what it waits for",
            ),
            (
                "on_failure",
                matches!(part.on_failure, Some(OnFailure::Undo | OnFailure::Continue)),
                "one that fails leaves the run stuck: write `warn` or `ask`, or nothing",
            ),
        ];
        for (key, help) in present(keys.into_iter()) {
            let message = format!("`{key}` means nothing here: this helps to take `{of}` back");
            let place = key.split('.').fold(at.clone(), |at, key| at.field(key));
            self.help(codes::UNDO_SHAPE, place, message, help);
        }
        for (name, _) in part.outputs.iter().filter(|(_, output)| output.secret) {
            self.help(
                codes::UNDO_SHAPE,
                at.field("outputs").field(name),
                format!("this helps to take `{of}` back, and such a step captures no secret"),
                "let the step that is taken back capture it, and read it as `self.outputs`",
            );
        }
    }

    /// What it waits for stands beside it.
    fn undo_edges(&mut self, part: &StepDoc, of: &str, siblings: &Siblings<'_>, at: &DocPath) {
        for (names, field) in [(&part.needs, "needs"), (&part.after, "after")] {
            for (item, name) in names.iter().flatten().enumerate() {
                if siblings.position(name).is_some() {
                    continue;
                }
                self.help(
                    codes::UNKNOWN_STEP,
                    at.field(field).index(item),
                    format!("no step that helps to take `{of}` back is called `{name}`"),
                    "when a run goes back, its own steps are over: name one that stands beside this",
                );
            }
        }
    }
}
