//! Everything in a plan that follows from expected durations.

use std::cell::LazyCell;
use std::collections::HashMap;

use super::emit::keep_item_order;
use super::problem::{instance, pool_names};
use super::schedule::{self, Chains, Effort, Instance, Keys, Proof, Value};
use super::{clock, codes, spans};
use crate::id::{Digest, StepId};
use crate::plan::{Bound, Notice, Plan, Service, Span, Step, Urgency, Yield, list_schedule};
use crate::time::Millis;

/// Everything that depends on expected durations.
pub(super) fn schedule_plan(plan: &mut Plan, schedules: Option<usize>) {
    let mut instance = instance(plan);
    let incident = clock::Incident::new(plan, &instance);
    incident.shift_goals(&mut instance);
    let instance = instance;
    let keys = Keys::new(&instance);
    let bounds = schedule::bounds(&instance);
    let standard = Effort::standard(instance.len(), seed(&plan.digest));
    let effort = Effort { schedules: schedules.unwrap_or(standard.schedules), ..standard };
    let by_objectives = list_schedule(&instance.network(&keys.ranks));
    let (starts, _) =
        schedule::optimise_from(&instance, &keys, &bounds, effort, by_objectives.clone());
    let latest_starts = dispatch_keys(&instance, &keys, &starts, &by_objectives);
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
    keep_item_order(&mut plan.steps);
    let (starts, yields) = if starts == by_objectives {
        (starts, Vec::new())
    } else {
        schedule::follow(&instance, &plan.ranks(), &starts)
    };
    for Yield { step, to, .. } in yields {
        let to = to.into_iter().map(|other| plan.steps[other as usize].id.clone()).collect();
        plan.steps[step as usize].yields_to = to;
    }
    let slack = schedule::slack_ms(&instance, &starts);
    for (index, step) in plan.steps.iter_mut().enumerate() {
        let urgency = step.urgency;
        step.each_undo(&mut |undo| undo.urgency = urgency);
        step.start_ms = starts[index];
        step.finish_ms = starts[index] + step.expected_ms();
        step.slack_ms = slack[index];
    }
    for index in &keys.critical_path {
        let step = &mut plan.steps[*index as usize];
        if step.skip.is_none() && !step.is_joint() {
            step.critical = true;
            plan.critical_path.push(step.id.clone());
        }
    }
    let clock_start = plan.clock_start_ms();
    plan.makespan_ms = instance.makespan_ms(&starts);
    plan.lower_bound_ms = bounds.makespan_ms;
    let pools: Vec<String> = pool_names(plan).map(str::to_owned).collect();
    let chains = Chains::new(&instance);
    let expected: LazyCell<HashMap<&StepId, u64>, _> =
        LazyCell::new(|| plan.steps.iter().map(|step| (&step.id, step.expected_ms())).collect());
    let mut notices = Vec::new();
    for (service, (goal, bound)) in
        plan.services.iter_mut().zip(instance.goals.iter().zip(&bounds.goals))
    {
        let reached = instance.reached_ms(goal, &starts);
        service.predicted_ms = reached.map(|ms| ms.saturating_sub(clock_start));
        service.lower_bound_ms = bound.as_ref().map(|(ms, _)| incident.lower_bound(*ms, goal));
        service.bound = bound
            .as_ref()
            .map(|(ms, proof)| bound_of(&instance, &plan.steps, &pools, &chains, (*ms, proof)));
        service.meets_rto =
            service.rto_ms.and_then(|rto| service.predicted_ms.map(|predicted| predicted <= rto));
        let (Some(false), Some(rto), Some(least), Some(bound)) =
            (service.meets_rto, service.rto_ms, service.lower_bound_ms, &service.bound)
        else {
            continue;
        };
        notices.push(if least > rto && !incident.happens() {
            impossible(service, rto, least, &describe(bound, &expected))
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

/// The seed of the search and of the forecast: the same plan is searched in the same way anywhere.
pub(super) fn seed(digest: &Digest) -> u64 {
    let hex = digest.hex();
    u64::from_str_radix(hex.get(..16).unwrap_or("0"), 16).unwrap_or(0)
}

/// Latest starts for the dispatch of the run. Where the search found a better order than the
/// objectives alone give, and dispatch by its starts comes closer to it, those count.
fn dispatch_keys(
    instance: &Instance,
    keys: &Keys,
    starts: &[u64],
    by_objectives: &[u64],
) -> Vec<i64> {
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
    if Value::new(instance, &by_starts) < Value::new(instance, by_objectives) {
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

/// What proves a bound, in the words of the plan.
fn bound_of(
    instance: &Instance,
    steps: &[Step],
    pools: &[String],
    chains: &Chains,
    (ms, proof): (u64, &Proof),
) -> Bound {
    match proof {
        Proof::Chain { last } => Bound::Chain {
            steps: chains
                .to(*last)
                .into_iter()
                .map(|step| &steps[step as usize])
                .filter(|step| step.expected_ms() > 0)
                .map(|step| step.id.clone())
                .collect(),
        },
        Proof::Pool { pool, work } => Bound::Pool {
            pool: pools[*pool as usize].clone(),
            capacity: instance.capacities[*pool as usize],
            work_ms: *work,
            before_ms: ms.saturating_sub(passing_ms(*work, instance.capacities[*pool as usize])),
        },
    }
}

fn describe(bound: &Bound, steps: &HashMap<&StepId, u64>) -> String {
    match bound {
        Bound::Chain { steps: chain } => {
            let chain: Vec<String> = chain
                .iter()
                .map(|id| format!("{id} ({})", Millis(steps.get(id).copied().unwrap_or(0)).short()))
                .collect();
            format!("the chain {} takes", chain.join(" -> "))
        }
        Bound::Pool { pool, capacity, work_ms, before_ms } => {
            let through = format!("through pool `{pool}` ({capacity} at once)");
            if *before_ms == 0 {
                return format!("what must pass {through} before it takes");
            }
            let passing = Millis(passing_ms(*work_ms, *capacity)).short();
            let before = Millis(*before_ms).short();
            format!("{before} before it can begin, then {passing} {through} take")
        }
    }
}

/// How long units times milliseconds keep a pool busy.
fn passing_ms(work_ms: u64, capacity: u32) -> u64 {
    work_ms.div_ceil(u64::from(capacity.max(1)))
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
