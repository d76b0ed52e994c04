use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::SkipReason;
use crate::id::StepId;
use crate::plan::{EdgeReason, EstimateSource, Plan, Step};
use crate::words::Class;

/// Why a step starts when it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The step.
    pub step: StepId,
    /// Why the plan passes it over; then all times are 0.
    pub skip: Option<SkipReason>,
    /// When it starts, milliseconds after the start of the run.
    pub start_ms: u64,
    /// How long it takes, milliseconds.
    pub estimate_ms: u64,
    /// Where that is known from.
    pub estimate_source: EstimateSource,
    /// What it waits for, the last to end first.
    pub waits_for: Vec<Awaited>,
    /// When all of that has ended, milliseconds.
    pub ready_ms: u64,
    /// The pools that lacked units until it started.
    pub pools: Vec<Crowd>,
    /// Steps that it lets start first although it could start itself.
    pub yields_to: Vec<StepId>,
    /// How much later it could start without making anything late; negative: it is late.
    pub slack_ms: i64,
    /// `start_ms + slack_ms`.
    pub latest_start_ms: i64,
    /// Whether it is on the critical path.
    pub critical: bool,
    /// The class by which it is dispatched: its service's, or one inherited from what waits for it.
    pub class: Class,
    /// The moment that orders it within the class, milliseconds.
    pub key_ms: i64,
}

/// A step that another waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Awaited {
    /// The step.
    pub step: StepId,
    /// Whether it must have succeeded, or only be over.
    pub must_succeed: bool,
    /// Where the edge comes from; absent: the runbook names it.
    pub because: Option<EdgeReason>,
    /// When it ends, milliseconds.
    pub finish_ms: u64,
}

/// A pool that lacked units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crowd {
    /// The pool.
    pub pool: String,
    /// Units there are.
    pub capacity: u32,
    /// Units that were taken just before the step started.
    pub taken: u32,
    /// Units that the step wants.
    pub wanted: u32,
    /// Who held them, in order of their starts.
    pub holders: Vec<StepId>,
    /// Whether all of them come first in the order of dispatch.
    pub more_urgent: bool,
}

/// Explains the start of a step. `None` if there is no such step.
#[must_use]
pub fn why(plan: &Plan, id: &str) -> Option<Why> {
    let step = plan.step(id)?;
    let waits_for = awaited(plan, step);
    let ready_ms = waits_for.first().map_or(0, |last| last.finish_ms);
    let waited = step.skip.is_none() && step.start_ms > ready_ms;
    Some(Why {
        step: step.id.clone(),
        skip: step.skip,
        start_ms: step.start_ms,
        estimate_ms: step.expected_ms(),
        estimate_source: step.estimate_source,
        waits_for,
        ready_ms,
        pools: if waited { crowds(plan, step) } else { Vec::new() },
        yields_to: step.yields_to.clone(),
        slack_ms: step.slack_ms,
        latest_start_ms: step.slack_ms.saturating_add_unsigned(step.start_ms),
        critical: step.critical,
        class: step.urgency.class,
        key_ms: step.urgency.latest_start_ms,
    })
}

fn awaited(plan: &Plan, step: &Step) -> Vec<Awaited> {
    let needs = step.needs.iter().map(|id| (id, true));
    let after = step.after.iter().map(|id| (id, false));
    let mut before: Vec<Awaited> = needs
        .chain(after)
        .filter_map(|(id, must_succeed)| {
            Some(Awaited {
                step: id.clone(),
                must_succeed,
                because: step.because.get(id).copied(),
                finish_ms: plan.step(id.as_str())?.finish_ms,
            })
        })
        .collect();
    before.sort_by(|one, other| {
        other.finish_ms.cmp(&one.finish_ms).then_with(|| one.step.cmp(&other.step))
    });
    before
}

/// The pools that were too full just before the step started.
fn crowds(plan: &Plan, step: &Step) -> Vec<Crowd> {
    step.takes
        .iter()
        .filter_map(|(pool, wanted)| {
            let capacity = plan.pools.get(pool)?.capacity;
            let mut holders: Vec<&Step> = plan
                .steps
                .iter()
                .filter(|other| other.skip.is_none() && other.takes.contains_key(pool))
                .filter(|other| other.start_ms < step.start_ms && step.start_ms <= other.finish_ms)
                .collect();
            holders.sort_by_key(|other| (other.start_ms, other.urgency));
            let taken: u32 = holders.iter().filter_map(|other| other.takes.get(pool)).sum();
            (taken + wanted > capacity).then(|| Crowd {
                pool: pool.clone(),
                capacity,
                taken,
                wanted: *wanted,
                more_urgent: holders.iter().all(|other| other.urgency < step.urgency),
                holders: holders.iter().map(|other| other.id.clone()).collect(),
            })
        })
        .collect()
}
