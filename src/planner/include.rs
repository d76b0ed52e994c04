//! Runbooks inside runbooks: their steps become steps of the same plan.

use std::collections::{BTreeMap, BTreeSet};

use dr_plugin::Host;
use serde_json::{Map, Value};

use super::codes;
use super::emit::Emitter;
use super::make::{Around, Made, make};
use super::request::{InputValue, PlanRequest};
use super::steps::{Maker, asked};
use crate::id::StepId;
use crate::plan::{
    ANY, EdgeReason, Include, Notice, OwnNames, PluginUse, Pool, SecretSource, Span, Step, WINDOW,
    input_secret, map_ids, rename_secrets, secret_input,
};
use crate::runbook::{DocPath, Problem, Runbook};
use crate::text::{Templated, holds_secret, only_secret};

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
            let problem = Problem::error(crate::runbook::codes::INCLUDE, at.field("uses"), message);
            self.maker.problems.push(problem.with_help("`dr check` says why"));
            return Vec::new();
        };
        self.maker.inside = declared.parent.map(|parent| parent as usize);
        let Given { known, later } = self.maker.given(runbook, declared.doc.with.as_ref(), &at);
        let secrets = known.iter().filter_map(|(name, value)| match value {
            InputValue::Secret(outer) => Some((input_secret(name), outer.clone())),
            _ => None,
        });
        let secrets: BTreeMap<String, String> = secrets.collect();
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
        let estimates = self.maker.estimates.of_part(inner);
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
            names: OwnNames::default(),
        };
        self.maker.brought.includes.insert(id.clone(), include);
        let place = Place { id, first: &first.id, index, secrets: &secrets };
        let (inside, of) = self.maker.settle(made, runbook, &place);
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
    /// The secrets that stand behind its inputs.
    secrets: &'p BTreeMap<String, String>,
}

impl Maker<'_> {
    /// The environment that an included runbook is planned for: that of the same name, or its only
    /// one.
    fn environment_of(&self, runbook: &Runbook) -> Option<String> {
        let own = &self.environment.known.environment;
        let environments = &runbook.document.environments;
        (environments.len() > 1 || environments.contains_key(own)).then(|| own.clone())
    }

    fn given(&mut self, runbook: &Runbook, with: Option<&Value>, at: &DocPath) -> Given {
        let mut given = Given::default();
        let inputs = &runbook.document.inputs;
        let at = at.field("with");
        let none = Map::new();
        let with = with.and_then(Value::as_object).unwrap_or(&none);
        for (name, _) in inputs.iter().filter(|(name, doc)| doc.secret && !with.contains_key(*name))
        {
            let message = format!("input `{name}` of {} is missing", runbook.file);
            self.problems.push(
                Problem::error(codes::INPUT_MISSING, at.clone(), message).with_help(format!(
                    "it is a secret: `with: {{ {name}: \"{{{{ secrets.… }}}}\" }}`"
                )),
            );
        }
        for (name, written) in with {
            let at = at.field(name);
            let value = self.template(Some(written), None, &at);
            if let Some(secret) = only_secret(value.as_value()) {
                given.known.insert(name.clone(), InputValue::Secret(secret.to_owned()));
            } else if holds_secret(value.as_value()) {
                let message =
                    format!("input `{name}`: a secret is given alone, without other text");
                self.problems.push(
                    Problem::error(codes::INPUT_INVALID, at, message)
                        .with_help("put the rest of the text where the input is used"),
                );
            } else if value.is_known() {
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
    ) -> (Vec<Step>, Vec<StepId>) {
        let Place { id, first, index, secrets } = *place;
        let outer = *self.outline.get(index);
        let rename = |step: &mut StepId| *step = StepId::from(format!("{id}/{step}"));
        let Made { mut steps, environment, plugins, notices, spans, mut includes, .. } = made;
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
        let names = self.merge(environment, plugins, runbook, id, secrets);
        for step in &mut steps {
            each(step, &mut |step| names.rename(step));
        }
        if let Some(include) = self.brought.includes.get_mut(id) {
            names.add_to(&mut include.names);
        }
        for include in includes.values_mut() {
            names.add_to(&mut include.names);
        }
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

    /// Hosts, secrets, pools and settings of an included runbook beside those that are there. What is
    /// the same in both is one thing; what differs stands apart, under a name of its own.
    fn merge(
        &mut self,
        environment: super::resolve::Environment,
        plugins: BTreeMap<String, PluginUse>,
        runbook: &Runbook,
        id: &StepId,
        given: &BTreeMap<String, String>,
    ) -> Apart {
        let own = self.environment;
        let Brought { hosts, secrets, pools, plugins: used, .. } = &mut self.brought;
        let name = &runbook.document.runbook.value;
        let inside = [name.as_str(), id.as_str()];
        let mut apart = Apart::default();
        apart.names.secrets.clone_from(given);
        for (name, host) in environment.known.hosts {
            let new = place(&name, inside, means(&host, [&own.known.hosts, hosts]));
            hosts.insert(new.clone(), host);
            apart.pools.insert(format!("host:{name}"), format!("host:{new}"));
            apart.names.hosts.insert(name, new);
        }
        for (name, sources) in environment.secrets {
            let new = place(&name, inside, means(&sources, [&own.secrets, secrets]));
            secrets.insert(new.clone(), sources);
            apart.names.secrets.insert(name, new);
        }
        for (name, pool) in environment.pools {
            let new = if let Some(window) = name.strip_prefix(WINDOW) {
                format!("{WINDOW}{id}/{window}")
            } else if name == "run" {
                // How much a run does at once is said by the runbook that is run.
                continue;
            } else if let Some(new) = apart.pools.get(&name) {
                new.clone()
            } else {
                place(&name, inside, means(&pool, [&own.pools, pools]))
            };
            if !own.pools.contains_key(&new) {
                pools.entry(new.clone()).or_insert(pool);
            }
            if !name.starts_with(WINDOW) {
                apart.pools.insert(name, new);
            }
        }
        for (name, mut plugin) in plugins {
            if plugin.settings.as_value().is_null() {
                // Without settings of its own it takes those of the runbook that includes it.
                self.plugins.insert(name);
                continue;
            }
            let mut given = plugin.settings.as_value().clone();
            rename_secrets(&mut given, &apart.names.secrets);
            plugin.settings = Templated::of_rendered(given);
            let new = place(&name, inside, |new| {
                if new == name {
                    own.settings.get(new) == Some(&plugin.settings)
                } else {
                    used.get(new).is_none_or(|known| known.settings == plugin.settings)
                }
            });
            if new == name {
                self.plugins.insert(new);
            } else {
                used.insert(new.clone(), plugin);
                apart.names.plugins.insert(name, new);
            }
        }
        apart.forget_same();
        if let Some(kept) = apart.told(runbook) {
            let message = format!("{id}: {kept}");
            self.brought.notices.push(Notice { code: codes::KEPT_APART.to_owned(), message });
        }
        apart
    }
}

/// What of an included runbook has another name in the plan, by its own.
#[derive(Debug, Default)]
struct Apart {
    names: OwnNames,
    pools: BTreeMap<String, String>,
}

impl Apart {
    fn forget_same(&mut self) {
        let OwnNames { hosts, secrets, plugins } = &mut self.names;
        for names in [hosts, secrets, plugins, &mut self.pools] {
            names.retain(|name, new| name != new);
        }
    }

    /// Gives what a step takes and where it acts the names of the plan.
    fn rename(&self, step: &mut Step) {
        let on_check = step.check.iter_mut().filter_map(|check| check.host.as_mut());
        for host in step.host.iter_mut().chain(on_check) {
            if let Some(new) = self.names.hosts.get(host) {
                host.clone_from(new);
            }
        }
        if step.takes.keys().any(|pool| self.pools.contains_key(pool)) {
            let new = |pool: String| self.pools.get(&pool).cloned().unwrap_or(pool);
            step.takes = std::mem::take(&mut step.takes)
                .into_iter()
                .map(|(pool, units)| (new(pool), units))
                .collect();
        }
    }

    /// Adds these to the names of the runbook itself, or of one that it includes.
    fn add_to(&self, names: &mut OwnNames) {
        let OwnNames { hosts, secrets, plugins } = names;
        let all = [
            (hosts, &self.names.hosts),
            (secrets, &self.names.secrets),
            (plugins, &self.names.plugins),
        ];
        for (names, more) in all {
            for new in names.values_mut() {
                if let Some(newer) = more.get(new) {
                    new.clone_from(newer);
                }
            }
            for (name, new) in more {
                names.entry(name.clone()).or_insert_with(|| new.clone());
            }
        }
    }

    /// For a reviewer: what has the same name as something around it, and is something else.
    fn told(&self, runbook: &Runbook) -> Option<String> {
        let OwnNames { hosts, secrets, plugins } = &self.names;
        let pools = &self.pools;
        let mut told = Vec::new();
        for (what, names) in
            [("host", hosts), ("secret", secrets), ("pool", pools), ("settings of", plugins)]
        {
            // What a host takes at once goes with the host.
            let names = names.iter().filter(|(name, _)| !name.starts_with("host:"));
            // That an input is a secret of the runbook around is meant.
            let names = names.filter(|(name, _)| secret_input(name).is_none());
            told.extend(names.map(|(name, new)| format!("{what} `{name}` (here `{new}`)")));
        }
        (!told.is_empty())
            .then(|| format!("{} has its own {}", runbook.document.runbook.value, told.join(", ")))
    }
}

/// Under what name a thing of an included runbook stands in the plan: its own, if it may, else one
/// that says where it comes from.
fn place(name: &str, inside: [&str; 2], may: impl Fn(&str) -> bool) -> String {
    let [runbook, id] = inside.map(|inside| format!("{inside}/{name}"));
    [name.to_owned(), runbook].into_iter().find(|name| may(name)).unwrap_or(id)
}

/// Whether a name means this thing, or nothing yet.
fn means<T: PartialEq>(thing: &T, known: [&BTreeMap<String, T>; 2]) -> impl Fn(&str) -> bool {
    move |name| {
        let known = known.iter().find_map(|known| known.get(name));
        known.is_none_or(|known| known == thing)
    }
}

/// Does something with a step and all steps inside it: what takes it back, and templates of loops.
fn each(step: &mut Step, change: &mut dyn FnMut(&mut Step)) {
    change(step);
    step.each_undo(change);
    for step in step.template_mut() {
        each(step, change);
    }
}
