//! Groups and loops for plans of tests.

use std::collections::BTreeMap;

use serde_json::json;

use super::build::{Build, expr, plan, step};
use crate::id::StepId;
use crate::plan::{
    Asked, Group, Include, Items, Loop, OwnNames, Plan, Pool, Repeat, Rounds, Step, begin_of,
    map_ids,
};
use crate::text::Templated;
use crate::words::{InputType, OnFailure};

/// The beginning and the end of a group around these steps.
pub(super) fn group(id: &str, inside: Vec<Step>) -> Vec<Step> {
    enclose(id, inside, None)
}

/// A loop over elements that each consist of these steps; `{}` in an id stands for the element.
pub(super) fn each(
    id: &str,
    elements: &[&str],
    (max_parallel, max_failures): (Option<u32>, u32),
    make: impl Fn() -> Vec<Step>,
) -> Vec<Step> {
    let mut all = Vec::new();
    let mut of = Vec::new();
    for element in elements {
        let name = format!("{id}@{element}");
        let mut steps = group(&name, make());
        for step in &mut steps {
            step.bound.insert("item".to_owned(), json!(element));
        }
        if max_parallel.is_some() {
            steps[0].takes.insert(format!("items:{id}"), 1);
        }
        of.push(StepId::from(name));
        all.extend(steps);
    }
    let ends: Vec<&StepId> = of.iter().collect();
    let ends: Vec<StepId> = ends.into_iter().cloned().collect();
    enclose(id, all, Some((ends, Loop { max_parallel, max_failures, items: None, rounds: None })))
}

/// An included runbook of these steps. `given` is its input that is only known when it begins.
pub(super) fn included(id: &str, given: &str, inside: Vec<Step>) -> Vec<Step> {
    let mut steps = group(id, inside);
    let text = json!({ "given": given });
    steps[0].with = Templated::parse(&text).expect("a template");
    let last = steps.len() - 1;
    for step in &mut steps[1..last] {
        step.include.get_or_insert_with(|| StepId::from(id));
        step.each_undo(&mut |undo| {
            undo.include.get_or_insert_with(|| StepId::from(id));
        });
    }
    steps
}

/// What the included runbooks of tests read.
fn include() -> Include {
    Include {
        runbook: "part".to_owned(),
        environment: "default".to_owned(),
        inputs: BTreeMap::from([("site".to_owned(), json!("west"))]),
        asked: vec![Asked {
            name: "given".to_owned(),
            kind: InputType::String,
            description: None,
            default: None,
            choices: None,
            pattern: None,
            secret: false,
        }],
        values: BTreeMap::from([("zone".to_owned(), json!(1))]),
        names: OwnNames::default(),
    }
}

fn enclose(id: &str, inside: Vec<Step>, each: Option<(Vec<StepId>, Loop)>) -> Vec<Step> {
    let end_id = StepId::from(id);
    let begin_id = begin_of(&end_id);
    let is_direct = |step: &Step| step.inside.is_none();
    let mut steps = vec![step(begin_id.as_str()).without_action()];
    steps[0].takes.clear();
    steps[0].opens = Some(end_id.clone());
    let mut of = Vec::new();
    for mut step in inside {
        if each.is_none() {
            map_ids(&mut step, &|other| *other = StepId::from(format!("{id}/{other}")));
        }
        if is_direct(&step) {
            step.inside = Some(end_id.clone());
            if step.needs.is_empty() && step.closes.is_none() {
                step.needs.push(begin_id.clone());
            }
            if step.opens.is_none() {
                of.push(step.id.clone());
            }
            if step.on_failure == OnFailure::Halt {
                step.fails_group = true;
                step.on_failure = OnFailure::Continue;
            }
        }
        steps.push(step);
    }
    let (of, each) = match each {
        Some((ends, each)) => (ends, Some(each)),
        None => (of, None),
    };
    let mut end = step(id).without_action();
    end.takes.clear();
    end.needs.push(begin_id);
    end.after.clone_from(&of);
    end.group = Some(Box::new(Group { of, undoing: Vec::new(), each }));
    steps.push(end);
    steps
}

/// A plan with the windows of its loops as pools.
pub(super) fn plan_of(steps: Vec<Vec<Step>>) -> Plan {
    let mut plan = plan(steps.into_iter().flatten().collect());
    let windows: Vec<(String, u32)> = plan
        .every_step()
        .filter_map(|step| {
            let width = step.group.as_ref()?.each.as_ref()?.max_parallel?;
            Some((format!("items:{}", step.id), width))
        })
        .collect();
    for (name, capacity) in windows {
        plan.pools.insert(name, Pool { capacity });
    }
    let ends = plan.every_step().filter_map(|step| step.include.clone());
    plan.includes = ends.map(|end| (end, include())).collect();
    plan
}

/// The same over what an expression gives during the run.
pub(super) fn later(
    id: &str,
    from: &str,
    window: (Option<u32>, u32),
    make: impl Fn() -> Vec<Step>,
) -> Vec<Step> {
    templated(id, window, make, |end, template| {
        end.group.as_mut().and_then(|it| it.each.as_mut()).expect("a loop").items = Some(Items {
            from: expr(from),
            name: "item".to_owned(),
            estimate: 1,
            max_items: 10,
            allow_empty: false,
            template,
        });
    })
}

/// A group of these steps that is repeated until the condition holds.
pub(super) fn rounds(id: &str, repeat: Repeat, make: impl Fn() -> Vec<Step>) -> Vec<Step> {
    templated(id, (None, 0), make, |end, template| {
        end.repeat = Some(repeat);
        end.group.as_mut().and_then(|it| it.each.as_mut()).expect("a loop").rounds =
            Some(Rounds { template });
    })
}

/// A loop of which only the steps of one element are known; `keep` puts them into its end.
fn templated(
    id: &str,
    window: (Option<u32>, u32),
    make: impl Fn() -> Vec<Step>,
    keep: impl FnOnce(&mut Step, Vec<Step>),
) -> Vec<Step> {
    let mut steps = each(id, &["*"], window, make);
    let mut end = steps.pop().expect("an end");
    let mut template = steps.split_off(1);
    for step in &mut template {
        step.bound.clear();
    }
    end.after.clear();
    end.group.as_mut().expect("a loop").of.clear();
    keep(&mut end, template);
    steps.push(end);
    steps
}

/// Until the condition holds once, with a second in between.
pub(super) fn until(condition: &str) -> Repeat {
    Repeat {
        until: Some(expr(condition)),
        every_ms: 1_000,
        timeout_ms: None,
        stable: 1,
        at_least: 1,
        at_most: None,
        tolerate: None,
    }
}
