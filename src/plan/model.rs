use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::Host;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::span::Span;
use super::step::Step;
use super::undo::undone_by;
use super::{ANY, Include, Seal, UsedFile};
use crate::id::{Digest, RunId, ServiceId, StepId};
use crate::text::Templated;
use crate::words::{Class, Mode, Phase, Style};

/// Version of the plan's format.
pub const FORMAT: u32 = 1;

/// What would be done for one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// Name of the runbook.
    pub runbook: String,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Name of the environment.
    pub environment: String,
    /// Whether the environment asks for confirmation and refuses drills.
    pub protected: bool,
    /// Live or drill.
    pub mode: Mode,
    /// Graceful or ungraceful.
    pub style: Style,
    /// The phases taken.
    pub phases: Vec<Phase>,
    /// Whether a cancel takes back what was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo_on_cancel: bool,
    /// Digest over what it would do.
    pub digest: Digest,
    /// Predicted time from start to end, milliseconds.
    pub makespan_ms: u64,
    /// No plan of these steps can be shorter, milliseconds.
    pub lower_bound_ms: u64,
    /// The longest chain of steps, in order.
    pub critical_path: Vec<StepId>,
    /// Resolved inputs.
    pub inputs: BTreeMap<String, Value>,
    /// Resolved values.
    pub values: BTreeMap<String, Value>,
    /// Hosts by name.
    #[schemars(with = "BTreeMap<String, Host>")]
    pub hosts: BTreeMap<String, Host>,
    /// Where each secret comes from, tried in order. Never a value.
    pub secrets: BTreeMap<String, Vec<SecretSource>>,
    /// Plugins that its steps use.
    pub plugins: BTreeMap<String, PluginUse>,
    /// Capacities by name: `run` (steps at once), `host:NAME`, and the runbook's own.
    pub pools: BTreeMap<String, Pool>,
    /// Services in the order of the runbook.
    pub services: Vec<Service>,
    /// Times between two steps that are measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Locks that the run holds, beside that of its runbook and environment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub locks: BTreeSet<String>,
    /// Included runbooks, by the step that ends each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub includes: BTreeMap<StepId, Include>,
    /// Steps in the order of the runbook; a service's validation follows its last step.
    pub steps: Vec<Step>,
    /// Files on this machine that steps send or execute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<UsedFile>,
    /// Past runs that durations were learned from, the latest first. Not covered by the digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RunId>,
    /// What a run will probably take, if runs were simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// What a reviewer should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// Absent unless it was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// What many simulated runs took, with durations that vary as those of past runs did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// Runs that were simulated.
    pub samples: u32,
    /// Past runs in the same environment and mode that the spread was learned from; 0: it is stated.
    pub past_runs: u32,
    /// How much whole runs differ: standard deviation of the logarithm.
    pub run_spread: f64,
    /// How much one step differs within a run: standard deviation of the logarithm.
    pub step_spread: f64,
    /// Half of all runs end earlier, milliseconds.
    pub p50_ms: u64,
    /// Nine of ten runs end earlier.
    pub p90_ms: u64,
    /// Nineteen of twenty runs end earlier.
    pub p95_ms: u64,
    /// The share of runs that end no later than the plan predicts (`makespan_ms`).
    #[serde(default)]
    pub makespan_chance: f64,
    /// For each service with an RTO, the share of runs that met it.
    pub rto_chance: BTreeMap<ServiceId, f64>,
    /// For each step that decided the end of a run, the share of runs in which it did.
    pub criticality: BTreeMap<StepId, f64>,
}

/// A remark of the planner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// `DR2xxx`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file's content without its final newline.
    File(String),
    /// The standard output of a command, without its final newline.
    Command(Vec<String>),
    /// Whoever starts or resumes the run types it. Always true.
    Prompt(bool),
    /// Letters and digits made up for the run, once: how many.
    Generate(u32),
    /// A part of the JSON text that another source gives.
    Field {
        /// The source of the text.
        of: Box<SecretSource>,
        /// Where it stands in it: names, with dots between them.
        name: String,
    },
}

impl SecretSource {
    /// Where the text of a source comes from.
    #[must_use]
    pub fn origin(&self) -> &Self {
        match self {
            Self::Field { of, .. } => of.origin(),
            other => other,
        }
    }

    /// Whether the value is made up.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        matches!(self.origin(), Self::Generate(_))
    }
}

/// A plugin that the plan needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginUse {
    /// Its version when planned.
    pub version: String,
    /// Digest of its manifest when planned.
    pub manifest: Digest,
    /// The runbook's settings for it.
    #[schemars(with = "Value")]
    pub settings: Templated,
    /// Its program when planned; absent for a plugin that is linked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<Executable>,
}

/// The program of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Executable {
    /// Where it lies.
    pub path: String,
    /// Digest of its content.
    pub sha256: Digest,
}

/// How much of something there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Units that can be taken at once.
    pub capacity: u32,
}

/// A service, its objectives, and what is predicted for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: ServiceId,
    /// `database`, `filesystem`, `application`: a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its class.
    pub priority: Class,
    /// The number that orders it within its class.
    pub priority_number: u32,
    /// Recovery time objective, milliseconds.
    pub rto_ms: Option<u64>,
    /// Recovery point objective, milliseconds.
    pub rpo_ms: Option<u64>,
    /// Services that must have recovered first.
    pub depends_on: Vec<ServiceId>,
    /// Whether it has validation.
    pub validated: bool,
    /// Predicted recovery, milliseconds after the start of its clock: the start of the run, or the
    /// predicted end of the step that says `incident: true`.
    pub predicted_ms: Option<u64>,
    /// Half of all runs are faster.
    pub p50_ms: Option<u64>,
    /// Nine of ten runs are faster.
    pub p90_ms: Option<u64>,
    /// Nineteen of twenty runs are faster.
    pub p95_ms: Option<u64>,
    /// No plan of these steps can recover it earlier.
    pub lower_bound_ms: Option<u64>,
    /// What proves the lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// Whether the prediction meets the RTO; absent without one.
    pub meets_rto: Option<bool>,
}

/// Why a service cannot be recovered earlier by any plan of these steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Bound {
    /// These steps follow each other.
    Chain {
        /// The steps, in order.
        steps: Vec<StepId>,
    },
    /// Steps that must come before, and that one after the other have to pass through a pool.
    Pool {
        /// The pool.
        pool: String,
        /// How many of its units there are.
        capacity: u32,
        /// Units times milliseconds that must pass.
        work_ms: u64,
        /// Milliseconds before the first of them can begin.
        #[serde(default)]
        before_ms: u64,
    },
}

impl Plan {
    /// When the clocks of declaration and incident are predicted to start, milliseconds after the
    /// start of the run: at once, or when the last step that says `incident: true` is over.
    #[must_use]
    pub fn clock_start_ms(&self) -> u64 {
        let incidents = self.steps.iter().filter(|step| step.incident && step.skip.is_none());
        incidents.map(|step| step.finish_ms).max().unwrap_or(0)
    }

    /// All steps, those of loops that are expanded only during the run included: each stands once,
    /// with `*` in place of the element.
    pub fn every_step(&self) -> impl Iterator<Item = &Step> {
        let mut open: Vec<&Step> = self.steps.iter().rev().collect();
        std::iter::from_fn(move || {
            let step = open.pop()?;
            open.extend(step.template().iter().rev());
            Some(step)
        })
    }

    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id.as_str() == id)
    }

    /// The step that one of the run comes from: itself, or where it is made during the run, that of
    /// the template; with `!undo`, what takes it back.
    #[must_use]
    pub fn origin(&self, id: &str) -> Option<&Step> {
        if let Some(step) = self.step_or_undo(id) {
            return Some(step);
        }
        let of = undone_by(id);
        let named = of.unwrap_or(id);
        let step = self.every_step().find(|step| stands_for(step.id.as_str(), named))?;
        if of.is_some() { step.undo_step(id) } else { Some(step) }
    }

    /// The service with this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }
}

/// Whether a template's id is that of a step once its elements are known.
fn stands_for(template: &str, id: &str) -> bool {
    let mut parts = id.split('/');
    let fits = template.split('/').all(|part| {
        parts.next().is_some_and(|of| match (part.split_once('@'), of.split_once('@')) {
            (Some((name, ANY)), Some((of, _))) => name == of,
            _ => part == of,
        })
    });
    fits && parts.next().is_none()
}
