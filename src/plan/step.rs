use std::collections::BTreeMap;

use dr_plugin::{Effect, Keyed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::Group;
use super::typed::Asked;
use crate::id::{ServiceId, StepId};
use crate::text::{Expr, Templated};
use crate::words::{Class, OnFailure, OnUnknown, Phase, Severity};

/// One node of the plan's graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the language")]
pub struct Step {
    /// Full id.
    pub id: StepId,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it comes from in a written procedure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
    /// The service it belongs to.
    pub service: Option<ServiceId>,
    /// Its phase.
    pub phase: Option<Phase>,
    /// Set if it is part of the validation of its service: the validation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validates: Option<String>,
    /// The action or probe it calls; absent for gates, guards and computed steps.
    pub uses: Option<Uses>,
    /// Waits instead of calling an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<Sleep>,
    /// Counts other steps instead of calling an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// Arguments of the action.
    #[schemars(with = "Value")]
    #[serde(default)]
    pub with: Templated,
    /// Name of the host it acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Steps that must have succeeded, implicit ones included.
    pub needs: Vec<StepId>,
    /// Steps that must be over, implicit ones included.
    pub after: Vec<StepId>,
    /// Where those of `needs` and `after` come from that the step does not name itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub because: BTreeMap<StepId, EdgeReason>,
    /// Decided when the step becomes ready; already decided ones are in `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
    /// Already passed over by the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<crate::event::SkipReason>,
    /// Asks before the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Gate>,
    /// Captured or computed values, in order: later ones may read earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
    /// What must hold once the action has succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// The action must fail, and in this way: over `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_error: Option<Expr>,
    /// The moment the recovered data is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point: Option<Expr>,
    /// After this there is no way back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub point_of_no_return: bool,
    /// The disaster itself: the clocks of declaration and incident start when it has finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incident: bool,
    /// What repeating it would do: the step's own word, else the action's.
    pub effect: Effect,
    /// The action's own effect, where the step's is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_effect: Option<Effect>,
    /// Whether a second call with the same key joins the first.
    pub keyed: Keyed,
    /// Whether the action itself can tell what became of an attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub action_checks: bool,
    /// Tells, by another action, whether it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// What happens when nobody can tell.
    pub on_unknown: OnUnknown,
    /// What its failure does to the run.
    pub on_failure: OnFailure,
    /// Takes the step back: used only when the run unwinds, and never waits for others by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<Step>>,
    /// In an `undo`: the action is that of the step taken back, asked to undo itself, with the
    /// arguments that it was called with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_undo: bool,
    /// The step that this one closes: it runs, however the run goes, once all that it waits for is
    /// over, if that step was started. Listed in `after` as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<StepId>,
    /// Whether what follows from its failure is decided by the group that it is inside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fails_group: bool,
    /// The group, element or loop that it belongs to, by the step that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<StepId>,
    /// Set on the step with which a group, an element of one, or a loop begins: the one that ends
    /// it. Passed over, everything inside is. What an element's takes is held until its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<StepId>,
    /// Set on the step that ends a group, an element, or a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<Group>>,
    /// The included runbook that it comes from, by the step that ends that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<StepId>,
    /// Elements of the loops around it, by the names that texts and decisions have for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bound: BTreeMap<String, Value>,
    /// Limit of each attempt, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Further attempts.
    pub retry: Retry,
    /// Re-runs it until something holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// Units of pools that it holds while it runs, `run` and its host's included.
    pub takes: BTreeMap<String, u32>,
    /// Its place in the order of dispatch.
    pub urgency: Urgency,
    /// Steps that it lets start first although it could start itself, because it would take what they
    /// are about to need: until there is room for all, or its own predicted start at the latest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub yields_to: Vec<StepId>,
    /// Expected duration, milliseconds.
    pub estimate_ms: u64,
    /// Where the estimate comes from.
    pub estimate_source: EstimateSource,
    /// Predicted start, milliseconds after the start of the run.
    pub start_ms: u64,
    /// Predicted end.
    pub finish_ms: u64,
    /// How much later it could start without making anything late.
    pub slack_ms: i64,
    /// Whether it lies on the critical path.
    pub critical: bool,
    /// Where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Names an action: `ssh.command`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Uses {
    /// Before the dot.
    pub plugin: String,
    /// After the dot.
    pub action: String,
}

impl TryFrom<String> for Uses {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once('.') {
            Some((plugin, action)) if !plugin.is_empty() && !action.is_empty() => {
                Ok(Self { plugin: plugin.to_owned(), action: action.to_owned() })
            }
            _ => Err(format!("`{text}` is not of the form `plugin.action`")),
        }
    }
}

impl Serialize for Uses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::fmt::Display for Uses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.plugin, self.action)
    }
}

/// Waits for a time to pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sleep {
    /// How long, milliseconds.
    pub for_ms: u64,
    /// Counted from the end of this step; absent: from the moment that the wait can begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<StepId>,
}

/// Succeeds when a share of other steps has succeeded: a validation with a threshold below 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// The steps that are counted.
    pub of: Vec<StepId>,
    /// Share in `0.0..=1.0` that must have succeeded.
    pub threshold: f64,
}

/// Why an edge exists that the step does not name itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EdgeReason {
    /// `in_order`: the step before.
    Order,
    /// A service waits for the services it depends on.
    Service,
    /// A validation waits for its service's steps.
    Validation,
    /// A drill's cleanup waits for everything else.
    Cleanup,
    /// A closing step waits for the step that it closes.
    Closes,
    /// A group begins before its steps and ends after them.
    Group,
}

/// Asks people before the action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// The question.
    #[schemars(with = "Value")]
    pub message: Templated,
    /// How many different people must approve.
    pub approvers: u32,
    /// Who may approve: login names; empty: whoever can act on the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Public keys of people who approve by a signature, by login name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// What whoever approves has to tell: outputs of the step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Asked>,
    /// Asked again this often, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_ms: Option<u64>,
    /// Rejected by itself this long after the request, milliseconds.
    pub timeout_ms: Option<u64>,
    /// What a rejection does.
    pub on_reject: OnReject,
}

/// What a rejected gate does to its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// The step fails.
    Fail,
    /// The step is skipped.
    Skip,
}

/// A value that a step gives to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// How it is computed.
    pub value: Expr,
    /// Whether it is a secret: then it is computed from the result alone, kept sealed, and others
    /// see a reference only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// Code of the error of a step one of whose expectations does not hold.
pub const EXPECTATION_FAILED: &str = "expectation_failed";

/// What must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// The condition.
    pub that: Expr,
    /// Said when it does not hold.
    #[schemars(with = "Option<Value>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Templated>,
    /// What follows then.
    pub severity: Rule,
}

/// A severity, or an expression that gives one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Always this.
    Fixed(Severity),
    /// An expression giving `fail` or `warn`.
    Computed(Expr),
}

/// Tells by another action whether the step's action was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The probe.
    pub uses: Uses,
    /// Host it acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its arguments.
    #[schemars(with = "Value")]
    #[serde(default)]
    pub with: Templated,
    /// True: it was done.
    pub done: Expr,
    /// True: it is still going. Asked after `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Expr>,
    /// Limit of each check, milliseconds.
    pub timeout_ms: u64,
}

/// Further attempts after an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Wait before the second attempt, milliseconds; doubles each time.
    pub backoff_ms: u64,
    /// Longest wait, milliseconds.
    pub max_backoff_ms: u64,
    /// Narrows what is retried, over `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
    /// Whether the runbook says so; otherwise only transient errors are retried.
    pub written: bool,
}

/// Re-runs a pure step, or a group, until something holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// The condition, over `result` and `outputs`. Absent for validations: their expectations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Expr>,
    /// Pause between readings, milliseconds.
    pub every_ms: u64,
    /// Limit of all readings together, milliseconds.
    pub timeout_ms: Option<u64>,
    /// Readings in a row for which it must hold.
    pub stable: u32,
    /// Readings at least.
    pub at_least: u32,
    /// Readings at most.
    pub at_most: Option<u32>,
    /// Errors, over `error`, that only mean "not yet". Absent: transient ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerate: Option<Expr>,
}

/// The order in which ready steps are started: class, then latest start, then declaration.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Urgency {
    /// Its service's class, or a more urgent one inherited from what depends on it.
    pub class: Class,
    /// Latest start that keeps every objective it serves, or its start in a better schedule that was
    /// found; milliseconds after the start.
    pub latest_start_ms: i64,
    /// Settles ties: by the lowest priority number that the step serves, then by position in the
    /// runbook.
    pub order: u32,
}

/// Where an estimate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EstimateSource {
    /// `estimate:` of the step.
    Declared,
    /// Earlier runs of this step in this environment.
    History,
    /// The action's typical time.
    Typical,
    /// It does nothing that takes time.
    None,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file, relative to the runbook's folder.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl Step {
    /// Whether its end counts for the recovery of its service: its phase is failover, restore or
    /// validate, or it has none, or it is part of the validation; and it closes nothing.
    #[must_use]
    pub fn counts_for_recovery(&self) -> bool {
        self.closes.is_none()
            && matches!(self.phase, None | Some(Phase::Failover | Phase::Restore | Phase::Validate))
    }

    /// Whether it only stands between others: nothing is asked, called, or computed.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.id.as_str().contains('!')
            && self.uses.is_none()
            && self.tally.is_none()
            && self.approve.is_none()
            && self.when.is_none()
    }

    /// Expected duration in milliseconds: none if it is passed over.
    #[must_use]
    pub fn expected_ms(&self) -> u64 {
        if self.skip.is_some() { 0 } else { self.estimate_ms }
    }
}
