//! The YAML language, one struct per construct. The doc comments here are the descriptions in the
//! generated JSON Schema.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::undo::UndoDoc;
use super::written::Written;
use crate::words::{Class, InputType, OnCancel, OnFailure, OnUnknown, Phase};
use dr_plugin::Effect;

/// A map that keeps the order of the file.
pub type Named<T> = IndexMap<String, T>;

/// A disaster-recovery runbook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Runbook", rename = "Runbook")]
pub struct Document {
    /// Name of the runbook: lower-case letters, digits, underscores.
    #[schemars(with = "String")]
    pub runbook: Written,
    /// What it recovers, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Who owns it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Steps at once, whole run. Default 32.
    #[serde(default)]
    pub parallelism: Option<u32>,
    /// Each step needs the one before it, unless it has `needs` or `after` of its own.
    #[serde(default)]
    pub in_order: bool,
    /// Held while a run lasts: no other run with this state directory that names one of these,
    /// whatever its runbook and environment, runs at the same time.
    #[serde(default)]
    pub locks: Vec<String>,
    /// What a failed step does to the run, unless the step says otherwise. Default `halt`.
    #[serde(default)]
    pub on_failure: Option<OnFailure>,
    /// What a cancel does to what was done: `undo` takes it back. Default: it stays as it is.
    #[serde(default)]
    pub on_cancel: Option<OnCancel>,
    /// Phases taken when `--phase` is not given.
    #[serde(default)]
    pub default_phases: Option<Vec<Phase>>,
    /// What a run is asked for.
    #[serde(default)]
    pub inputs: Named<InputDoc>,
    /// Constants of this runbook.
    #[serde(default)]
    pub values: Named<Value>,
    /// The environments it can run in. Without this there is one, `default`.
    #[serde(default)]
    pub environments: Named<EnvironmentDoc>,
    /// References to secrets, never values.
    #[serde(default)]
    pub secrets: Named<Vec<SecretSourceDoc>>,
    /// Shared objectives.
    #[serde(default)]
    pub tiers: Named<TierDoc>,
    /// What is recovered.
    #[serde(default)]
    pub services: Named<ServiceDoc>,
    /// Where steps act.
    #[serde(default)]
    pub hosts: Named<HostDoc>,
    /// Settings of plugins.
    #[serde(default)]
    pub plugins: Named<Value>,
    /// Capacities that steps take units of.
    #[serde(default)]
    pub pools: Named<PoolDoc>,
    /// Times between two steps that are measured, and how long each may take.
    #[serde(default)]
    pub spans: Named<SpanDoc>,
    /// What is done.
    pub steps: Vec<StepDoc>,
}

/// A time that is measured: from the moment that one step begins to act to the end of another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Span")]
pub struct SpanDoc {
    /// What it measures, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The step that opens it: the clock starts with its first attempt.
    pub from: String,
    /// The step that closes it: the clock stops at its end.
    pub to: String,
    /// How long it may take. A run that takes longer has missed an objective.
    #[serde(default)]
    pub objective: Option<String>,
}

/// An input of the runbook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Input")]
pub struct InputDoc {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Used when it is not given. Without a default it must be given.
    #[serde(default)]
    pub default: Option<Value>,
    /// The values it may take.
    #[serde(default, rename = "enum")]
    pub choices: Option<Vec<Value>>,
    /// A regular expression that the whole text must match.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The value is a secret: a text that is given when the run starts, by `--input NAME=@FILE`, by
    /// the variable `DR_INPUT_NAME` or at the terminal; to an included runbook, a secret. Never in a
    /// plan, masked everywhere, and read by texts of `with` and settings of plugins alone.
    #[serde(default)]
    pub secret: bool,
}

/// An environment. Its entries replace those of the same name in the runbook.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Environment")]
pub struct EnvironmentDoc {
    /// Taken when `--env` is not given.
    #[serde(default)]
    pub default: bool,
    /// Asks for its name to be typed, and refuses drills.
    #[serde(default)]
    pub protected: bool,
    /// Values that differ here.
    #[serde(default)]
    pub values: Named<Value>,
    /// Hosts that differ here: the fields given replace the host's.
    #[serde(default)]
    pub hosts: Named<HostDoc>,
    /// Secrets that come from elsewhere here.
    #[serde(default)]
    pub secrets: Named<Vec<SecretSourceDoc>>,
    /// Plugin settings that differ here: the keys given replace the plugin's.
    #[serde(default)]
    pub plugins: Named<Value>,
    /// Pools of another size here.
    #[serde(default)]
    pub pools: Named<PoolDoc>,
    /// Steps at once here.
    #[serde(default)]
    pub parallelism: Option<u32>,
}

/// One place where a secret may come from: exactly one of `env`, `file`, `command`, `prompt` and
/// `generate`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SecretSource")]
pub struct SecretSourceDoc {
    /// An environment variable.
    #[serde(default)]
    pub env: Option<String>,
    /// A file; its final newline is dropped.
    #[serde(default)]
    pub file: Option<String>,
    /// A command, as a list; the final newline of its output is dropped.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// `true`: whoever starts or resumes the run types it. Nothing is shown while it is typed.
    #[serde(default)]
    pub prompt: Option<bool>,
    /// Made up for the run: so many letters and digits, at least 16. Made once, and the same after a
    /// resume.
    #[serde(default)]
    pub generate: Option<u32>,
    /// Where in the JSON text that the source gives the secret stands: `password`, `data.password`.
    #[serde(default)]
    pub field: Option<String>,
}

/// Objectives that services share.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tier")]
pub struct TierDoc {
    /// `critical`, `high`, `medium`, `low`, or a number.
    #[serde(default)]
    pub priority: Option<PriorityDoc>,
    /// Recovery time objective: a duration, or a number of minutes.
    #[serde(default)]
    #[schemars(with = "Option<DurationOrMinutes>")]
    pub rto: Option<Value>,
    /// Recovery point objective: a duration, or a number of minutes.
    #[serde(default)]
    #[schemars(with = "Option<DurationOrMinutes>")]
    pub rpo: Option<Value>,
}

/// A duration such as `15m`, or a number of minutes.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum DurationOrMinutes {
    Duration(String),
    Minutes(u64),
}

/// A class, or a number: 1–25 critical, 26–50 high, 51–75 medium, above: low. The number orders
/// within the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorityDoc {
    /// By name.
    Class(Class),
    /// By number.
    Number(u32),
}

/// Something that is recovered.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Service")]
pub struct ServiceDoc {
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// A label for reports: `database`, `filesystem`, `application`.
    #[serde(default)]
    pub kind: Option<String>,
    /// The tier whose objectives it has.
    #[serde(default)]
    pub tier: Option<String>,
    /// Overrides the tier. Default `medium`.
    #[serde(default)]
    pub priority: Option<PriorityDoc>,
    /// Overrides the tier.
    #[serde(default)]
    #[schemars(with = "Option<DurationOrMinutes>")]
    pub rto: Option<Value>,
    /// Overrides the tier.
    #[serde(default)]
    #[schemars(with = "Option<DurationOrMinutes>")]
    pub rpo: Option<Value>,
    /// Services that must have recovered before its first steps start.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Proves that it works; stops its RTA clock.
    #[serde(default)]
    pub validation: Vec<ValidationDoc>,
}

/// One proof that a service works.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Validation")]
pub struct ValidationDoc {
    /// What it proves, for people.
    pub name: String,
    /// Where it comes from in a written procedure, as `[R-5.4]`.
    #[serde(default)]
    pub source: Vec<String>,
    /// Share of the checks that must pass, 0 to 1. Default 1.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// How long the checks may take to pass. Default 1m.
    #[serde(default)]
    pub timeout: Option<String>,
    /// Pause between readings. Default 1s.
    #[serde(default)]
    pub every: Option<String>,
    /// The checks.
    pub checks: Vec<ValidationCheckDoc>,
}

/// One check of a validation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ValidationCheck")]
pub struct ValidationCheckDoc {
    /// A probe, or an action whose `effect` here is pure or idempotent.
    pub uses: String,
    /// Where it looks.
    #[serde(default)]
    pub host: Option<String>,
    /// Arguments of the action.
    #[serde(default)]
    pub with: Option<Value>,
    /// What must hold.
    #[serde(default)]
    pub expect: Vec<ExpectDoc>,
    /// What repeating it would do, if the action does not say so.
    #[serde(default)]
    pub effect: Option<Effect>,
}

/// A host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Host")]
pub struct HostDoc {
    /// DNS name, IP address, or an alias of `ssh_config`. Default: the host's name.
    #[serde(default)]
    pub address: Option<String>,
    /// Port of its SSH server; a text may use `{{ inputs.NAME }}`.
    #[serde(default)]
    #[schemars(with = "Option<NumberOrText>")]
    pub port: Option<Value>,
    /// User to log in as.
    #[serde(default)]
    pub user: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: Named<String>,
    /// Steps at once on this host. Default 8.
    #[serde(default)]
    pub parallel: Option<u32>,
    /// Run commands as this user, through `sudo -n`.
    #[serde(default, rename = "become")]
    pub becomes: Option<String>,
    /// Folder for the state of jobs on this host.
    #[serde(default)]
    pub job_dir: Option<String>,
}

/// A number, or a text with a template that gives one.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum NumberOrText {
    Number(u16),
    Text(String),
}

/// A capacity.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pool")]
pub struct PoolDoc {
    /// Units that can be taken at once.
    pub capacity: u32,
}

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
