//! What is allowed and may bite: warnings.

use dr_plugin::{Effect, HostNeed, Kind};

use super::checker::Checker;
use crate::runbook::{Declared, DocPath, Part, StepDoc, codes};
use crate::words::Phase;

impl Checker<'_> {
    pub(super) fn lints(&mut self) {
        for index in 0..self.outline.len() {
            let step = self.outline.get(index).doc;
            let at = self.outline.path(index);
            self.lint_start(index, step, &at);
            self.lint_unknown(index, step, &at);
            self.lint_return(index, step, &at);
            self.lint_check(step, &at);
        }
        self.lint_undo();
        self.lint_proof();
        self.lint_loss();
        self.lint_objectives();
    }

    /// A step that changes things and names nothing: forgotten, or on purpose?
    fn lint_start(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let document = self.document;
        let names_nothing = step.needs.is_none() && step.after.is_none() && step.closes.is_none();
        let declared = self.outline.get(index);
        // What is inside a group starts with the group.
        let is_outer = declared.parent.is_none();
        let changes = || {
            (index..declared.end as usize).any(|inner| {
                let declared = self.outline.get(inner);
                let inner = declared.doc;
                declared.included().is_some()
                    || inner.uses.is_some()
                        && self.effect_of(inner).is_some_and(|effect| effect != Effect::Pure)
            })
        };
        // Alone there is nothing that it could have forgotten.
        if names_nothing && is_outer && !document.in_order && document.steps.len() > 1 && changes()
        {
            self.warn(
                codes::STARTS_AT_ONCE,
                at.field("id"),
                format!("`{}` changes things and names nothing that it waits for", step.id.value),
                "add `needs: [STEP]`, or `needs: []` if it may start at once; `in_order: true` on \
                 the runbook lets each step wait for the one before it",
            );
        }
    }

    /// What a crash, a hang or a lost connection would leave open.
    fn lint_unknown(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let Some(action) = self.action_of(step) else { return };
        let id = &step.id.value;
        let detached = step
            .with
            .as_ref()
            .and_then(|with| with.get("detach"))
            .is_none_or(|detach| detach != &serde_json::Value::Bool(false));
        if self.effect_of(step) == Some(Effect::Once)
            && step.check.is_none()
            && step.on_unknown.is_none()
            && !(action.has_check && detached)
        {
            self.warn(
                codes::ONCE_WITHOUT_CHECK,
                at.field("uses"),
                format!("after a crash nobody could tell whether `{id}` was done"),
                "add a `check`, say what follows with `on_unknown`, or `effect: idempotent` if it \
                 may simply run again",
            );
        }
        self.lint_timeout(index, step, at);
        if let Some(undo) = step.undo.as_ref().filter(|undo| !undo.is_own()) {
            self.lint_timeout(index, &undo.as_step(step), &at.field("undo"));
        }
    }

    pub(super) fn lint_timeout(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let Some(action) = self.action_of(step) else { return };
        let id = &step.id.value;
        let is_remote = action.kind == Kind::Action
            && (action.host == HostNeed::Required
                || (action.host == HostNeed::Optional && self.outline.host(index).is_some()));
        if is_remote && step.timeout.is_none() {
            self.warn(
                codes::NO_TIMEOUT,
                at.field("uses"),
                format!("`{id}` could hang for ever"),
                "add a `timeout`: longer than it ever took, shorter than the RTO",
            );
        }
    }

    /// No way back, and no gate before it: its own, or that of a step it waits for.
    fn lint_return(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        if !step.point_of_no_return || step.approve.is_some() {
            return;
        }
        let id = self.outline.id(index);
        let around = self.outline.outwards(index).any(|group| group.doc.approve.is_some());
        let mut gates = (0..self.outline.len())
            .filter(|other| self.outline.get(*other).doc.approve.is_some())
            .map(|other| self.outline.id(other));
        if !around && !gates.any(|gate| self.waits(gate.as_str(), id.as_str())) {
            self.warn(
                codes::NO_GATE,
                at.field("point_of_no_return"),
                format!("there is no way back after `{id}`, and nobody is asked"),
                "add `approve: { message: … }` to it, or to a step that it waits for",
            );
        }
    }

    /// "It was done" is all that a check tells.
    fn lint_check(&mut self, step: &StepDoc, at: &DocPath) {
        if step.check.is_none() {
            return;
        }
        let reads_result = |source: &str| {
            crate::text::Expr::parse(source)
                .and_then(|expression| expression.paths())
                .is_ok_and(|paths| paths.iter().any(|path| path.root() == "result"))
        };
        let reader = step.outputs.iter().find(|(_, output)| reads_result(&output.value));
        let place = match reader {
            Some((name, _)) => at.field("outputs").field(name),
            None if step.recovery_point.as_deref().is_some_and(reads_result) => {
                at.field("recovery_point")
            }
            None => return,
        };
        self.warn(
            codes::CHECK_WITHOUT_RESULT,
            place,
            format!(
                "if a check finds `{}` done after a crash, there is no `result` to compute this \
                 from",
                step.id.value
            ),
            "read it in a step of its own that follows",
        );
    }

    /// An RTO whose clock stops without a proof that the service works.
    fn lint_proof(&mut self) {
        let document = self.document;
        for (name, service) in &document.services {
            let tier = service.tier.as_ref().and_then(|tier| document.tiers.get(tier));
            let has_rto = service.rto.is_some() || tier.is_some_and(|tier| tier.rto.is_some());
            if !has_rto || !service.validation.is_empty() {
                continue;
            }
            let proves = |step: &Declared<'_>| {
                step.service == Some(name.as_str()) && step.phase == Some(Phase::Validate)
            };
            if !self.outline.steps().any(proves) {
                self.warn(
                    codes::RTO_WITHOUT_VALIDATION,
                    DocPath::key("services").field(name),
                    format!("nothing proves that `{name}` works when its clock stops"),
                    "add `validation`, or a step of the phase `validate`",
                );
            }
        }
    }

    /// An RPO that a run has nothing to compare with.
    fn lint_loss(&mut self) {
        let document = self.document;
        // What an included runbook measures may be the service's.
        let measures_inside = |part: &Part| match part {
            Part::Runbook(part) => {
                part.all().into_iter().any(|part| says_moment(&part.document.steps))
            }
            Part::Unread(_) | Part::Nothing(_) => true,
        };
        if self.parts.values().any(measures_inside) {
            return;
        }
        for (name, service) in &document.services {
            let tier = service.tier.as_ref().and_then(|tier| document.tiers.get(tier));
            let key = match (&service.rpo, tier.and_then(|tier| tier.rpo.as_ref())) {
                (Some(_), _) => "rpo",
                (None, Some(_)) => "tier",
                (None, None) => continue,
            };
            let measures = |step: &Declared<'_>| {
                step.service == Some(name.as_str()) && step.doc.recovery_point.is_some()
            };
            if !self.outline.steps().any(measures) {
                self.warn(
                    codes::RPO_WITHOUT_RECOVERY_POINT,
                    DocPath::key("services").field(name).field(key),
                    format!("nothing measures how much data `{name}` loses"),
                    "add `recovery_point: EXPRESSION` to a step of it that knows from when its data is",
                );
            }
        }
    }
}

fn says_moment(steps: &[StepDoc]) -> bool {
    steps
        .iter()
        .any(|step| step.recovery_point.is_some() || step.steps.as_deref().is_some_and(says_moment))
}
