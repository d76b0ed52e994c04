use std::collections::{BTreeMap, HashMap};

use super::forward::{Lists, Network, Stand, dispatch};
use super::{Plan, Step, windows};
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
    /// When the clocks are expected to start, in milliseconds since the start of the run, if a step
    /// that is still to come or under way starts them.
    pub clock_start_ms: Option<u64>,
}

impl Projection {
    /// What the RTA clock shows at a moment of the run, in milliseconds from the declaration: nothing
    /// before the incident that a step of the run still has to bring about. `offset_ms`: what it
    /// showed at the start of the run.
    #[must_use]
    pub fn on_clock(&self, ms: u64, offset_ms: i64) -> u64 {
        match self.clock_start_ms {
            Some(start) => ms.saturating_sub(start),
            None => u64::try_from(offset_ms.saturating_add(ms as i64)).unwrap_or(0),
        }
    }
}

/// A plan made ready for many projections.
#[derive(Debug, Clone)]
pub struct Projector {
    network: Network,
    positions: HashMap<StepId, u32>,
    /// Services in the order of the plan, with the steps that count for them.
    services: Vec<(ServiceId, Vec<u32>)>,
    /// Steps that make the incident happen.
    incidents: Vec<u32>,
}

impl Projector {
    /// Reads a plan once.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let positions: HashMap<StepId, u32> = plan
            .steps
            .iter()
            .enumerate()
            .map(|(position, step)| (step.id.clone(), position as u32))
            .collect();
        let mut by_service: HashMap<&ServiceId, Vec<u32>> = HashMap::new();
        for (position, step) in plan.steps.iter().enumerate() {
            if let Some(service) = &step.service
                && step.counts_for_recovery()
                && step.skip.is_none()
            {
                by_service.entry(service).or_default().push(position as u32);
            }
        }
        let services = plan
            .services
            .iter()
            .map(|service| {
                (service.name.clone(), by_service.remove(&service.name).unwrap_or_default())
            })
            .collect();
        let incidents = plan.steps.iter().enumerate();
        let incidents = incidents.filter(|(_, step)| step.incident && step.skip.is_none());
        let incidents = incidents.map(|(position, _)| position as u32).collect();
        Self { network: network_of(plan, &positions), positions, services, incidents }
    }

    /// One forward pass from where the run stands: precedence and pools, in dispatch order.
    #[must_use]
    pub fn project(&self, progress: &Progress) -> Projection {
        let now = progress.elapsed_ms;
        let steps = self.network.durations.len();
        let mut stands = vec![Stand::Pending; steps];
        // Ends of what is over; of what is still to come, below.
        let mut ends: Vec<Option<u64>> = vec![None; steps];
        let mut dropped = vec![false; steps];
        for (id, start) in &progress.started {
            if let Some(step) = self.position(id) {
                let until_ms = (start + self.network.durations[step]).max(now);
                stands[step] = Stand::Running { until_ms };
                ends[step] = Some(until_ms);
            }
        }
        for (id, end) in &progress.finished {
            if let Some(step) = self.position(id) {
                stands[step] = Stand::Over;
                ends[step] = Some(*end);
            }
        }
        for id in &progress.dropped {
            if let Some(step) = self.position(id) {
                stands[step] = Stand::Over;
                dropped[step] = true;
            }
        }
        for (step, start) in
            dispatch(&self.network, now, &|step| stands[step]).into_iter().enumerate()
        {
            if stands[step] == Stand::Pending {
                ends[step] = start.map(|start| start + self.network.durations[step]);
            }
        }
        let services = self
            .services
            .iter()
            .map(|(name, counting)| {
                let lost = counting.is_empty()
                    || counting
                        .iter()
                        .any(|step| dropped[*step as usize] || ends[*step as usize].is_none());
                let end = counting.iter().filter_map(|step| ends[*step as usize]).max();
                (name.clone(), if lost { None } else { end })
            })
            .collect();
        let coming = self.incidents.iter().filter(|at| stands[**at as usize] != Stand::Over);
        let clock_start_ms = coming.filter_map(|at| ends[*at as usize]).max();
        Projection {
            finish_ms: ends.into_iter().flatten().max().unwrap_or(now),
            services,
            clock_start_ms,
        }
    }

    fn position(&self, id: &StepId) -> Option<usize> {
        self.positions.get(id).map(|position| *position as usize)
    }
}

/// The plan's graph by position, `run` as the first pool. Names that the plan does not have are
/// passed over.
#[must_use]
fn network_of(plan: &Plan, positions: &HashMap<StepId, u32>) -> Network {
    let mut pools: HashMap<&str, u32> = HashMap::new();
    let mut capacities = Vec::with_capacity(plan.pools.len());
    let first = plan.pools.iter().filter(|(name, _)| *name == "run");
    for (name, pool) in first.chain(plan.pools.iter().filter(|(name, _)| *name != "run")) {
        pools.insert(name, capacities.len() as u32);
        capacities.push(pool.capacity);
    }
    let mut windowed: HashMap<u32, Vec<u32>> = HashMap::new();
    for (end, begin) in windows(&plan.steps) {
        if let (Some(end), Some(begin)) = (positions.get(&end), positions.get(&begin)) {
            windowed.entry(*begin).or_default().push(*end);
        }
    }
    let mut before = Lists::default();
    let mut demands = Lists::default();
    let mut waits = Vec::with_capacity(plan.steps.len());
    for (position, step) in plan.steps.iter().enumerate() {
        let window = windowed.get(&(position as u32)).map_or(&[][..], Vec::as_slice);
        let edges = || {
            let written = step.needs.iter().chain(&step.after);
            written.filter_map(|id| positions.get(id)).chain(window)
        };
        waits.push(edges().count() as u32);
        before.push(edges().copied());
        demands.push(demands_of(step, &pools));
    }
    Network {
        durations: plan.steps.iter().map(Step::expected_ms).collect(),
        ranks: plan.ranks(),
        demands,
        successors: before.reversed(),
        waits,
        capacities,
        yields: plan.yields(&|id| positions.get(id).copied()),
    }
}

fn demands_of(step: &Step, pools: &HashMap<&str, u32>) -> Vec<(u32, u32)> {
    if step.skip.is_some() || step.opens.is_some() {
        return Vec::new();
    }
    let mut demands: Vec<(u32, u32)> = step
        .takes
        .iter()
        .filter_map(|(pool, units)| Some((*pools.get(pool.as_str())?, *units)))
        .filter(|(_, units)| *units > 0)
        .collect();
    // The pool that nearly every step takes comes first.
    demands.sort_unstable();
    demands
}

/// One forward pass over the plan from where the run stands: precedence and pools, in dispatch
/// order. For many passes over one plan, keep a [`Projector`].
#[must_use]
pub fn project(plan: &Plan, progress: &Progress) -> Projection {
    Projector::new(plan).project(progress)
}
