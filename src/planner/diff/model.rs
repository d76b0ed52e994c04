use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{Digest, ServiceId, StepId};

/// Version of the format.
pub(super) const FORMAT: u32 = 1;

/// What is different between two plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanDiff {
    /// Version of this format.
    pub format: u32,
    /// Name of the runbook: the new one's, else the old one's.
    pub runbook: String,
    /// Name of the environment.
    pub environment: String,
    /// Whether both would do exactly the same: their digests are equal.
    pub same: bool,
    /// Digests; absent where there is no runbook.
    pub digest: Changed<Option<Digest>>,
    /// Predicted time from start to end, milliseconds.
    pub makespan_ms: Changed<Option<u64>>,
    /// What a reviewer should look at, most serious first.
    pub watch: Vec<Watch>,
    /// Services, in the order of the runbook.
    pub services: Vec<ServiceDiff>,
    /// Steps that are new.
    pub added: Vec<StepLine>,
    /// Steps that are gone.
    pub removed: Vec<StepLine>,
    /// Steps that would do something else, or under other conditions.
    pub changed: Vec<StepDiff>,
    /// Whether steps or services that are in both plans stand in another order, which settles ties.
    #[serde(default)]
    pub reordered: bool,
    /// What else would be different: inputs, values, hosts, secrets, plugins, pools.
    pub other: Vec<FieldChange>,
}

/// Before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed<T> {
    /// Before.
    pub old: T,
    /// After.
    pub new: T,
}

/// A step in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepLine {
    /// Its id.
    pub id: StepId,
    /// Its service.
    pub service: Option<ServiceId>,
    /// What it does, and where.
    pub what: String,
}

/// A step that is in both plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepDiff {
    /// Its id.
    pub id: StepId,
    /// Its service.
    pub service: Option<ServiceId>,
    /// What is different.
    pub fields: Vec<FieldChange>,
}

/// A field that is different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// Its name, as the plan has it: `timeout_ms`, `hosts.db`.
    pub field: String,
    /// What it was; null where there was none.
    pub old: Value,
    /// What it is; null where there is none.
    pub new: Value,
}

/// A service before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDiff {
    /// Its name.
    pub name: ServiceId,
    /// Whether anything of it is different.
    pub same: bool,
    /// Its class.
    pub priority: Changed<Option<String>>,
    /// RTO, milliseconds.
    pub rto_ms: Changed<Option<u64>>,
    /// RPO, milliseconds.
    pub rpo_ms: Changed<Option<u64>>,
    /// Predicted recovery, milliseconds.
    pub predicted_ms: Changed<Option<u64>>,
    /// Nine of ten runs are faster, milliseconds; null until it is known.
    pub p90_ms: Changed<Option<u64>>,
    /// Whether the prediction meets the RTO.
    pub meets_rto: Changed<Option<bool>>,
}

/// A P90 that moved by less than this share, while the prediction stands still, has not changed:
/// it is that of a sample of runs.
const SAMPLED: f64 = 0.03;

impl ServiceDiff {
    /// P90 before and after; the same twice where nothing but the sample differs.
    pub(super) fn p90(&self) -> Changed<Option<u64>> {
        let p90 = self.p90_ms.clone();
        match (p90.old, p90.new) {
            (Some(old), Some(new))
                if self.predicted_ms.old == self.predicted_ms.new
                    && old.abs_diff(new) as f64 <= old as f64 * SAMPLED =>
            {
                Changed { old: Some(new), new: Some(new) }
            }
            _ => p90,
        }
    }
}

/// What a reviewer should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watch {
    /// What kind.
    pub kind: WatchKind,
    /// The step, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The service, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceId>,
    /// One sentence for people.
    pub text: String,
}

/// What kind of thing to look at, most serious first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WatchKind {
    /// After a step there is no way back, and there was before; or a new step is done at most once,
    /// and nothing takes it back or tells whether it was done.
    NewIrreversible,
    /// Nothing takes a step back any more.
    UndoLost,
    /// A step would be repeated more freely when its outcome is unknown.
    LaxerEffect,
    /// People are not asked any more, or fewer of them, or a rejection does less.
    GateLost,
    /// Something need not hold any more, or only warns.
    GuardLost,
    /// What a step was does not stop what it stopped.
    LaxerPolicy,
    /// An attempt may take as long as it likes.
    LimitLost,
    /// A step does not wait any more for what it waited for.
    DependencyLost,
    /// The environment does not ask for confirmation any more.
    ProtectionLost,
    /// A validation is gone.
    ValidationLost,
    /// An objective that was met is missed.
    ObjectiveMissed,
    /// An objective is less strict, or gone, or the service is less urgent.
    ObjectiveRelaxed,
    /// The recovery is predicted to take longer.
    Slower,
}

impl WatchKind {
    /// The words for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NewIrreversible => "no way back",
            Self::UndoLost => "undo lost",
            Self::LaxerEffect => "laxer effect",
            Self::GateLost => "gate lost",
            Self::GuardLost => "guard lost",
            Self::LaxerPolicy => "laxer policy",
            Self::LimitLost => "limit lost",
            Self::DependencyLost => "dependency lost",
            Self::ProtectionLost => "protection lost",
            Self::ValidationLost => "validation lost",
            Self::ObjectiveMissed => "objective missed",
            Self::ObjectiveRelaxed => "objective relaxed",
            Self::Slower => "slower",
        }
    }
}
