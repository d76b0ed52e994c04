use std::collections::HashMap;

use dr_plugin::Keyed;
use serde_json::Value;

use crate::id::StepId;
use crate::plan::{EdgeReason, Group, Step, UNDO, begin_of};
use crate::runbook::{DocPath, StepDoc, UndoDoc};
use crate::text::Templated;
use crate::words::OnFailure;

use super::steps::Maker;

impl Maker<'_> {
    /// The step that takes another one back, or the end of a group that does.
    pub(super) fn undo(&mut self, index: usize, undo: &UndoDoc, of: &Step, at: &DocPath) -> Step {
        let doc = undo.as_step(self.outline.get(index).doc);
        let id = StepId::from(format!("{}{UNDO}", of.id));
        let mut step = self.undoing(index, &doc, of, id, at);
        if undo.is_own() {
            step.own_undo = true;
            // It is called with what the step itself was called with.
            step.with = Templated::default();
        }
        if let Some(steps) = &undo.steps {
            self.undo_group(index, (undo, steps), of, &mut step, at);
        }
        step
    }

    fn undoing(
        &mut self,
        index: usize,
        doc: &StepDoc,
        of: &Step,
        id: StepId,
        at: &DocPath,
    ) -> Step {
        let mut step = self.step_of(index, doc, at, of.skip);
        step.id = id;
        // Only its own word counts: what the runbook or a group says is about steps.
        step.on_failure = doc.on_failure.unwrap_or(OnFailure::Halt);
        (step.fails_group, step.inside) = (false, None);
        step.skip = None;
        // It recovers nothing.
        step.service = None;
        step.phase = None;
        step
    }

    /// Gives the end of a group its beginning and its steps.
    fn undo_group(
        &mut self,
        index: usize,
        (undo, steps): (&UndoDoc, &[StepDoc]),
        of: &Step,
        end: &mut Step,
        at: &DocPath,
    ) {
        let mut first = self.blank(begin_of(&end.id));
        first.opens = Some(end.id.clone());
        first.on_failure = OnFailure::Halt;
        // What is asked and decided, is so once for all of them; and so is whether the step was done.
        first.when = end.when.take();
        first.approve = end.approve.take();
        first.bound.clone_from(&end.bound);
        first.place.clone_from(&end.place);
        if of.check.is_some() || of.action_checks || of.keyed == Keyed::Job {
            first.takes.clone_from(&of.takes);
        }
        end.host = None;
        end.takes.clear();
        let id_of = |part: &StepDoc| StepId::from(format!("{}/{}", end.id, part.id.value));
        let siblings: HashMap<&str, StepId> =
            steps.iter().map(|part| (part.id.value.as_str(), id_of(part))).collect();
        let own = self.outline.get(index).doc;
        let mut undoing = vec![first];
        for (position, part) in steps.iter().enumerate() {
            let part_at = at.field("steps").index(position);
            let doc = undo.part_as_step(part, own);
            let mut step = self.undoing(index, &doc, of, id_of(part), &part_at);
            step.description.clone_from(&part.description);
            step.source.clone_from(&part.source);
            step.inside = Some(end.id.clone());
            // The end of the group says what becomes of it.
            step.fails_group = true;
            let names = |names: &Option<Vec<String>>| -> Vec<StepId> {
                let names = names.iter().flatten();
                names.filter_map(|name| siblings.get(name.as_str()).cloned()).collect()
            };
            step.needs = names(&part.needs);
            step.after = names(&part.after);
            let names_nothing = part.needs.is_none() && part.after.is_none();
            if undo.in_order && names_nothing && position > 0 {
                let before = id_of(&steps[position - 1]);
                step.because.insert(before.clone(), EdgeReason::Order);
                step.needs.push(before);
            }
            if step.needs.is_empty() {
                step.because.insert(undoing[0].id.clone(), EdgeReason::Group);
                step.needs.push(undoing[0].id.clone());
            }
            undoing.push(step);
        }
        let of: Vec<StepId> = undoing[1..].iter().map(|step| step.id.clone()).collect();
        end.after.push(undoing[0].id.clone());
        end.after.extend(of.iter().cloned());
        end.because.extend(end.after.iter().map(|id| (id.clone(), EdgeReason::Group)));
        end.with = Templated::literal(Value::Null);
        end.group = Some(Box::new(Group { of, undoing, each: None }));
    }
}
