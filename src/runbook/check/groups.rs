use super::checker::Checker;
use crate::id::check_name;
use crate::plan;
use crate::runbook::outline::Declared;
use crate::runbook::{DocPath, ForEachDoc, StepDoc, codes};
use crate::text::is_reserved_name;

impl Checker<'_> {
    /// Whether the keys of a group go together.
    pub(super) fn group_shape(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let id = &step.id.value;
        if self.outline.inside(Some(index)).next().is_none() {
            self.help(
                codes::STEP_SHAPE,
                at.field("steps"),
                format!("the group `{id}` has no steps"),
                "add a step, or remove the group",
            );
        }
        let calls = [
            ("uses", step.uses.is_some(), "move it into a step of the group"),
            ("with", step.with.is_some(), "move it to the steps that call something"),
            (
                "repeat",
                step.repeat.is_some() && step.for_each.is_some(),
                "put the steps into a group inside, and repeat that",
            ),
        ];
        let keys = calls.into_iter().chain(of_one_step(step));
        self.meaningless(at, format_args!("`{id}` is a group"), present(keys));
    }

    /// Everything about a loop but what it reads.
    pub(super) fn step_loop(&mut self, index: usize, at: &DocPath) {
        let step = self.outline.get(index).doc;
        let id = &step.id.value;
        let Some(for_each) = &step.for_each else {
            let keys = [
                ("as", step.item_name.is_some()),
                ("max_parallel", step.max_parallel.is_some()),
                ("locks", !step.locks.is_empty()),
                ("max_failures", step.max_failures.is_some()),
                ("max_items", step.max_items.is_some()),
                ("allow_empty", step.allow_empty),
            ];
            let found = keys.into_iter().filter(|(_, is_there)| *is_there);
            let found = found.map(|(key, _)| (key, format!("add `for_each`, or remove `{key}`")));
            self.meaningless(at, format_args!("`{id}` is no loop"), found);
            return;
        };
        self.least(step.max_parallel, 1, || at.field("max_parallel"));
        self.loop_locks(index, at);
        self.least(step.max_items, 1, || at.field("max_items"));
        let length = match for_each {
            ForEachDoc::List(items) => Some(items.len()),
            ForEachDoc::Map(items) => Some(items.len()),
            ForEachDoc::Expr(_) => None,
        };
        if length == Some(0) && !step.allow_empty {
            self.help(
                codes::LOOP_ITEMS,
                at.field("for_each"),
                format!("`{id}` goes over nothing"),
                "add elements; if none is fine, say `allow_empty: true`",
            );
        }
        if let ForEachDoc::Map(map) = for_each {
            for key in map.keys().filter(|key| !plan::can_name_element(key)) {
                self.help(
                    codes::LOOP_ITEMS,
                    at.field("for_each").field(key),
                    format!("{key:?} cannot stand in the ids of steps, where it names its element"),
                    "use letters, digits, `_`, `-`, `.` and `:`, at most 64 bytes; what else the steps \
                     need goes into the value",
                );
            }
        }
        let item = self.outline.get(index).item();
        if check_name(item).is_err() || (step.item_name.is_some() && is_reserved_name(item)) {
            self.help(
                codes::BAD_NAME,
                at.field("as"),
                format!("an element cannot be called `{item}`"),
                "use lower-case letters, digits and underscores, and no word that means something \
                 else in expressions",
            );
        }
        if self.outline.item_names(index).skip(1).any(|outer| outer == item) {
            self.help(
                codes::LOOP_ITEMS,
                at.field(if step.item_name.is_some() { "as" } else { "for_each" }),
                format!("two loops, one inside the other, call their element `{item}`"),
                "give the inner one another name: `as: NAME`",
            );
        }
    }
}

impl Checker<'_> {
    /// The locks of a loop are held one element after the other.
    fn loop_locks(&mut self, index: usize, at: &DocPath) {
        let step = self.outline.get(index).doc;
        let (id, at) = (&step.id.value, at.field("locks"));
        if step.locks.is_empty() {
            return;
        }
        if step.max_parallel.is_some_and(|width| width > 1) {
            self.help(
                codes::STEP_SHAPE,
                at.clone(),
                format!("the elements of `{id}` lock the same, so one goes on at a time"),
                "remove `max_parallel`",
            );
        }
        if self.outline.outwards(index).skip(1).any(Declared::is_repeated) {
            self.help(
                codes::STEP_SHAPE,
                at,
                format!("`{id}` is done again and again, and would lock the same side by side"),
                "say `locks` on the outermost loop, or at the head of the runbook",
            );
        }
    }
}

/// Keys that are about one step and its attempts: whether they are there, and where they belong in
/// what stands for several steps.
pub(super) fn of_one_step(
    step: &StepDoc,
) -> impl Iterator<Item = (&'static str, bool, &'static str)> {
    [
        ("timeout", step.timeout.is_some(), "a timeout is for one attempt of one step"),
        ("retry", step.retry.is_some(), "say it on the steps inside"),
        ("effect", step.effect.is_some(), "say it on the steps inside"),
        ("check", step.check.is_some(), "say it on the steps inside"),
        ("on_unknown", step.on_unknown.is_some(), "say it on the steps inside"),
        (
            "estimate",
            step.estimate.is_some() && step.for_each.is_none() && step.repeat.is_none(),
            "it takes as long as the steps inside",
        ),
        ("incident", step.incident, "say it on the step that is the incident"),
    ]
    .into_iter()
}

/// Those that are there.
pub(super) fn present(
    keys: impl Iterator<Item = (&'static str, bool, &'static str)>,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    keys.filter(|(_, is_there, _)| *is_there).map(|(key, _, help)| (key, help))
}
