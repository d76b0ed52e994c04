//! Runbooks inside runbooks: their steps become steps of the same plan.

use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::Host;
use serde_json::{Map, Value};

use super::codes;
use super::emit::Emitter;
use super::make::{Around, Made, make};
use super::request::{Estimates, InputValue, PlanRequest};
use super::steps::{Maker, asked};
use crate::id::StepId;
use crate::plan::{
    ANY, EdgeReason, Include, Notice, PluginUse, Pool, SecretSource, Span, Step, WINDOW, map_ids,
};
use crate::runbook::{DocPath, Problem, Runbook};
use crate::text::Templated;

/// What included runbooks bring into the plan beside their steps.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) hosts: BTreeMap<String, Host>,
    pub(super) secrets: BTreeMap<String, Vec<SecretSource>>,
    pub(super) pools: BTreeMap<String, Pool>,
    pub(super) plugins: BTreeMap<String, PluginUse>,
    pub(super) includes: BTreeMap<StepId, Include>,
    pub(super) spans: Vec<Span>,
    pub(super) notices: Vec<Notice>,
}

/// What an included runbook is given.
#[derive(Default)]
struct Given {
    known: BTreeMap<String, InputValue>,
    /// What is only known when it begins.
    later: Map<String, Value>,
}

impl Emitter<'_, '_> {
    /// The steps of an included runbook, between its beginning `first` and its end `id`. Gives those
    /// that stand directly inside it.
    pub(super) fn included(
        &mut self,
        index: usize,
        id: &StepId,
        first: &mut Step,
        steps: &mut Vec<Step>,
    ) -> Vec<StepId> {
        let declared = *self.maker.outline.get(index);
        let at = self.maker.outline.path(index);
        let uses = declared.included().unwrap_or_default();
        let outer = self.maker.runbook;
        let Some(runbook) = outer.part(uses) else {
            let message = format!("`{uses}` cannot be included");
            let problem = Problem::error(codes::INCLUDE, at.field("uses"), message);
            self.maker.problems.push(problem.with_help("`dr check` says why"));
            return Vec::new();
        };
        self.maker.inside = declared.parent.map(|parent| parent as usize);
        let Given { known, later } = self.maker.given(declared.doc.with.as_ref(), &at);
        let asked_for: BTreeSet<String> = later.keys().cloned().collect();
        let prefix = format!("{id}/");
        let inner = |id: &StepId| Some(StepId::from(id.as_str().strip_prefix(&prefix)?));
        let request = PlanRequest {
            environment: self.maker.environment_of(runbook),
            inputs: known,
            phases: Vec::new(),
            skips: self
                .maker
                .request
                .skips
                .iter()
                .filter_map(|skip| Some(super::Skip { step: inner(&skip.step)?, ..skip.clone() }))
                .collect(),
            ..self.maker.request.clone()
        };
        let history = self.maker.estimates.history.iter();
        let history = history.filter_map(|(step, ms)| Some((inner(step)?, *ms))).collect();
        let estimates = Estimates { history, runs: Vec::new() };
        let around = Around { asked: asked_for, policy: Some(self.maker.policy_inside(index)) };
        let made = match make(runbook, self.maker.catalog, &request, &estimates, &around) {
            Ok(made) => made,
            Err(problems) => {
                let problems = problems.into_iter().map(|problem| problem.in_file(&runbook.file));
                self.maker.problems.extend(problems);
                return Vec::new();
            }
        };
        if !later.is_empty() {
            first.with = Templated::of_rendered(Value::Object(later));
        }
        let include = Include {
            runbook: runbook.document.runbook.value.clone(),
            environment: made.environment.known.environment.clone(),
            inputs: made.environment.known.inputs.clone(),
            asked: runbook
                .document
                .inputs
                .iter()
                .filter(|(name, _)| around.asked.contains(*name))
                .map(asked)
                .collect(),
            values: made.environment.known.values.clone(),
        };
        self.maker.brought.includes.insert(id.clone(), include);
        let place = Place { id, first: &first.id, index };
        let (inside, of) = self.maker.settle(made, runbook, &place, &at);
        steps.extend(inside);
        of
    }
}

/// Where included steps come to stand.
struct Place<'p> {
    /// The step that ends the include.
    id: &'p StepId,
    /// The step with which it begins.
    first: &'p StepId,
    index: usize,
}

impl Maker<'_> {
    /// The environment that an included runbook is planned for: that of the same name, or its only
    /// one.
    fn environment_of(&self, runbook: &Runbook) -> Option<String> {
        let own = &self.environment.known.environment;
        let environments = &runbook.document.environments;
        (environments.len() > 1 || environments.contains_key(own)).then(|| own.clone())
    }

    fn given(&mut self, with: Option<&Value>, at: &DocPath) -> Given {
        let mut given = Given::default();
        let Some(Value::Object(with)) = with else { return given };
        for (name, written) in with {
            let at = at.field("with").field(name);
            let value = self.template(Some(written), None, &at);
            if value.is_known() {
                let value = InputValue::Json(value.as_value().clone());
                given.known.insert(name.clone(), value);
            } else {
                given.later.insert(name.clone(), value.as_value().clone());
            }
        }
        given
    }

    /// The steps of an included runbook as steps of this plan, and those directly inside it.
    fn settle(
        &mut self,
        made: Made,
        runbook: &Runbook,
        place: &Place<'_>,
        at: &DocPath,
    ) -> (Vec<Step>, Vec<StepId>) {
        let Place { id, first, index } = *place;
        let outer = *self.outline.get(index);
        let rename = |step: &mut StepId| *step = StepId::from(format!("{id}/{step}"));
        let Made { mut steps, environment, plugins, notices, spans, includes, .. } = made;
        let mut of = Vec::new();
        for step in &mut steps {
            map_ids(step, &rename);
        }
        for step in &mut steps {
            each(step, &mut |step| {
                step.include.get_or_insert_with(|| id.clone());
                step.service = outer.service.map(Into::into);
                step.phase = step.phase.or(outer.phase);
            });
            if step.inside.is_none() {
                step.inside = Some(id.clone());
                if step.opens.is_none() {
                    of.push(step.id.clone());
                }
                let waits = !step.needs.is_empty() || !step.after.is_empty();
                if !waits {
                    step.needs.push(first.clone());
                    step.because.insert(first.clone(), EdgeReason::Group);
                }
            }
        }
        self.merge(environment, plugins, runbook, at, &|name: &str| {
            name.strip_prefix(WINDOW).map_or(name.to_owned(), |own| format!("{WINDOW}{id}/{own}"))
        });
        for (mut own, include) in includes {
            rename(&mut own);
            self.brought.includes.insert(own, include);
        }
        self.brought.notices.extend(
            notices
                .into_iter()
                .map(|notice| Notice { message: format!("{id}: {}", notice.message), ..notice }),
        );
        if !id.as_str().contains(ANY) {
            self.brought.spans.extend(spans.into_iter().map(|mut span| {
                rename(&mut span.from);
                rename(&mut span.to);
                Span { name: format!("{id}/{}", span.name), ..span }
            }));
        }
        (steps, of)
    }

    /// Hosts, secrets, pools and settings of an included runbook beside those that are there: one
    /// name must mean one thing in a plan.
    fn merge(
        &mut self,
        environment: super::resolve::Environment,
        plugins: BTreeMap<String, PluginUse>,
        runbook: &Runbook,
        at: &DocPath,
        pool_name: &dyn Fn(&str) -> String,
    ) {
        let mut conflicts = Vec::new();
        let Brought { hosts, secrets, pools, .. } = &mut self.brought;
        let own = self.environment;
        for (name, host) in environment.known.hosts {
            match own.known.hosts.get(&name).or_else(|| hosts.get(&name)) {
                Some(known) if *known != host => conflicts.push(format!("a host `{name}`")),
                Some(_) => {}
                None => {
                    hosts.insert(name, host);
                }
            }
        }
        for (name, sources) in environment.secrets {
            match own.secrets.get(&name).or_else(|| secrets.get(&name)) {
                Some(known) if *known != sources => conflicts.push(format!("a secret `{name}`")),
                Some(_) => {}
                None => {
                    secrets.insert(name, sources);
                }
            }
        }
        for (name, pool) in environment.pools {
            let name = pool_name(&name);
            match own.pools.get(&name).or_else(|| pools.get(&name)) {
                // How much a run does at once is said by the runbook that is run.
                Some(_) if name == "run" => {}
                Some(known) if *known != pool && !name.starts_with("host:") => {
                    conflicts.push(format!("a pool `{name}`"));
                }
                Some(_) => {}
                None => {
                    pools.insert(name, pool);
                }
            }
        }
        for (name, plugin) in plugins {
            let settings = own.settings.get(&name);
            let settings =
                settings.or_else(|| self.brought.plugins.get(&name).map(|known| &known.settings));
            let differs = settings.is_some_and(|known| *known != plugin.settings);
            // Without settings of its own it takes those of the runbook that includes it.
            if differs && !plugin.settings.as_value().is_null() {
                conflicts.push(format!("settings of `{name}`"));
            } else if !differs {
                self.brought.plugins.insert(name, plugin);
            } else {
                self.plugins.insert(name);
            }
        }
        for what in conflicts {
            let message = format!(
                "{} has {what} that is not what it is here, in `{}`",
                runbook.file, own.known.environment
            );
            let problem = Problem::error(codes::INCLUDE, at.field("uses"), message);
            let help =
                "one name means one thing in a plan: rename one of the two, or make them the same";
            self.problems.push(problem.with_help(help));
        }
    }
}

/// Does something with a step and all steps inside it: what takes it back, and templates of loops.
fn each(step: &mut Step, change: &mut dyn FnMut(&mut Step)) {
    change(step);
    if let Some(undo) = &mut step.undo {
        undo.include.clone_from(&step.include);
    }
    let items = step.group.as_mut().and_then(|group| group.each.as_mut()?.items.as_mut());
    for step in items.into_iter().flat_map(|items| &mut items.template) {
        each(step, change);
    }
}
