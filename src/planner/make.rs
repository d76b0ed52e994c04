use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::names::Known;
use super::request::{Estimates, PlanRequest};
use super::resolve::{self, Environment};
use super::schedule::{self, Goal, Instance, Keys, Proof};
use super::select::{self, Selection};
use super::steps::Maker;
use super::{codes, objectives};
use crate::catalog::Catalog;
use crate::event::SkipReason;
use crate::id::{Digest, StepId};
use crate::plan::{
    EdgeReason, FORMAT, Notice, Plan, PluginUse, Service, Step, Urgency, digest, list_schedule,
};
use crate::runbook::{EdgeKind, Graph, Level, NodeKind, Problem, Reason, Runbook};
use crate::text::Templated;
use crate::time::Millis;
use crate::words::{Class, Mode, Phase};

/// The plan of a runbook for one environment: resolved, selected, scheduled.
///
/// # Errors
/// Everything that is wrong with the runbook or with what is asked of it, at once.
pub fn plan(
    runbook: &Runbook,
    catalog: &Catalog,
    request: &PlanRequest,
    estimates: &Estimates,
) -> Result<Plan, Vec<Problem>> {
    let document = &runbook.document;
    let (graph, mut problems) = Graph::build(document);
    if problems.iter().any(|problem| problem.level == Level::Error) {
        return Err(problems);
    }
    let services = objectives::services(document, &mut problems);
    let selection = select::select(document, &graph, request, &mut problems);
    let Some(environment) = resolve::resolve(document, request, &mut problems) else {
        return Err(problems);
    };
    let file = runbook.file.rsplit('/').next().unwrap_or(&runbook.file);
    let mut maker = Maker {
        document,
        file,
        catalog,
        environment: &environment,
        estimates,
        problems,
        plugins: BTreeSet::new(),
        reads: Vec::new(),
        reads_style: None,
    };
    let mut steps = make_steps(&mut maker, &graph, &selection);
    check_reads(&mut maker, &graph, &steps, request);
    let Maker { problems, plugins, .. } = maker;
    if problems.iter().any(|problem| problem.level == Level::Error) {
        return Err(problems);
    }
    add_edges(&mut steps, &graph);
    if selection.phases.contains(&Phase::Cleanup) {
        add_cleanup_edges(&mut steps, &graph);
    }
    let plugins = used_plugins(plugins, catalog, &environment);
    let Selection { phases, notices, .. } = selection;
    let Environment { protected, known, secrets, pools, .. } = environment;
    let Known { mode, style, environment, inputs, values, hosts } = known;
    let mut plan = Plan {
        format: FORMAT,
        runbook: document.runbook.value.clone(),
        description: document.description.clone(),
        owner: document.owner.clone(),
        environment,
        protected,
        mode,
        style,
        phases,
        digest: Digest::from(""),
        makespan_ms: 0,
        lower_bound_ms: 0,
        critical_path: Vec::new(),
        inputs,
        values,
        hosts,
        secrets: BTreeMap::new(),
        plugins,
        pools,
        services,
        steps,
        notices,
    };
    let used = used_secrets(&plan);
    plan.secrets = secrets.into_iter().filter(|(name, _)| used.contains(name)).collect();
    schedule_plan(&mut plan, &graph);
    plan.notices.extend(guessed(&plan));
    plan.digest = digest(&plan);
    Ok(plan)
}

fn make_steps(maker: &mut Maker<'_>, graph: &Graph, selection: &Selection) -> Vec<Step> {
    graph
        .nodes()
        .zip(&selection.skips)
        .map(|(node, skip)| match node.kind {
            NodeKind::Step { step } => maker.step(step, *skip),
            NodeKind::Check { service, validation, check } => {
                maker.validation_check(node.id.clone(), (service, validation, check), *skip)
            }
            NodeKind::Tally { service, validation } => {
                maker.validation_tally(node.id.clone(), (service, validation), *skip)
            }
            NodeKind::Join { .. } => maker.blank(node.id.clone()),
        })
        .collect()
}

/// What can only be said once every step is known: reads of steps that are left out, and of the
/// style.
fn check_reads(maker: &mut Maker<'_>, graph: &Graph, steps: &[Step], request: &PlanRequest) {
    for (id, at, path) in std::mem::take(&mut maker.reads) {
        let Some(read) = graph.position(id.as_str()).map(|position| &steps[position]) else {
            continue;
        };
        if read.skip == Some(SkipReason::Phase) && path.field(2) == Some("outputs") {
            let phase = read.phase.map_or("", Phase::as_str);
            maker.problems.push(
                Problem::error(
                    codes::OUTPUTS_LEFT_OUT,
                    at,
                    format!("`{path}` is read, but `{id}` (phase {phase}) is not taken"),
                )
                .with_help("take its phase as well"),
            );
        }
    }
    if let Some(at) = maker.reads_style.take()
        && request.style.is_none()
        && request.mode == Mode::Live
    {
        maker.problems.push(
            Problem::error(codes::STYLE, at, "this depends on the style of the failover")
                .with_help(
                    "say whether the primary still answers: `--style graceful` or `--style \
                     ungraceful`",
                ),
        );
    }
}

fn add_edges(steps: &mut [Step], graph: &Graph) {
    for position in 0..graph.len() {
        for (before, edge) in graph.incoming(position) {
            let id = graph.node(before).id.clone();
            let step = &mut steps[position];
            let reason = match edge.reason {
                Reason::Written => None,
                Reason::Order => Some(EdgeReason::Order),
                Reason::Service { .. } => Some(EdgeReason::Service),
                Reason::Validation | Reason::Join => Some(EdgeReason::Validation),
            };
            if let Some(reason) = reason {
                step.because.insert(id.clone(), reason);
            }
            match edge.kind {
                EdgeKind::Needs => step.needs.push(id),
                EdgeKind::After => step.after.push(id),
            }
        }
    }
}

/// A drill's cleanup comes after everything else, however that ended.
fn add_cleanup_edges(steps: &mut [Step], graph: &Graph) {
    let is_cleanup = |position: usize| steps[position].phase == Some(Phase::Cleanup);
    // Cleanup steps and what waits for them.
    let mut late: Vec<bool> = (0..steps.len()).map(is_cleanup).collect();
    let mut followed = vec![false; steps.len()];
    let mut first = vec![true; steps.len()];
    for position in graph.topological() {
        for (before, _) in graph.incoming(position) {
            late[position] |= late[before];
            first[position] &= !late[before];
        }
    }
    for position in 0..steps.len() {
        for (before, _) in graph.incoming(position) {
            followed[before] |= !late[position];
        }
    }
    let last: Vec<StepId> = (0..steps.len())
        .filter(|position| !late[*position] && !followed[*position])
        .map(|position| steps[position].id.clone())
        .collect();
    for position in 0..steps.len() {
        let step = &mut steps[position];
        if step.phase == Some(Phase::Cleanup) && step.skip.is_none() && first[position] {
            for id in &last {
                if !step.needs.contains(id) && !step.after.contains(id) {
                    step.after.push(id.clone());
                    step.because.insert(id.clone(), EdgeReason::Cleanup);
                }
            }
        }
    }
}

fn used_plugins(
    names: BTreeSet<String>,
    catalog: &Catalog,
    environment: &Environment,
) -> BTreeMap<String, PluginUse> {
    names
        .into_iter()
        .filter_map(|name| {
            let manifest = catalog.plugin(&name)?;
            let plugin = PluginUse {
                version: manifest.version.clone(),
                manifest: catalog.digest(&name)?,
                settings: environment
                    .settings
                    .get(&name)
                    .cloned()
                    .unwrap_or_else(|| Templated::literal(Value::Null)),
            };
            Some((name, plugin))
        })
        .collect()
}

/// Secrets that what may run refers to.
fn used_secrets(plan: &Plan) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut add = |template: &Templated| {
        collect_secrets(template.as_value(), &mut used);
        for path in template.paths().unwrap_or_default() {
            if let ("secrets", Some(name)) = (path.root(), path.field(1)) {
                used.insert(name.to_owned());
            }
        }
    };
    plan.plugins.values().for_each(|plugin| add(&plugin.settings));
    for step in plan.steps.iter().filter(|step| step.skip.is_none()) {
        add(&step.with);
        step.check.iter().for_each(|check| add(&check.with));
    }
    used
}

/// References in texts that are rendered already.
fn collect_secrets(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_secrets(item, found)),
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get("$secret") {
                found.insert(name.clone());
            }
            fields.values().for_each(|item| collect_secrets(item, found));
        }
        _ => {}
    }
}

/// Everything that depends on expected durations.
fn schedule_plan(plan: &mut Plan, graph: &Graph) {
    let instance = instance(plan);
    let keys = Keys::new(&instance);
    let starts = list_schedule(&instance.network(&keys.ranks));
    let bounds = schedule::bounds(&instance);
    let slack = schedule::slack_ms(&instance, &starts);
    // Ties by number are settled here, so that the order of the keys alone is the dispatch order.
    let mut order: Vec<u32> = (0..plan.steps.len() as u32).collect();
    order.sort_by_key(|step| (keys.urgency[*step as usize].1, *step));
    for (place, step) in order.into_iter().enumerate() {
        let index = step as usize;
        plan.steps[index].urgency = Urgency {
            class: keys.urgency[index].0,
            latest_start_ms: keys.latest_starts[index],
            order: place as u32,
        };
    }
    for (index, step) in plan.steps.iter_mut().enumerate() {
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
    plan.makespan_ms = instance.makespan_ms(&starts);
    plan.lower_bound_ms = bounds.makespan_ms;
    let pools: Vec<String> = pool_names(plan).map(str::to_owned).collect();
    let mut notices = Vec::new();
    for (service, (goal, bound)) in
        plan.services.iter_mut().zip(instance.goals.iter().zip(&bounds.goals))
    {
        service.predicted_ms = instance.reached_ms(goal, &starts);
        service.lower_bound_ms = bound.as_ref().map(|(ms, _)| *ms);
        service.meets_rto =
            service.rto_ms.and_then(|rto| service.predicted_ms.map(|predicted| predicted <= rto));
        let (Some(false), Some(rto), Some((least, proof))) =
            (service.meets_rto, service.rto_ms, bound)
        else {
            continue;
        };
        notices.push(if *least > rto {
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
    plan.notices.extend(notices);
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
            "what comes before it keeps all {} units of pool `{}` busy for",
            instance.capacities[*pool as usize], pools[*pool as usize],
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
        let service = step.service.as_ref().and_then(|name| services.get(name.as_str()));
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

fn guessed(plan: &Plan) -> Option<Notice> {
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
