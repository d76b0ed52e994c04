use std::collections::HashMap;

use super::schedule::{Goal, Instance};
use crate::plan::{Plan, Step, windows};
use crate::words::Class;

/// The pools by position: `run` first, since nearly every step takes it.
pub(super) fn pool_names(plan: &Plan) -> impl Iterator<Item = &str> {
    std::iter::once("run")
        .chain(plan.pools.keys().map(String::as_str).filter(|name| *name != "run"))
}

/// The plan without its words: what there is to schedule.
pub(super) fn instance(plan: &Plan) -> Instance {
    let positions: HashMap<&str, u32> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(position, step)| (step.id.as_str(), position as u32))
        .collect();
    let pools: HashMap<&str, u32> =
        pool_names(plan).enumerate().map(|(position, name)| (name, position as u32)).collect();
    let services: HashMap<&str, usize> = plan
        .services
        .iter()
        .enumerate()
        .map(|(position, service)| (service.name.as_str(), position))
        .collect();
    let mut instance = Instance {
        capacities: pool_names(plan)
            .map(|name| plan.pools.get(name).map_or(1, |pool| pool.capacity))
            .collect(),
        ..Instance::default()
    };
    let counts = |step: &Step| step.counts_for_recovery() && step.skip.is_none();
    let mut windowed: HashMap<u32, Vec<u32>> = HashMap::new();
    for (end, begin) in windows(&plan.steps) {
        if let (Some(end), Some(begin)) =
            (positions.get(end.as_str()), positions.get(begin.as_str()))
        {
            windowed.entry(*begin).or_default().push(*end);
        }
    }
    // Steps that another step of their service waits for do not end it.
    let mut followed = vec![false; plan.steps.len()];
    for (position, step) in plan.steps.iter().enumerate() {
        instance.durations.push(step.expected_ms());
        let window = windowed.get(&(position as u32)).map_or(&[][..], Vec::as_slice);
        let before = || {
            step.needs
                .iter()
                .chain(&step.after)
                .filter_map(|id| positions.get(id.as_str()).copied())
        };
        instance.predecessors.push(before().chain(window.iter().copied()));
        if step.service.is_some() && counts(step) {
            for before in before() {
                followed[before as usize] |= plan.steps[before as usize].service == step.service;
            }
        }
        // What an element holds from its beginning to its end is in its window.
        let mut demands: Vec<(u32, u32)> = if step.skip.is_some() || step.opens.is_some() {
            Vec::new()
        } else {
            step.takes
                .iter()
                .filter_map(|(name, units)| Some((*pools.get(name.as_str())?, *units)))
                .collect()
        };
        demands.sort_unstable();
        instance.demands.push(demands);
        // What closes another step has only the urgency of what waits for it.
        let service = step.service.as_ref().filter(|_| step.closes.is_none());
        let service = service.and_then(|name| services.get(name.as_str()));
        instance.priorities.push(service.map_or((Class::Low, Class::Low.number()), |service| {
            let service = &plan.services[*service];
            (service.priority, service.priority_number)
        }));
    }
    instance.goals = plan
        .services
        .iter()
        .map(|service| Goal { class: service.priority, due_ms: service.rto_ms, ends: Vec::new() })
        .collect();
    for (position, step) in plan.steps.iter().enumerate() {
        if let Some(service) = step.service.as_ref().and_then(|name| services.get(name.as_str()))
            && counts(step)
            && !followed[position]
        {
            instance.goals[*service].ends.push(position as u32);
        }
    }
    instance.link();
    instance
}
