use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::model::{Changed, FORMAT, FieldChange, PlanDiff, ServiceDiff, StepDiff, StepLine};
use super::watch::watch;
use crate::id::StepId;
use crate::plan::{Plan, Service, Step, covered_head, covered_step, undone_by};

/// What is different between two plans. `None` stands for a runbook that is not there.
#[must_use]
pub fn diff(old: Option<&Plan>, new: Option<&Plan>) -> PlanDiff {
    let either = new.or(old);
    let olds = by_id(old);
    let news = by_id(new);
    let line = |step: &&Step| StepLine {
        id: step.id.clone(),
        service: step.service.clone(),
        what: what(step),
    };
    let acts = |step: &&Step| !is_join(step);
    let new_steps = || new.iter().flat_map(|plan| steps(plan));
    let old_steps = || old.iter().flat_map(|plan| steps(plan));
    let changed: Vec<StepDiff> = new_steps()
        .filter(acts)
        .filter_map(|step| {
            let before = olds.get(step.id.as_str())?;
            let fields = step_fields(before, step, (&olds, &news));
            (!fields.is_empty()).then(|| StepDiff {
                id: step.id.clone(),
                service: step.service.clone(),
                fields,
            })
        })
        .collect();
    let mut found = PlanDiff {
        format: FORMAT,
        runbook: either.map(|plan| plan.runbook.clone()).unwrap_or_default(),
        environment: either.map(|plan| plan.environment.clone()).unwrap_or_default(),
        same: old.map(|plan| &plan.digest) == new.map(|plan| &plan.digest),
        digest: Changed {
            old: old.map(|plan| plan.digest.clone()),
            new: new.map(|plan| plan.digest.clone()),
        },
        makespan_ms: Changed {
            old: old.map(|plan| plan.makespan_ms),
            new: new.map(|plan| plan.makespan_ms),
        },
        watch: Vec::new(),
        services: services(old, new),
        added: new_steps()
            .filter(acts)
            .filter(|step| !olds.contains_key(step.id.as_str()))
            .map(|step| line(&step))
            .collect(),
        removed: old_steps()
            .filter(acts)
            .filter(|step| !news.contains_key(step.id.as_str()))
            .map(|step| line(&step))
            .collect(),
        changed,
        other: head(old, new),
    };
    found.watch = watch(&found, old, new);
    found
}

pub(super) fn by_id(plan: Option<&Plan>) -> HashMap<&str, &Step> {
    plan.iter().flat_map(|plan| steps(plan)).map(|step| (step.id.as_str(), step)).collect()
}

/// All steps, those of groups that take others back included.
pub(super) fn steps(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.every_step().flat_map(|step| {
        let undoing = step.undo_steps().filter(|undo| undo.inside.is_some());
        std::iter::once(step).chain(undoing)
    })
}

/// Steps that only stand between others say nothing to a reviewer.
pub(super) fn is_join(step: &Step) -> bool {
    let stands_inside = undone_by(step.id.as_str()).is_some() && step.opens.is_none();
    step.uses.is_none()
        && step.validates.is_none()
        && step.id.as_str().contains('!')
        && !(stands_inside && step.group.is_none())
}

fn what(step: &Step) -> String {
    let what = match &step.uses {
        Some(uses) => uses.to_string(),
        None if step.approve.is_some() => "gate".to_owned(),
        None if step.tally.is_some() => "tally".to_owned(),
        None if !step.expect.is_empty() => "guard".to_owned(),
        None => "value".to_owned(),
    };
    match &step.host {
        Some(host) => format!("{what} @{host}"),
        None => what,
    }
}

type ById<'a> = HashMap<&'a str, &'a Step>;

/// What is different about a step. Edges count without those that follow from a service or an
/// order, which would say the same thing again for every step; steps between others are seen
/// through.
fn step_fields(old: &Step, new: &Step, (olds, news): (&ById<'_>, &ById<'_>)) -> Vec<FieldChange> {
    let (Value::Object(mut before), Value::Object(mut after)) =
        (covered_step(old), covered_step(new))
    else {
        return Vec::new();
    };
    for (fields, step, all) in [(&mut before, old, olds), (&mut after, new, news)] {
        fields.insert("needs".to_owned(), edges(step, &step.needs, all));
        fields.insert("after".to_owned(), edges(step, &step.after, all));
        fields.shift_remove("id");
    }
    fields(&before, &after, "")
}

fn edges(step: &Step, ids: &[StepId], all: &ById<'_>) -> Value {
    let written = ids.iter().filter(|id| {
        !step.because.contains_key(*id) && all.get(id.as_str()).is_none_or(|it| !is_join(it))
    });
    let mut names: Vec<&str> = written.map(StepId::as_str).collect();
    names.sort_unstable();
    names.into_iter().collect()
}

/// What is different, by path: of maps in both, their members.
fn fields(old: &Map<String, Value>, new: &Map<String, Value>, prefix: &str) -> Vec<FieldChange> {
    // One member with a name of dr's own is a value: a time, a template, a reference to a secret.
    let is_map = |map: &Map<String, Value>| !map.keys().any(|key| key.starts_with('$'));
    let mut names: Vec<&String> = old.keys().collect();
    names.extend(new.keys().filter(|name| !old.contains_key(*name)));
    let mut found = Vec::new();
    for name in names {
        let field = format!("{prefix}{name}");
        match (old.get(name), new.get(name)) {
            (old, new) if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) if is_map(old) && is_map(new) => {
                found.extend(fields(old, new, &format!("{field}.")));
            }
            (old, new) => {
                let (old, new) = (old.cloned(), new.cloned());
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                found.push(FieldChange { field, old, new });
            }
        }
    }
    found
}

/// What is different outside services and steps.
fn head(old: Option<&Plan>, new: Option<&Plan>) -> Vec<FieldChange> {
    let (Some(old), Some(new)) = (old, new) else { return Vec::new() };
    match (covered_head(old), covered_head(new)) {
        (Value::Object(old), Value::Object(new)) => fields(&old, &new, ""),
        _ => Vec::new(),
    }
}

fn services(old: Option<&Plan>, new: Option<&Plan>) -> Vec<ServiceDiff> {
    let all = |plan: Option<&'_ Plan>| -> BTreeMap<String, Service> {
        let services = plan.iter().flat_map(|plan| &plan.services);
        services.map(|service| (service.name.to_string(), service.clone())).collect()
    };
    let (olds, news) = (all(old), all(new));
    let mut names: Vec<_> =
        new.iter().flat_map(|plan| &plan.services).map(|service| service.name.clone()).collect();
    let gone = old.iter().flat_map(|plan| &plan.services).map(|service| service.name.clone());
    names.extend(gone.filter(|name| !news.contains_key(name.as_str())));
    names
        .into_iter()
        .map(|name| {
            let (old, new) = (olds.get(name.as_str()), news.get(name.as_str()));
            let mut found = ServiceDiff {
                same: false,
                priority: both(old, new, |it| Some(it.priority.to_string())),
                rto_ms: both(old, new, |it| it.rto_ms),
                rpo_ms: both(old, new, |it| it.rpo_ms),
                predicted_ms: both(old, new, |it| it.predicted_ms),
                p90_ms: both(old, new, |it| it.p90_ms),
                meets_rto: both(old, new, |it| it.meets_rto),
                name,
            };
            found.same = found.priority.old == found.priority.new
                && found.rto_ms.old == found.rto_ms.new
                && found.rpo_ms.old == found.rpo_ms.new
                && found.predicted_ms.old == found.predicted_ms.new
                && found.p90_ms.old == found.p90_ms.new;
            found
        })
        .collect()
}

fn both<T>(
    old: Option<&Service>,
    new: Option<&Service>,
    of: impl Fn(&Service) -> Option<T>,
) -> Changed<Option<T>> {
    Changed { old: old.and_then(&of), new: new.and_then(&of) }
}
