use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::instance;
use super::schedule::{Instance, Keys, fifo, waves};
use crate::id::ServiceId;
use crate::plan::Plan;
use crate::words::Rival;

/// What the same steps would take if they were run in a simpler way, with the same estimates and
/// pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The simpler way.
    pub with: Rival,
    /// Its time from start to end, milliseconds.
    pub makespan_ms: u64,
    /// Its time for each service, in the order of the plan.
    pub services: Vec<Compared>,
}

/// One service under the simpler way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// The service.
    pub name: ServiceId,
    /// When it would have recovered, milliseconds; absent if nothing counts for it.
    pub predicted_ms: Option<u64>,
    /// Whether it would meet its RTO; absent without one.
    pub meets_rto: Option<bool>,
}

/// The plan's steps, run in a simpler way.
#[must_use]
pub fn compare(plan: &Plan, with: Rival) -> Comparison {
    let instance: Instance = instance(plan);
    let starts = match with {
        Rival::Waves => waves(&instance, &Keys::new(&instance).ranks),
        Rival::Fifo => fifo(&instance),
    };
    let services = plan.services.iter().zip(&instance.goals).map(|(service, goal)| {
        let predicted_ms = instance.reached_ms(goal, &starts);
        let meets_rto = service.rto_ms.and_then(|rto| predicted_ms.map(|at| at <= rto));
        Compared { name: service.name.clone(), predicted_ms, meets_rto }
    });
    Comparison { with, makespan_ms: instance.makespan_ms(&starts), services: services.collect() }
}
