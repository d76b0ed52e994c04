//! The YAML language of one step, as that of the runbook is in `document`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::document::{InputDoc, Named};
use super::undo::UndoDoc;
use super::written::Written;
use crate::words::{OnFailure, OnUnknown, Phase};
use dr_plugin::Effect;

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Step")]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the language")]
pub struct StepDoc {
    /// Its name: lower-case letters, digits, underscores.
    #[schemars(with = "String")]
    pub id: Written,
    /// What it is for, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Where it comes from in a written procedure, as `[R-5.4]`: places that people can look up.
    #[serde(default)]
    pub source: Vec<String>,
    /// The service it belongs to.
    #[serde(default)]
    pub service: Option<String>,
    /// Its phase.
    #[serde(default)]
    pub phase: Option<Phase>,
    /// Steps that must have succeeded before it starts. `[]`: starts at once, on purpose.
    #[serde(default)]
    pub needs: Option<Vec<String>>,
    /// Steps that must be over, however they ended.
    #[serde(default)]
    pub after: Option<Vec<String>>,
    /// The step that this one closes. It runs once that step and all that it waits for are over,
    /// however the run went, if that step was started.
    #[serde(default)]
    pub closes: Option<String>,
    /// Does not wait for the services that its service depends on.
    #[serde(default)]
    pub early: bool,
    /// Runs only if this holds.
    #[serde(default)]
    pub when: Option<String>,
    /// The action or probe it calls: `plugin.action`.
    #[serde(default)]
    pub uses: Option<String>,
    /// Arguments of the action.
    #[serde(default)]
    pub with: Option<Value>,
    /// The host it acts on.
    #[serde(default)]
    pub host: Option<String>,
    /// Waits instead of calling an action.
    #[serde(default)]
    pub sleep: Option<SleepDoc>,
    /// Asks people before the action.
    #[serde(default)]
    pub approve: Option<ApproveDoc>,
    /// Values it gives to others, computed from `result`.
    #[serde(default)]
    pub outputs: Named<OutputDoc>,
    /// What must hold once the action has succeeded.
    #[serde(default)]
    pub expect: Vec<ExpectDoc>,
    /// The action must fail, and in this way: an expression over `error`. Its success is a failure
    /// of the step.
    #[serde(default)]
    pub expect_error: Option<String>,
    /// The moment the recovered data is from: an expression giving a time.
    #[serde(default)]
    pub recovery_point: Option<String>,
    /// After this there is no way back.
    #[serde(default)]
    pub point_of_no_return: bool,
    /// The disaster itself, as a rehearsal brings it about: the clocks of declaration and incident
    /// start when the step has finished.
    #[serde(default)]
    pub incident: bool,
    /// Limit of each attempt.
    #[serde(default)]
    pub timeout: Option<String>,
    /// Further attempts after an error.
    #[serde(default)]
    pub retry: Option<RetryDoc>,
    /// Re-runs it until something holds.
    #[serde(default)]
    pub repeat: Option<RepeatDoc>,
    /// What repeating it would do: overrides the action's own.
    #[serde(default)]
    pub effect: Option<Effect>,
    /// Tells whether the action was done, after a crash or a lost connection.
    #[serde(default)]
    pub check: Option<CheckDoc>,
    /// What happens when nobody can tell. Default `ask`.
    #[serde(default)]
    pub on_unknown: Option<OnUnknown>,
    /// What its failure does to the run. Default: the runbook's, else `halt`.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
    /// How long it is expected to take.
    #[serde(default)]
    pub estimate: Option<String>,
    /// Units of pools that it holds while it runs. Of a group: the default of each step inside.
    #[serde(default)]
    pub takes: Named<u32>,
    /// Takes the step back when the run unwinds.
    #[serde(default)]
    pub undo: Option<Box<UndoDoc>>,
    /// A group: steps that belong together, with ids of their own.
    #[serde(default)]
    pub steps: Option<Vec<StepDoc>>,
    /// Of a group: each step needs the one before it, unless it has `needs` or `after` of its own.
    #[serde(default)]
    pub in_order: bool,
    /// Once for each element: a list, a map, or an expression that gives one.
    #[serde(default)]
    pub for_each: Option<ForEachDoc>,
    /// What the steps of a loop call the element. Default `item`.
    #[serde(default, rename = "as")]
    pub item_name: Option<String>,
    /// Elements at once. Default: all.
    #[serde(default)]
    pub max_parallel: Option<u32>,
    /// Of a loop: names that each element locks from its first start to its last end, so that
    /// elements go one after the other. The run keeps them from other runs like the `locks` of a
    /// runbook.
    #[serde(default)]
    pub locks: Vec<String>,
    /// Elements that may fail before the loop does. Default 0.
    #[serde(default)]
    pub max_failures: Option<u32>,
    /// Elements that a list which is only known during the run may have. Default 100.
    #[serde(default)]
    pub max_items: Option<u32>,
    /// A list without elements is no error.
    #[serde(default)]
    pub allow_empty: bool,
}

/// What a loop goes over.
#[derive(Debug, Clone, PartialEq)]
pub enum ForEachDoc {
    /// The elements.
    List(Vec<Value>),
    /// Elements with a `key` and a `value`.
    Map(Named<Value>),
    /// An expression that gives a list or a map.
    Expr(String),
}

/// Waits for a time to pass.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sleep")]
pub struct SleepDoc {
    /// How long.
    #[serde(rename = "for")]
    pub lasts: String,
    /// Counted from the end of this step. Default: from the moment that the wait can begin.
    #[serde(default)]
    pub since: Option<String>,
}

/// Asks people before the step's action.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Approve")]
pub struct ApproveDoc {
    /// The question.
    pub message: String,
    /// How many different people must approve. Default 1.
    #[serde(default)]
    pub approvers: Option<u32>,
    /// Who may approve: login names. Default: whoever can act on the run.
    #[serde(default)]
    pub from: Vec<String>,
    /// Public SSH keys by login name, as in `authorized_keys`: these people approve by a signature,
    /// from anywhere.
    #[serde(default)]
    pub keys: Named<String>,
    /// What whoever approves has to tell. The values become outputs of the step.
    #[serde(default)]
    pub inputs: Named<InputDoc>,
    /// Asks again this often, until it is answered.
    #[serde(default)]
    pub remind: Option<String>,
    /// Rejected by itself this long after the request.
    #[serde(default)]
    pub timeout: Option<String>,
    /// What a rejection does: `fail` (default) or `skip`.
    #[serde(default)]
    pub on_reject: Option<crate::plan::OnReject>,
}

/// A value that a step gives to others: an expression over `result` and earlier outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDoc {
    /// The expression.
    pub value: String,
    /// Whether the value is a secret.
    pub secret: bool,
}

/// What must hold: an expression, or one with a message and a severity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectDoc {
    /// The condition.
    pub that: String,
    /// Said when it does not hold.
    pub message: Option<String>,
    /// `fail` (default), `warn`, or an expression giving one.
    pub severity: Option<SeverityDoc>,
}

/// A fixed severity, or an expression giving one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeverityDoc {
    /// Always this.
    Fixed(crate::words::Severity),
    /// An expression.
    Computed(String),
}

/// Further attempts after an error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub struct RetryDoc {
    /// Attempts in all, the first included. Default 3.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// Wait before the second attempt; doubles each time. Default 1s.
    #[serde(default)]
    pub backoff: Option<String>,
    /// Longest wait. Default 30s.
    #[serde(default)]
    pub max_backoff: Option<String>,
    /// Retries only errors for which this holds, over `error`.
    #[serde(default)]
    pub when: Option<String>,
}

/// Re-runs a pure step, or a whole group, until something holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Repeat")]
pub struct RepeatDoc {
    /// The condition, over `result`, `outputs`, `iteration` and `previous`.
    pub until: String,
    /// Pause between readings. Default 1s.
    #[serde(default)]
    pub every: Option<String>,
    /// Limit of all readings together.
    #[serde(default)]
    pub timeout: Option<String>,
    /// Readings in a row for which it must hold. Default 1.
    #[serde(default)]
    pub stable: Option<u32>,
    /// Readings at least.
    #[serde(default)]
    pub at_least: Option<u32>,
    /// Readings at most.
    #[serde(default)]
    pub at_most: Option<u32>,
    /// Errors, over `error`, that only mean "not yet". Default: transient ones.
    #[serde(default)]
    pub tolerate: Option<String>,
}

/// Tells by another action whether the step's action was done.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Check")]
pub struct CheckDoc {
    /// The probe.
    pub uses: String,
    /// Where it looks. Default: the step's host.
    #[serde(default)]
    pub host: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub with: Option<Value>,
    /// True, over `result`: it was done.
    pub done: String,
    /// True, over `result`: it is still going. Asked after `done`.
    #[serde(default)]
    pub running: Option<String>,
    /// Limit of each check. Default 30s.
    #[serde(default)]
    pub timeout: Option<String>,
}
