use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::edges::Edges;
use super::emit::Emitter;
use super::estimates::Estimates;
use super::include::Brought;
use super::names::Known;
use super::request::PlanRequest;
use super::resolve::{self, Environment};
use super::select::{self, Selection};
use super::steps::Maker;
use super::{codes, objectives, sleeps, spans, timing};
use crate::catalog::Catalog;
use crate::event::SkipReason;
use crate::id::{Digest, StepId};
use crate::plan::{
    EdgeReason, Executable, FORMAT, Include, Notice, Plan, PluginUse, Span, Step, digest,
    input_secret,
};
use crate::runbook::{Graph, Level, Outline, Problem, Runbook};
use crate::text::Templated;
use crate::words::{Mode, OnCancel, OnFailure, Phase};

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
    let mut problems = Vec::new();
    let services = objectives::services(document, &mut problems);
    let made = match make(runbook, catalog, request, estimates, &Around::default()) {
        Ok(made) if problems.is_empty() => made,
        Ok(_) => return Err(problems),
        Err(others) => {
            problems.extend(others);
            return Err(problems);
        }
    };
    let Made { mut steps, environment, plugins, phases, notices, spans, includes } = made;
    if phases.contains(&Phase::Cleanup) {
        add_cleanup_edges(&mut steps);
    }
    let Environment { protected, known, secrets, pools, .. } = environment;
    let Known { mode, style, environment, inputs, values, hosts, .. } = known;
    sleeps::shorten(&mut steps);
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
        undo_on_cancel: document.on_cancel == Some(OnCancel::Undo),
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
        spans,
        locks: runbook.all().iter().flat_map(|it| it.document.every_lock()).cloned().collect(),
        includes,
        steps,
        files: Vec::new(),
        history: estimates.runs().to_vec(),
        forecast: None,
        notices,
        seal: None,
    };
    let used = used_secrets(&plan);
    plan.secrets = secrets.into_iter().filter(|(name, _)| used.contains(name)).collect();
    // The digest covers nothing of the schedule, whose search takes its seed from it.
    plan.digest = digest(&plan);
    timing::schedule_plan(&mut plan, request.effort);
    plan.notices.extend(timing::guessed(&plan));
    plan.notices.extend(estimates.contradicted(&plan));
    Ok(plan)
}

/// What stands around an included runbook; nothing for one that stands alone.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Inputs that are only known when it begins.
    pub(super) asked: BTreeSet<String>,
    /// What follows from a failure where it does not say so.
    pub(super) policy: Option<(OnFailure, bool)>,
}

/// The steps of a runbook, those of runbooks that it includes among them, and all that they use.
pub(super) struct Made {
    pub(super) steps: Vec<Step>,
    /// Its own, with the hosts, secrets and pools of what it includes.
    pub(super) environment: Environment,
    pub(super) plugins: BTreeMap<String, PluginUse>,
    pub(super) phases: Vec<Phase>,
    pub(super) notices: Vec<Notice>,
    pub(super) spans: Vec<Span>,
    pub(super) includes: BTreeMap<StepId, Include>,
}

/// Makes the steps of a runbook for one environment.
pub(super) fn make(
    runbook: &Runbook,
    catalog: &Catalog,
    request: &PlanRequest,
    estimates: &Estimates,
    around: &Around,
) -> Result<Made, Vec<Problem>> {
    let document = &runbook.document;
    let outline = Outline::new(document);
    let (graph, problems) = runbook.graph(&outline);
    let mut problems = problems.clone();
    if problems.iter().any(|problem| problem.level == Level::Error) {
        return Err(problems);
    }
    let selection = select::select(document, &outline, graph, request, &mut problems);
    let Some(mut environment) = resolve::resolve(document, request, &around.asked, &mut problems)
    else {
        return Err(problems);
    };
    let file = runbook.file.rsplit('/').next().unwrap_or(&runbook.file);
    let mut maker = Maker {
        runbook,
        document,
        outline: &outline,
        file,
        catalog,
        environment: &environment,
        estimates,
        problems,
        plugins: BTreeSet::new(),
        reads: Vec::new(),
        reads_style: None,
        around: Vec::new(),
        inside: None,
        host_unknown: false,
        windows: BTreeMap::new(),
        around_policy: around.policy,
        brought: Brought::default(),
        request,
    };
    let mut steps = Emitter { maker: &mut maker, graph, selection: &selection }.steps();
    check_reads(&mut maker, graph, &selection, request);
    let Maker { mut problems, plugins, windows, brought, .. } = maker;
    let mut spans = spans::spans(document, &outline, &mut problems);
    if problems.iter().any(|problem| problem.level == Level::Error) {
        return Err(problems);
    }
    pass_over_closings(&mut steps);
    let mut plugins = used_plugins(plugins, catalog, &environment);
    let Selection { phases, mut notices, .. } = selection;
    environment.pools.extend(windows);
    let Brought { hosts, secrets, pools, plugins: others, includes, spans: more, notices: told } =
        brought;
    environment.known.hosts.extend(hosts);
    environment.secrets.extend(secrets);
    environment.pools.extend(pools);
    plugins.extend(others);
    spans.extend(more);
    notices.extend(told);
    Ok(Made { steps, environment, plugins, phases, notices, spans, includes })
}

/// What can only be said once every step is known: reads of steps that are left out, and of the
/// style.
fn check_reads(maker: &mut Maker<'_>, graph: &Graph, selection: &Selection, request: &PlanRequest) {
    for (step, at, path) in std::mem::take(&mut maker.reads) {
        let id = maker.outline.id(step);
        let skip = graph.position(id.as_str()).and_then(|position| selection.skips[position]);
        if skip == Some(SkipReason::Phase) && path.field(2) == Some("outputs") {
            let phase = maker.outline.get(step).phase.map_or("", Phase::as_str);
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

/// What is not opened need not be closed.
fn pass_over_closings(steps: &mut [Step]) {
    let passed_over: HashSet<StepId> =
        steps.iter().filter(|step| step.skip.is_some()).map(|step| step.id.clone()).collect();
    for step in steps {
        if step.closes.as_ref().is_some_and(|opener| passed_over.contains(opener)) {
            step.skip.get_or_insert(SkipReason::NotOpened);
        }
    }
}

/// A drill's cleanup comes after everything else, however that ended.
fn add_cleanup_edges(steps: &mut [Step]) {
    let Edges { before, order } = Edges::new(steps);
    // Cleanup steps and what waits for them.
    let mut late: Vec<bool> = steps.iter().map(|step| step.phase == Some(Phase::Cleanup)).collect();
    let mut followed = vec![false; steps.len()];
    let mut first = vec![true; steps.len()];
    for position in order {
        for before in &before[position] {
            late[position] |= late[*before];
            first[position] &= !late[*before];
        }
    }
    for (position, late) in late.iter().enumerate() {
        for before in &before[position] {
            followed[*before] |= !late;
        }
    }
    let last: Vec<StepId> = (0..steps.len())
        .filter(|position| !late[*position] && !followed[*position])
        .map(|position| steps[position].id.clone())
        .collect();
    for (step, first) in steps.iter_mut().zip(first) {
        if step.phase == Some(Phase::Cleanup) && step.skip.is_none() && first {
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
                executable: catalog
                    .executable(&name)
                    .map(|it| Executable { path: it.path.clone(), sha256: it.sha256.clone() }),
            };
            Some((name, plugin))
        })
        .collect()
}

/// Secrets that what may run refers to.
fn used_secrets(plan: &Plan) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut add = |template: &Templated, include: Option<&StepId>| {
        let mut found = BTreeSet::new();
        collect_secrets(template.as_value(), &mut found);
        for path in template.paths().unwrap_or_default() {
            match (path.root(), path.field(1)) {
                ("secrets", Some(name)) => found.insert(name.to_owned()),
                ("inputs", Some(name)) => found.insert(input_secret(name)),
                _ => false,
            };
        }
        used.extend(found.iter().map(|name| plan.secret_name(include, name).to_owned()));
    };
    plan.plugins.values().for_each(|plugin| add(&plugin.settings, None));
    let taken = plan.every_step().filter(|step| step.skip.is_none());
    for step in taken.flat_map(|step| std::iter::once(step).chain(step.undo_steps())) {
        let include = step.include.as_ref();
        add(&step.with, include);
        step.check.iter().for_each(|check| add(&check.with, include));
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
