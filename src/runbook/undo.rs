use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::document::Named;
use super::step_document::{ApproveDoc, CheckDoc, ExpectDoc, RetryDoc, StepDoc};
use crate::plan::UNDO;
use crate::words::{OnFailure, OnUnknown};
use dr_plugin::Effect;

/// Takes a step back, when the run unwinds, if that step was started: by an action, by hand
/// (`approve`), or by several steps (`steps`). Without any of them the step's own action is asked to
/// undo itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Undo")]
pub struct UndoDoc {
    /// What it is for, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Runs only if this holds; otherwise there is nothing to take back.
    #[serde(default)]
    pub when: Option<String>,
    /// The action that takes the step back: `plugin.action`.
    #[serde(default)]
    pub uses: Option<String>,
    /// Arguments of the action; may read the step as `self`.
    #[serde(default)]
    pub with: Option<Value>,
    /// Several steps that take the step back together, each with an id of its own. Each acts on the
    /// host of the step and takes what it takes unless it says otherwise, and calls it `self`. The
    /// step is taken back once all of them are done.
    #[serde(default)]
    pub steps: Option<Vec<StepDoc>>,
    /// Of several steps: each needs the one before it, unless it has `needs` or `after` of its own.
    #[serde(default)]
    pub in_order: bool,
    /// The host it acts on. Default: the step's host.
    #[serde(default)]
    pub host: Option<String>,
    /// Asks people before the action; alone, it asks them to take the step back by hand.
    #[serde(default)]
    pub approve: Option<ApproveDoc>,
    /// What must hold once the action has succeeded.
    #[serde(default)]
    pub expect: Vec<ExpectDoc>,
    /// Limit of each attempt.
    #[serde(default)]
    pub timeout: Option<String>,
    /// Further attempts after an error.
    #[serde(default)]
    pub retry: Option<RetryDoc>,
    /// What repeating it would do: overrides the action's own.
    #[serde(default)]
    pub effect: Option<Effect>,
    /// Tells whether the step was taken back, after a crash or a lost connection.
    #[serde(default)]
    pub check: Option<CheckDoc>,
    /// What happens when nobody can tell. Default `ask`.
    #[serde(default)]
    pub on_unknown: Option<OnUnknown>,
    /// `warn` counts a failure as done with a warning, `ask` asks a person; otherwise it leaves the
    /// run stuck.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
    /// Units of pools that it holds while it runs. Default: those of the step.
    #[serde(default)]
    pub takes: Option<Named<u32>>,
}

impl UndoDoc {
    /// Whether the step's own action is asked to undo itself.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.uses.is_none() && self.approve.is_none() && self.steps.is_none()
    }

    /// The same as a step of its own, which inherits host and pools.
    #[must_use]
    pub fn as_step(&self, of: &StepDoc) -> StepDoc {
        let mut id = of.id.clone();
        id.value.push_str(UNDO);
        StepDoc {
            id,
            description: self.description.clone(),
            source: Vec::new(),
            service: of.service.clone(),
            phase: of.phase,
            needs: None,
            after: None,
            closes: None,
            early: false,
            when: self.when.clone(),
            uses: if self.is_own() { of.uses.clone() } else { self.uses.clone() },
            with: self.with.clone(),
            host: self.host.clone().or_else(|| of.host.clone()),
            approve: self.approve.clone(),
            outputs: Named::default(),
            expect: self.expect.clone(),
            expect_error: None,
            sleep: None,
            recovery_point: None,
            point_of_no_return: false,
            incident: false,
            timeout: self.timeout.clone(),
            retry: self.retry.clone(),
            repeat: None,
            effect: self.effect,
            check: self.check.clone(),
            on_unknown: self.on_unknown,
            // Only its own word counts: what the runbook says is about steps.
            on_failure: Some(self.on_failure.unwrap_or(OnFailure::Halt)),
            estimate: None,
            takes: self.takes.clone().unwrap_or_else(|| of.takes.clone()),
            undo: None,
            steps: None,
            in_order: false,
            for_each: None,
            item_name: None,
            max_parallel: None,
            locks: Vec::new(),
            max_failures: None,
            max_items: None,
            allow_empty: false,
        }
    }

    /// One of several steps that take `of` back, which inherits host and pools. It waits for none of
    /// the runbook's own steps.
    #[must_use]
    pub fn part_as_step(&self, part: &StepDoc, of: &StepDoc) -> StepDoc {
        let takes = self.takes.as_ref().unwrap_or(&of.takes);
        let host = part.host.clone().or_else(|| self.host.clone());
        StepDoc {
            host: host.or_else(|| of.host.clone()),
            takes: if part.takes.is_empty() { takes.clone() } else { part.takes.clone() },
            needs: None,
            after: None,
            on_failure: Some(part.on_failure.unwrap_or(OnFailure::Halt)),
            ..part.clone()
        }
    }
}
