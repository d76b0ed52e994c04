use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use serde_json::{Map, Value};

use super::model::{Changed, FORMAT, FieldChange, PlanDiff, ServiceDiff, StepDiff, StepLine};
use super::waits::Waits;
use super::watch::watch;
use crate::id::{ServiceId, StepId};
use crate::plan::{Plan, Service, Step, covered_head, covered_step, undone_by};

/// What is different between two plans. `None` stands for a runbook that is not there.
#[must_use]
pub fn diff(old: Option<&Plan>, new: Option<&Plan>) -> PlanDiff {
    let either = new.or(old);
    let olds = by_id(old);
    let news = by_id(new);
    let waits = (Waits::of(old), Waits::of(new));
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
            let fields = step_fields(before, step, (&waits.0, &waits.1));
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
        reordered: is_reordered(old, new),
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

/// What is different about a step. Of the edges that follow from a service or an order, those count
/// that make a difference to what it waits for: the others would say the same thing again for
/// every step. Steps between others are seen through.
fn step_fields(old: &Step, new: &Step, (olds, news): (&Waits<'_>, &Waits<'_>)) -> Vec<FieldChange> {
    let (Value::Object(mut before), Value::Object(mut after)) =
        (covered_step(old), covered_step(new))
    else {
        return Vec::new();
    };
    for (fields, step, here, there) in
        [(&mut before, old, olds, news), (&mut after, new, news, olds)]
    {
        let only = here.only_here(step, there);
        for (name, ids, needs) in [("needs", &step.needs, true), ("after", &step.after, false)] {
            let only = only.iter().filter(|wait| wait.needs == needs).map(|wait| &wait.on.id);
            fields.insert(name.to_owned(), edges(step, ids, only, here));
        }
        fields.shift_remove("id");
    }
    fields(&before, &after, "")
}

fn edges<'a>(
    step: &'a Step,
    ids: &'a [StepId],
    only: impl Iterator<Item = &'a StepId>,
    here: &Waits<'_>,
) -> Value {
    let written = ids.iter().filter(|id| {
        let is_shown = !here.passes_on(id.as_str());
        !step.because.contains_key(*id) && is_shown
    });
    let names: BTreeSet<&str> = written.chain(only).map(StepId::as_str).collect();
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

/// Whether what is in both plans stands in another order.
fn is_reordered(old: Option<&Plan>, new: Option<&Plan>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    let steps = |plan: &'_ Plan| -> Vec<StepId> {
        steps(plan).filter(|step| !is_join(step)).map(|step| step.id.clone()).collect()
    };
    let services = |plan: &Plan| -> Vec<ServiceId> {
        plan.services.iter().map(|it| it.name.clone()).collect()
    };
    moved(&steps(old), &steps(new)) || moved(&services(old), &services(new))
}

fn moved<T: Eq + Hash>(old: &[T], new: &[T]) -> bool {
    let (olds, news): (HashSet<&T>, HashSet<&T>) = (old.iter().collect(), new.iter().collect());
    let kept = old.iter().filter(|item| news.contains(item));
    !kept.eq(new.iter().filter(|item| olds.contains(item)))
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
            let p90 = found.p90();
            found.same = found.priority.old == found.priority.new
                && found.rto_ms.old == found.rto_ms.new
                && found.rpo_ms.old == found.rpo_ms.new
                && found.predicted_ms.old == found.predicted_ms.new
                && p90.old == p90.new;
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
