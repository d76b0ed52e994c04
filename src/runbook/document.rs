//! The YAML language, one struct per construct. The doc comments here are the descriptions in the
//! generated JSON Schema.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::step_document::{ExpectDoc, StepDoc};
use super::written::Written;
use crate::words::{Class, InputType, OnCancel, OnFailure, Phase};
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
    /// How long the checks may take to pass. Default 1m. Until then an expectation that does not hold, a
    /// target that does not answer and a command that ends with another exit code mean "not yet"; any other
    /// error fails at once.
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
