use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Group, Items, Plan, Step};
use crate::id::StepId;
use crate::text::MapNames;

/// Stands for the element in the ids of a template.
pub const ANY: &str = "*";

/// What the pool of a loop's window is called, before the loop's id.
pub const WINDOW: &str = "items:";

/// Longest name of an element, bytes.
const LONGEST: usize = 64;

/// The elements of a loop, by the names that they have in ids: those of a list by their text if
/// every one has a plain one, else by position from 1; those of a map, as `{key, value}`, by key.
///
/// # Errors
/// What is neither a list nor a map, or has the same element twice.
pub fn elements(of: &Value) -> Result<Vec<(String, Value)>, String> {
    let elements: Vec<(String, Value)> = match of {
        Value::Array(items) => {
            let names: Option<Vec<String>> = items.iter().map(plain_name).collect();
            match names {
                Some(names) => names.into_iter().zip(items.iter().cloned()).collect(),
                None => items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| ((position + 1).to_string(), item.clone()))
                    .collect(),
            }
        }
        Value::Object(map) if !map.keys().any(|key| key.starts_with('$')) => map
            .iter()
            .enumerate()
            .map(|(position, (key, value))| {
                let name = plain_name(&Value::from(key.as_str()))
                    .unwrap_or_else(|| (position + 1).to_string());
                (name, json!({ "key": key, "value": value }))
            })
            .collect(),
        other => return Err(format!("{other} is neither a list nor a map")),
    };
    let mut seen = HashMap::with_capacity(elements.len());
    for (position, (name, _)) in elements.iter().enumerate() {
        if let Some(first) = seen.insert(name.as_str(), position) {
            return Err(format!(
                "`{name}` is there twice, as number {} and number {}",
                first + 1,
                position + 1
            ));
        }
    }
    Ok(elements)
}

/// The name of an element that can stand in an id as it is.
fn plain_name(item: &Value) -> Option<String> {
    let text = match item {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (!text.is_empty() && text.len() <= LONGEST && text.chars().all(plain)).then_some(text)
}

/// The id of the step with which a group or loop begins.
#[must_use]
pub fn begin_of(id: &StepId) -> StepId {
    StepId::from(format!("{id}!begin"))
}

/// The plan with the elements of a loop in place of their template: at the end of the steps, so
/// that every other step keeps its position. The one place that knows how it is done: the run, its
/// views and its evidence all ask here.
///
/// # Errors
/// A step that is no loop of unknown elements, or elements that do not fit it.
pub fn expand(plan: &Plan, id: &StepId, of: &Value) -> Result<Plan, String> {
    let position = plan
        .steps
        .iter()
        .position(|step| step.id == *id)
        .ok_or_else(|| format!("there is no step `{id}`"))?;
    let items = plan.steps[position]
        .group
        .as_ref()
        .and_then(|group| group.each.as_ref()?.items.as_ref())
        .ok_or_else(|| format!("`{id}` is no loop that could still be expanded"))?;
    let elements = elements(of)?;
    if elements.is_empty() && !items.allow_empty {
        return Err(format!("`{}` gives nothing to do", items.from.source()));
    }
    if elements.len() > items.max_items as usize {
        return Err(format!(
            "`{}` gives {} elements, more than the {} of `max_items`",
            items.from.source(),
            elements.len(),
            items.max_items,
        ));
    }
    let mut steps = Vec::with_capacity(elements.len() * items.template.len());
    let mut ends = Vec::with_capacity(elements.len());
    // As many at a time as may be; the times of a template count from the start of its element.
    let each = plan.steps[position].group.as_ref().and_then(|group| group.each.as_ref());
    let width = each.and_then(|each| each.max_parallel).unwrap_or(u32::MAX).max(1) as usize;
    let lasts = items.template.iter().map(|step| step.finish_ms).max().unwrap_or(0);
    let begins = plan.step(begin_of(id).as_str()).map_or(0, |begin| begin.start_ms);
    for (number, (name, value)) in elements.iter().enumerate() {
        ends.push(StepId::from(format!("{id}@{name}")));
        let start = begins + (number / width) as u64 * lasts;
        for template in &items.template {
            let mut step = instance(plan, id, items, template, (name, value))?;
            step.start_ms += start;
            step.finish_ms += start;
            steps.push(step);
        }
    }
    let mut expanded = plan.clone();
    let urgency = plan.steps[position].urgency;
    for step in &mut steps {
        step.urgency = urgency;
        if let Some(undo) = &mut step.undo {
            undo.urgency = urgency;
        }
    }
    for (include, what) in &plan.includes {
        for (name, _) in &elements {
            let mut own = include.clone();
            replace(&mut own, &format!("{id}@{ANY}"), &format!("{id}@{name}"));
            if own != *include {
                expanded.includes.insert(own, what.clone());
            }
        }
    }
    let end = &mut expanded.steps[position];
    end.after.extend(ends.iter().cloned());
    end.estimate_ms = 0;
    if let Some(group) = &mut end.group {
        group.of = ends;
        if let Some(each) = &mut group.each {
            each.items = None;
        }
    }
    expanded.steps.extend(steps);
    Ok(expanded)
}

/// One step of a template for one element.
fn instance(
    plan: &Plan,
    id: &StepId,
    items: &Items,
    template: &Step,
    (name, value): (&str, &Value),
) -> Result<Step, String> {
    let mut step = template.clone();
    rename(&mut step, &format!("{id}@{ANY}"), &format!("{id}@{name}"));
    bind(plan, &mut step, &items.name, value)?;
    Ok(step)
}

/// Gives an element its name in a step, and in the templates of loops inside it.
fn bind(plan: &Plan, step: &mut Step, name: &str, value: &Value) -> Result<(), String> {
    step.bound.insert(name.to_owned(), value.clone());
    if let Some(text) = step.host.as_ref().filter(|host| host.contains("{{")) {
        let names = MapNames::new(json!(step.bound));
        let rendered = crate::text::Templated::parse(&Value::from(text.as_str()))
            .and_then(|host| host.render_text(&names));
        // The element of an inner loop is not known yet.
        if let Ok(host) = rendered {
            let host = plan.host_name(step.include.as_ref(), &host).to_owned();
            if !plan.hosts.contains_key(&host) {
                return Err(format!("`{}` acts on `{host}`, which is no host", step.id));
            }
            step.takes.insert(format!("host:{host}"), 1);
            step.host = Some(host);
        }
    }
    if let Some(check) = &mut step.check
        && check.host.as_ref().is_some_and(|host| host.contains("{{"))
    {
        check.host.clone_from(&step.host);
    }
    let inner = step.group.as_mut().and_then(|group| group.each.as_mut()?.items.as_mut());
    let inner = inner.into_iter().flat_map(|items| &mut items.template);
    for step in inner.chain(step.undo.as_deref_mut()) {
        bind(plan, step, name, value)?;
    }
    Ok(())
}

/// Replaces the beginning of every id of a step.
fn rename(step: &mut Step, from: &str, to: &str) {
    map_ids(step, &|id: &mut StepId| replace(id, from, to));
}

fn replace(id: &mut StepId, from: &str, to: &str) {
    if let Some(rest) = id.as_str().strip_prefix(from)
        && (rest.is_empty() || rest.starts_with(['/', '!', '@']))
    {
        *id = StepId::from(format!("{to}{rest}"));
    }
}

/// Changes every id of a step, those of steps inside it included.
pub fn map_ids(step: &mut Step, new: &dyn Fn(&mut StepId)) {
    new(&mut step.id);
    step.needs.iter_mut().for_each(new);
    step.after.iter_mut().for_each(new);
    step.inside.iter_mut().for_each(new);
    step.opens.iter_mut().for_each(new);
    step.closes.iter_mut().for_each(new);
    step.include.iter_mut().for_each(new);
    if let Some(tally) = &mut step.tally {
        tally.of.iter_mut().for_each(new);
    }
    if let Some(since) = step.sleep.as_mut().and_then(|sleep| sleep.since.as_mut()) {
        new(since);
    }
    if let Some(undo) = &mut step.undo {
        map_ids(undo, new);
    }
    step.because = std::mem::take(&mut step.because)
        .into_iter()
        .map(|(mut id, reason)| {
            new(&mut id);
            (id, reason)
        })
        .collect();
    if let Some(group) = &mut step.group {
        let Group { of, each } = &mut **group;
        of.iter_mut().for_each(new);
        let inner = each.as_mut().and_then(|each| each.items.as_mut());
        for step in inner.into_iter().flat_map(|items| &mut items.template) {
            map_ids(step, new);
        }
    }
    // A window of an inner loop is the element's own.
    step.takes = std::mem::take(&mut step.takes)
        .into_iter()
        .map(|(pool, units)| match pool.strip_prefix(WINDOW) {
            Some(id) => {
                let mut id = StepId::from(id);
                new(&mut id);
                (format!("{WINDOW}{id}"), units)
            }
            None => (pool, units),
        })
        .collect();
}

/// Where an element may only begin once another is over, because only so many are under way at
/// once: `(end, begin)`, if all of them take equally long. The run itself lets the next one begin
/// when any ends.
#[must_use]
pub fn windows(steps: &[Step]) -> Vec<(StepId, StepId)> {
    let mut windows = Vec::new();
    for group in steps.iter().filter_map(|step| step.group.as_ref()) {
        let Some(width) = group.each.as_ref().and_then(|each| each.max_parallel) else { continue };
        let width = width as usize;
        if group.of.len() <= width {
            continue;
        }
        windows.extend(
            group
                .of
                .iter()
                .zip(&group.of[width..])
                .map(|(end, next)| (end.clone(), begin_of(next))),
        );
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &Value) -> Vec<String> {
        elements(of).expect("elements").into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn elements_are_named_by_text_position_or_key() {
        assert_eq!(names(&json!(["web_1", "10.0.0.1", 7])), ["web_1", "10.0.0.1", "7"]);
        assert_eq!(names(&json!(["a b", "c"])), ["1", "2"]);
        assert_eq!(names(&json!([{ "id": 1 }, "x"])), ["1", "2"]);
        assert_eq!(names(&json!({ "b": 1, "a": 2 })).len(), 2);
        assert_eq!(names(&json!([])), [] as [String; 0]);
        assert_eq!(
            elements(&json!({ "x": 1 })),
            Ok(vec![("x".to_owned(), json!({ "key": "x", "value": 1 }))])
        );
    }

    #[test]
    fn what_cannot_be_gone_over_is_told() {
        assert_eq!(
            elements(&json!(["a", "b", "a"])),
            Err("`a` is there twice, as number 1 and number 3".to_owned())
        );
        for wrong in [json!("a"), json!(3), json!(null), json!({ "$time": "x" })] {
            assert!(elements(&wrong).is_err(), "{wrong}");
        }
    }
}
