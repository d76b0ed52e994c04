use std::collections::HashMap;

use serde_json::{Value, json};

use super::{EdgeReason, Plan, Sleep, Step};
use crate::event::EventKind;
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
    can_name_element(&text).then_some(text)
}

/// Whether an element of a loop can be called so in ids: nothing that separates their parts, and nothing
/// that a terminal or a shell would take for something else.
#[must_use]
pub fn can_name_element(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(plain)
}

/// The id of the step with which a group or loop begins.
#[must_use]
pub fn begin_of(id: &StepId) -> StepId {
    StepId::from(format!("{id}!begin"))
}

/// The plan as an event of its run makes it grow, with the step that ends the loop; nothing if the
/// event does not, or the plan has those steps already, because it was read together with the
/// journal. The one place that knows how it is done: the run, its views and its evidence all ask
/// here.
#[must_use]
pub fn grown_by<'e>(plan: &Plan, event: &'e EventKind) -> Option<(Plan, &'e StepId)> {
    let (grown, step) = match event {
        EventKind::Expanded { step, items } => (expand(plan, step, items), step),
        EventKind::RoundStarted { step, round, .. } => (next_round(plan, step, *round), step),
        _ => return None,
    };
    Some((grown.ok()?, step))
}

/// The plan with the elements of a loop in place of their template: at the end of the steps, so
/// that every other step keeps its position.
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
        .each()
        .and_then(|each| each.items.as_ref())
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
    // As many at a time as may be; the times of a template count from the start of its element.
    let each = plan.steps[position].each();
    let width = each.and_then(|each| each.max_parallel).unwrap_or(u32::MAX).max(1) as usize;
    let lasts = items.template.iter().map(|step| step.finish_ms).max().unwrap_or(0);
    let begins = plan.step(begin_of(id).as_str()).map_or(0, |begin| begin.start_ms);
    let mut made = Vec::with_capacity(elements.len());
    for (number, (name, value)) in elements.iter().enumerate() {
        let mut steps = instances(id, &items.template, name);
        for step in &mut steps {
            bind(plan, step, &items.name, value)?;
            let start = begins + (number / width) as u64 * lasts;
            step.start_ms += start;
            step.finish_ms += start;
        }
        made.push((name.clone(), steps));
    }
    let mut expanded = grown(plan, position, made);
    if let Some(each) = expanded.steps[position].group.as_mut().and_then(|it| it.each.as_mut()) {
        each.items = None;
    }
    Ok(expanded)
}

/// The plan with one more round of a group that is repeated; rounds are numbered from 1.
///
/// # Errors
/// A step that ends no such group, or a round that is not the next one.
fn next_round(plan: &Plan, id: &StepId, round: u32) -> Result<Plan, String> {
    let position = plan
        .steps
        .iter()
        .position(|step| step.id == *id)
        .ok_or_else(|| format!("there is no step `{id}`"))?;
    let end = &plan.steps[position];
    let (Some(rounds), Some(group), Some(repeat)) = (end.rounds(), &end.group, &end.repeat) else {
        return Err(format!("`{id}` is no group that is repeated"));
    };
    if group.of.len() + 1 != round as usize {
        return Err(format!("`{id}` has had {} rounds", group.of.len()));
    }
    let mut steps = instances(id, &rounds.template, &round.to_string());
    let before = group.of.last().and_then(|end| plan.step(end.as_str()));
    let begins = before.map_or_else(
        || plan.step(begin_of(id).as_str()).map_or(0, |begin| begin.start_ms),
        |end| end.finish_ms + repeat.every_ms,
    );
    let first = begin_of(&StepId::from(format!("{id}@{round}")));
    for step in &mut steps {
        step.start_ms += begins;
        step.finish_ms += begins;
        if let Some(before) = before.filter(|_| step.id == first) {
            step.after.push(before.id.clone());
            step.because.insert(before.id.clone(), EdgeReason::Group);
            step.sleep = Some(Sleep { for_ms: repeat.every_ms, since: None });
        }
    }
    Ok(grown(plan, position, vec![(round.to_string(), steps)]))
}

/// The plan with the steps of further elements at its end.
fn grown(plan: &Plan, position: usize, elements: Vec<(String, Vec<Step>)>) -> Plan {
    let mut grown = plan.clone();
    let id = plan.steps[position].id.clone();
    let urgency = plan.steps[position].urgency;
    for (name, mut steps) in elements {
        for step in &mut steps {
            step.urgency = urgency;
            step.each_undo(&mut |undo| undo.urgency = urgency);
        }
        for (include, what) in &plan.includes {
            let mut own = include.clone();
            replace(&mut own, &format!("{id}@{ANY}"), &format!("{id}@{name}"));
            if own != *include {
                grown.includes.insert(own, what.clone());
            }
        }
        // A loop inside has a window of its own in each element.
        for (pool, of) in &plan.pools {
            let Some(window) = pool.strip_prefix(WINDOW) else { continue };
            let mut own = StepId::from(window);
            replace(&mut own, &format!("{id}@{ANY}"), &format!("{id}@{name}"));
            if own.as_str() != window {
                grown.pools.insert(format!("{WINDOW}{own}"), of.clone());
            }
        }
        let end = &mut grown.steps[position];
        let last = StepId::from(format!("{id}@{name}"));
        end.after.push(last.clone());
        end.estimate_ms = 0;
        if let Some(group) = &mut end.group {
            group.of.push(last);
        }
        grown.steps.extend(steps);
    }
    grown
}

/// The steps of a template for one element or round.
fn instances(id: &StepId, template: &[Step], name: &str) -> Vec<Step> {
    let mut steps = template.to_vec();
    for step in &mut steps {
        rename(step, &format!("{id}@{ANY}"), &format!("{id}@{name}"));
    }
    steps
}

/// Gives an element its name in a step, and in the templates of loops inside it.
fn bind(plan: &Plan, step: &mut Step, name: &str, value: &Value) -> Result<(), String> {
    step.bound.insert(name.to_owned(), value.clone());
    if let Some(text) = step.host.clone().filter(|host| host.contains("{{")) {
        let names = MapNames::new(json!(step.bound));
        let rendered = crate::text::Templated::parse(&Value::from(text.as_str()))
            .and_then(|host| host.render_text(&names));
        // The element of an inner loop is not known yet.
        if let Ok(host) = rendered {
            let host = plan.host_name(step.include.as_ref(), &host).to_owned();
            if !plan.hosts.contains_key(&host) {
                return Err(format!("`{}` acts on `{host}`, which is no host", step.id));
            }
            step.takes.remove(&format!("host:{text}"));
            step.takes.insert(format!("host:{host}"), 1);
            step.host = Some(host);
        }
    }
    if let Some(check) = &mut step.check
        && check.host.as_ref().is_some_and(|host| host.contains("{{"))
    {
        check.host.clone_from(&step.host);
    }
    for step in step.template_mut() {
        bind(plan, step, name, value)?;
    }
    let mut bound = Ok(());
    step.each_undo(&mut |undo| {
        if bound.is_ok() {
            bound = bind(plan, undo, name, value);
        }
    });
    bound
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
    step.each_undo(&mut |undo| map_ids(undo, new));
    step.because = std::mem::take(&mut step.because)
        .into_iter()
        .map(|(mut id, reason)| {
            new(&mut id);
            (id, reason)
        })
        .collect();
    if let Some(group) = &mut step.group {
        group.of.iter_mut().for_each(new);
    }
    for step in step.template_mut() {
        map_ids(step, new);
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
        for strange in ["", "a/b", "a@b", "a!b", "*", "a b", "a\nb", "a\u{1b}[2J", "a\u{202e}b"] {
            assert_eq!(names(&json!([strange])), ["1"], "{strange:?}");
            assert_eq!(names(&json!({ strange: 1 })), ["1"], "{strange:?}");
        }
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
