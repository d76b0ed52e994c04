use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, SealId, StepId};
use crate::time::Timestamp;

/// Makes a saved plan one that can be executed exactly as it was reviewed, once. Not covered by the
/// plan's digest: the same plan, sealed again, is another seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seal {
    /// Names this seal: it is executed once.
    pub id: SealId,
    /// When it was made.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Who made it: `USER@HOST`.
    pub by: String,
    /// From then on it is not executed any more; absent: it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires: Option<Timestamp>,
    /// The runbook that it was made from, then what that includes. Only to tell whether they have
    /// changed since: the plan needs none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SealedSource>,
}

/// A text that a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedSource {
    /// Where it lay, seen from the folder of the sealed plan.
    pub path: String,
    /// Digest of its content.
    pub sha256: Digest,
}

/// A file on the machine that runs `dr`, which a step sends or executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedFile {
    /// The step.
    pub step: StepId,
    /// As the step names it; a relative one counts from the folder in which `dr` is started.
    pub path: String,
    /// Digest of its content when planned; absent if it was not there, as when an earlier step
    /// makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}
