use std::collections::BTreeMap;

use super::Plan;
use crate::id::{ServiceId, StepId};

/// Where a run stands, as far as its future depends on it.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Milliseconds since the start of the run.
    pub elapsed_ms: u64,
    /// When each step that is over ended, in milliseconds since the start.
    pub finished: BTreeMap<StepId, u64>,
    /// When each step that runs started, in milliseconds since the start.
    pub started: BTreeMap<StepId, u64>,
    /// Steps that will never run.
    pub dropped: Vec<StepId>,
}

/// When what is left will be done, if everything takes as long as estimated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Projection {
    /// End of the run, in milliseconds since its start.
    pub finish_ms: u64,
    /// End of every service, in milliseconds since the start of the run; absent when it can no
    /// longer recover in this run.
    pub services: BTreeMap<ServiceId, Option<u64>>,
}

/// One forward pass over the plan from where the run stands: precedence and pools, in dispatch
/// order.
#[must_use]
pub fn project(plan: &Plan, progress: &Progress) -> Projection {
    let _ = (plan, progress);
    Projection::default()
}
