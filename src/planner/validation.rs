use super::action::set_action;
use super::codes;
use super::steps::{Maker, READING_PAUSE};
use crate::event::SkipReason;
use crate::id::StepId;
use crate::plan::{Repeat, Step, Tally};
use crate::runbook::{DocPath, Problem};
use crate::words::{OnFailure, Phase};

/// How long the checks of a validation may take to pass unless it says otherwise, milliseconds.
const TIMEOUT: u64 = 60_000;

impl Maker<'_> {
    /// The step that one check of a validation is.
    pub(super) fn validation_check(
        &mut self,
        id: StepId,
        (service, validation, check): (usize, usize, usize),
        skip: Option<SkipReason>,
    ) -> Step {
        let mut step = self.blank(id);
        let Some((name, doc)) = self.document.services.get_index(service) else { return step };
        let doc = &doc.validation[validation];
        let at = DocPath(format!("services.{name}.validation")).index(validation);
        let checks_at = at.field("checks").index(check);
        let check_doc = &doc.checks[check];
        let problems = self.problems.len();
        step.service = Some(name.as_str().into());
        step.phase = Some(Phase::Validate);
        step.validates = Some(doc.name.clone());
        step.source.clone_from(&doc.source);
        step.skip = skip;
        let host = self.host(check_doc.host.as_deref(), &checks_at.field("host"));
        let action =
            self.action(&check_doc.uses, host.as_ref(), check_doc.host.is_some(), &checks_at);
        step.with = self.template(check_doc.with.as_ref(), host.as_ref(), &checks_at.field("with"));
        set_action(&mut step, check_doc.effect, false, action.as_ref());
        if !step.effect.is_repeatable() {
            self.problems.push(
                Problem::error(
                    codes::VALIDATION,
                    checks_at.field("uses"),
                    format!(
                        "a validation is read again and again, but `{}` is `{}`",
                        check_doc.uses, step.effect
                    ),
                )
                .with_help("use a probe, or say `effect: pure` if repeating it changes nothing"),
            );
        }
        step.host = host.as_ref().map(|host| host.name.clone());
        step.expect = self.expectations(&check_doc.expect, host.as_ref(), &checks_at);
        let timeout =
            self.duration(doc.timeout.as_deref(), &at.field("timeout")).unwrap_or(TIMEOUT);
        step.timeout_ms = Some(timeout);
        step.repeat = Some(Repeat {
            until: None,
            every_ms: self
                .duration(doc.every.as_deref(), &at.field("every"))
                .unwrap_or(READING_PAUSE),
            timeout_ms: Some(timeout),
            stable: 1,
            at_least: 1,
            at_most: None,
            tolerate: None,
        });
        if is_tallied(doc.threshold, doc.checks.len()) {
            step.on_failure = OnFailure::Warn;
        }
        self.set_takes(&mut step, [], &checks_at);
        self.set_estimate(&mut step, None, action.as_ref(), &checks_at);
        if skip.is_some() {
            self.problems.truncate(problems);
        } else {
            self.plugins.extend(step.uses.iter().map(|uses| uses.plugin.clone()));
        }
        step
    }

    /// The step that decides a validation of which not every check must pass.
    pub(super) fn validation_tally(
        &mut self,
        id: StepId,
        (service, validation): (usize, usize),
        skip: Option<SkipReason>,
    ) -> Step {
        let mut step = self.blank(id);
        let Some((name, doc)) = self.document.services.get_index(service) else { return step };
        let doc = &doc.validation[validation];
        step.service = Some(name.as_str().into());
        step.phase = Some(Phase::Validate);
        step.validates = Some(doc.name.clone());
        step.source.clone_from(&doc.source);
        step.skip = skip;
        step.tally = Some(Tally {
            of: (1..=doc.checks.len())
                .map(|check| StepId::from(format!("{name}!validation/{}/{check}", validation + 1)))
                .collect(),
            threshold: doc.threshold.unwrap_or(1.0),
        });
        step
    }
}

fn is_tallied(threshold: Option<f64>, checks: usize) -> bool {
    checks > 1 && threshold.is_some_and(|share| share < 1.0)
}
