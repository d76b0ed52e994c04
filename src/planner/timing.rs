//! Everything in a plan that follows from expected durations.

use std::collections::HashMap;

use super::schedule::{self, Effort, Goal, Instance, Keys, Proof, Value};
use super::{clock, codes, spans};
use crate::id::Digest;
use crate::plan::{Notice, Plan, Service, Span, Step, Urgency, list_schedule};
use crate::runbook::{Graph, NodeKind};
use crate::time::Millis;
use crate::words::Class;

/// Everything that depends on expected durations.
pub(super) fn schedule_plan(plan: &mut Plan, graph: &Graph, schedules: Option<usize>) {
    let mut instance = instance(plan);
    let incident = clock::Incident::new(plan, &instance);
    incident.shift_goals(&mut instance);
    let instance = instance;
    let keys = Keys::new(&instance);
    let bounds = schedule::bounds(&instance);
    let standard = Effort::standard(instance.len(), seed(&plan.digest));
    let effort = Effort { schedules: schedules.unwrap_or(standard.schedules), ..standard };
    let (starts, _) = schedule::optimise(&instance, &keys, &bounds, effort);
    let slack = schedule::slack_ms(&instance, &starts);
    let latest_starts = dispatch_keys(&instance, &keys, &starts);
    // Ties by number are settled here, so that the order of the keys alone is the dispatch order.
    let mut order: Vec<u32> = (0..plan.steps.len() as u32).collect();
    order.sort_by_key(|step| (keys.urgency[*step as usize].1, *step));
    for (place, step) in order.into_iter().enumerate() {
        let index = step as usize;
        plan.steps[index].urgency = Urgency {
            class: keys.urgency[index].0,
            latest_start_ms: latest_starts[index],
            order: place as u32,
        };
    }
    for (index, step) in plan.steps.iter_mut().enumerate() {
        if let Some(undo) = &mut step.undo {
            undo.urgency = step.urgency;
        }
        step.start_ms = starts[index];
        step.finish_ms = starts[index] + step.expected_ms();
        step.slack_ms = slack[index];
    }
    for index in &keys.critical_path {
        let step = &mut plan.steps[*index as usize];
        let joins = matches!(graph.node(*index as usize).kind, NodeKind::Join { .. });
        if step.skip.is_none() && !joins {
            step.critical = true;
            plan.critical_path.push(step.id.clone());
        }
    }
    let clock_start = plan.clock_start_ms();
    plan.makespan_ms = instance.makespan_ms(&starts);
    plan.lower_bound_ms = bounds.makespan_ms;
    let pools: Vec<String> = pool_names(plan).map(str::to_owned).collect();
    let mut notices = Vec::new();
    for (service, (goal, bound)) in
        plan.services.iter_mut().zip(instance.goals.iter().zip(&bounds.goals))
    {
        let reached = instance.reached_ms(goal, &starts);
        service.predicted_ms = reached.map(|ms| ms.saturating_sub(clock_start));
        service.lower_bound_ms = bound.as_ref().map(|(ms, _)| incident.lower_bound(*ms, goal));
        service.meets_rto =
            service.rto_ms.and_then(|rto| service.predicted_ms.map(|predicted| predicted <= rto));
        let (Some(false), Some(rto), Some((least, proof))) =
            (service.meets_rto, service.rto_ms, bound)
        else {
            continue;
        };
        notices.push(if *least > rto && !incident.happens() {
            let proof = describe(&instance, &plan.steps, &pools, proof);
            impossible(service, rto, *least, &proof)
        } else {
            Notice {
                code: codes::MISSED.to_owned(),
                message: format!(
                    "service `{}` is predicted to miss its RTO of {} by {}",
                    service.name,
                    Millis(rto),
                    Millis(service.predicted_ms.unwrap_or(0) - rto),
                ),
            }
        });
    }
    spans::predict(plan);
    notices.extend(plan.spans.iter().filter_map(late));
    plan.notices.extend(notices);
}

fn late(span: &Span) -> Option<Notice> {
    let (objective, predicted) = (span.objective_ms?, span.predicted_ms?);
    (predicted > objective).then(|| Notice {
        code: codes::MISSED.to_owned(),
        message: format!(
            "span `{}` is predicted to take {}, {} more than it may",
            span.name,
            Millis(predicted),
            Millis(predicted - objective),
        ),
    })
}

/// The seed of the search: the same plan is searched in the same way anywhere.
fn seed(digest: &Digest) -> u64 {
    let hex = digest.as_str().trim_start_matches("sha256:");
    u64::from_str_radix(hex.get(..16).unwrap_or("0"), 16).unwrap_or(0)
}

/// Latest starts for the dispatch of the run. Where the search found a better order than the
/// objectives alone give, and dispatch by its starts comes closer to it, those count.
fn dispatch_keys(instance: &Instance, keys: &Keys, starts: &[u64]) -> Vec<i64> {
    let by_objectives = list_schedule(&instance.network(&keys.ranks));
    if by_objectives == starts {
        return keys.latest_starts.clone();
    }
    let mut order: Vec<u32> = (0..instance.len() as u32).collect();
    order.sort_by_key(|step| {
        let (class, number) = keys.urgency[*step as usize];
        (class, starts[*step as usize], number, *step)
    });
    let mut ranks = vec![0; instance.len()];
    for (rank, step) in order.iter().enumerate() {
        ranks[*step as usize] = rank as u32;
    }
    let by_starts = list_schedule(&instance.network(&ranks));
    if Value::new(instance, &by_starts) < Value::new(instance, &by_objectives) {
        return starts.iter().map(|start| *start as i64).collect();
    }
    keys.latest_starts.clone()
}

fn impossible(service: &Service, rto: u64, least: u64, proof: &str) -> Notice {
    Notice {
        code: codes::IMPOSSIBLE.to_owned(),
        message: format!(
            "service `{}` cannot meet its RTO of {} with this runbook: {proof} {} at least",
            service.name,
            Millis(rto),
            Millis(least),
        ),
    }
}

fn describe(instance: &Instance, steps: &[Step], pools: &[String], proof: &Proof) -> String {
    match proof {
        Proof::Chain { last } => {
            let chain: Vec<String> = schedule::chain_to(instance, *last)
                .into_iter()
                .map(|step| &steps[step as usize])
                .filter(|step| step.expected_ms() > 0)
                .map(|step| format!("{} ({})", step.id, Millis(step.expected_ms()).short()))
                .collect();
            format!("the chain {} takes", chain.join(" -> "))
        }
        Proof::Pool { pool, .. } => format!(
            "what must pass through pool `{}` ({} at once) before it takes",
            pools[*pool as usize], instance.capacities[*pool as usize],
        ),
    }
}

/// The pools by position: `run` first, since nearly every step takes it.
fn pool_names(plan: &Plan) -> impl Iterator<Item = &str> {
    std::iter::once("run")
        .chain(plan.pools.keys().map(String::as_str).filter(|name| *name != "run"))
}

/// The plan without its words.
fn instance(plan: &Plan) -> Instance {
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
    // Steps that another step of their service waits for do not end it.
    let mut followed = vec![false; plan.steps.len()];
    for step in &plan.steps {
        instance.durations.push(step.expected_ms());
        let before = || {
            step.needs
                .iter()
                .chain(&step.after)
                .filter_map(|id| positions.get(id.as_str()).copied())
        };
        instance.predecessors.push(before());
        if step.service.is_some() && counts(step) {
            for before in before() {
                followed[before as usize] |= plan.steps[before as usize].service == step.service;
            }
        }
        let mut demands: Vec<(u32, u32)> = if step.skip.is_some() {
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

pub(super) fn guessed(plan: &Plan) -> Option<Notice> {
    use crate::plan::EstimateSource::Typical;
    let calls = plan.steps.iter().filter(|step| step.uses.is_some() && step.skip.is_none());
    let guessed = calls.clone().filter(|step| step.estimate_source == Typical).count();
    (guessed > 0).then(|| Notice {
        code: codes::GUESSED.to_owned(),
        message: format!(
            "{guessed} of {} durations are only what such actions typically take: declare \
             `estimate`, or let runs be recorded",
            calls.count(),
        ),
    })
}
