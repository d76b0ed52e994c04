//! What a run has achieved when a session of it ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::id::{ServiceId, StepId};

/// A session's end, with what was achieved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFinished {
    /// Number of the session, from 1.
    pub session: u32,
    /// How it ended.
    pub verdict: Verdict,
    /// One sentence for people.
    pub reason: String,
    /// What was achieved, in the order of the runbook.
    pub services: Vec<Achieved>,
    /// Times between two steps that were measured, in the order of the runbook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpanAchieved>,
    /// How many records the journal has, this one included.
    pub count: u64,
}

/// Objectives and what was achieved, for one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Achieved {
    /// The service.
    pub name: ServiceId,
    /// Recovery time objective in milliseconds.
    pub rto_ms: Option<u64>,
    /// Achieved recovery time: from the declaration to the end of the service's last step.
    pub rta_ms: Option<u64>,
    /// Absent without an objective.
    pub met_rto: Option<bool>,
    /// Recovery point objective in milliseconds.
    pub rpo_ms: Option<u64>,
    /// Achieved recovery point: the incident time less the recovery point.
    pub rpa_ms: Option<i64>,
    /// Absent without an objective.
    pub met_rpo: Option<bool>,
    /// Why a figure is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A time between two steps, and what was achieved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpanAchieved {
    /// Its name.
    pub name: String,
    /// The step that opened it.
    pub from: StepId,
    /// The step that closed it.
    pub to: StepId,
    /// How long it may take, milliseconds.
    pub objective_ms: Option<u64>,
    /// How long it took, milliseconds; absent if it was not measured.
    pub took_ms: Option<u64>,
    /// Absent without an objective, or if one of its steps was passed over.
    pub met: Option<bool>,
    /// Why it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
