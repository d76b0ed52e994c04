use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::{Plan, PluginUse, Service, Span, Step};
use crate::id::{Digest, Digester};

/// What of a plan, a service or a step says nothing about what would be done: descriptions,
/// places, references, estimates and what follows from them. Everything else is covered, so that a field
/// added later cannot be forgotten.
const PLAN_ASIDE: [&str; 12] = [
    "critical_path",
    "description",
    "digest",
    "forecast",
    "history",
    "lower_bound_ms",
    "makespan_ms",
    "notices",
    "owner",
    "seal",
    "services",
    "steps",
];
const SERVICE_ASIDE: [&str; 8] =
    ["bound", "kind", "lower_bound_ms", "meets_rto", "p50_ms", "p90_ms", "p95_ms", "predicted_ms"];
const STEP_ASIDE: [&str; 12] = [
    "because",
    "critical",
    "description",
    "estimate_ms",
    "estimate_source",
    "finish_ms",
    "place",
    "slack_ms",
    "source",
    "start_ms",
    "urgency",
    "yields_to",
];

/// The digest over what the plan would do: not over estimates, schedule, descriptions, places or
/// the seal. SHA-256 over canonical JSON: keys sorted, no white space.
#[must_use]
pub fn digest(plan: &Plan) -> Digest {
    let mut sum = Digester::default();
    let mut text = Buffers::default();
    // Services and steps are long: each is turned into JSON on its own.
    let head = Plan { services: Vec::new(), steps: Vec::new(), ..head_of(plan) };
    add(&mut sum, &mut text, &head, &PLAN_ASIDE);
    sum.update(b"[");
    for service in &plan.services {
        add::<Service>(&mut sum, &mut text, service, &SERVICE_ASIDE);
    }
    sum.update(b"][");
    for step in &plan.steps {
        add_step(&mut sum, &mut text, step);
    }
    sum.update(b"]");
    sum.finish()
}

/// Memory for one part after the other.
#[derive(Default)]
struct Buffers {
    text: Vec<u8>,
    scratch: dr_canonical::Scratch,
}

/// What the digest covers of a plan besides its services and steps, as JSON.
#[must_use]
pub fn covered_head(plan: &Plan) -> Value {
    covered(&head_of(plan), &PLAN_ASIDE)
}

/// What the digest covers of a step, as JSON; of a loop without what is done for each element, of a
/// group that takes it back without the steps of that.
#[must_use]
pub fn covered_step(step: &Step) -> Value {
    covered(&*bounds_only(step).0, &STEP_ASIDE)
}

fn covered<T: Serialize>(part: &T, aside: &[&str]) -> Value {
    let mut value = serde_json::to_value(part).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.retain(|key, _| !aside.contains(&key.as_str()));
        // What takes a step back is a step within the step.
        if let Some(Value::Object(undo)) = fields.get_mut("undo") {
            undo.retain(|key, _| !aside.contains(&key.as_str()));
        }
    }
    value
}

/// A step without the steps that stand inside it alone, and those: what is done for each element of
/// a loop, whose expected number is left out as well, and what takes it back.
fn bounds_only(step: &Step) -> (Cow<'_, Step>, &[Step]) {
    let undoing = step.undo.as_ref().and_then(|undo| undo.group.as_ref());
    let undoing = undoing.map_or(&[][..], |group| &group.undoing);
    if step.template().is_empty() && undoing.is_empty() {
        return (Cow::Borrowed(step), &[]);
    }
    let mut outer = step.clone();
    if let Some(group) = outer.undo.as_mut().and_then(|undo| undo.group.as_mut()) {
        group.undoing.clear();
    }
    if let Some(each) = outer.group.as_mut().and_then(|group| group.each.as_mut()) {
        if let Some(bounds) = &mut each.items {
            bounds.template.clear();
            bounds.estimate = 0;
        }
        if let Some(rounds) = &mut each.rounds {
            rounds.template.clear();
        }
    }
    // A loop is not taken back: its elements are.
    (Cow::Owned(outer), if undoing.is_empty() { step.template() } else { undoing })
}

fn add_step(sum: &mut Digester, text: &mut Buffers, step: &Step) {
    let (outer, inside) = bounds_only(step);
    add(sum, text, &*outer, &STEP_ASIDE);
    if !inside.is_empty() {
        sum.update(b"[");
        for step in inside {
            add_step(sum, text, step);
        }
        sum.update(b"]");
    }
}

/// The plan without its long lists.
fn head_of(plan: &Plan) -> Plan {
    Plan {
        format: plan.format,
        runbook: plan.runbook.clone(),
        description: None,
        owner: None,
        environment: plan.environment.clone(),
        protected: plan.protected,
        mode: plan.mode,
        style: plan.style,
        phases: plan.phases.clone(),
        undo_on_cancel: plan.undo_on_cancel,
        digest: plan.digest.clone(),
        makespan_ms: 0,
        lower_bound_ms: 0,
        critical_path: Vec::new(),
        inputs: plan.inputs.clone(),
        values: plan.values.clone(),
        hosts: plan.hosts.clone(),
        secrets: plan.secrets.clone(),
        // Where a program lies differs between machines; what it offers is in the manifest's digest.
        plugins: plan
            .plugins
            .iter()
            .map(|(name, used)| (name.clone(), PluginUse { executable: None, ..used.clone() }))
            .collect(),
        pools: plan.pools.clone(),
        services: Vec::new(),
        locks: plan.locks.clone(),
        includes: plan.includes.clone(),
        spans: plan.spans.iter().map(Span::without_prediction).collect(),
        steps: Vec::new(),
        files: plan.files.clone(),
        history: Vec::new(),
        forecast: None,
        notices: Vec::new(),
        seal: None,
    }
}

fn add<T: Serialize>(sum: &mut Digester, buffers: &mut Buffers, part: &T, aside: &[&str]) {
    let Buffers { text, scratch } = buffers;
    text.clear();
    if dr_canonical::write(part, aside, scratch, text).is_err() {
        // A key that is no text: a plan has none.
        text.clear();
    }
    sum.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(sorted).collect(),
            Value::Object(fields) => {
                let sorted: std::collections::BTreeMap<String, Value> =
                    fields.into_iter().map(|(key, item)| (key, self::sorted(item))).collect();
                Value::Object(sorted.into_iter().collect())
            }
            other => other,
        }
    }

    #[derive(Serialize)]
    struct Every {
        z: Option<f64>,
        a: f32,
        undo: Box<Option<Self>>,
        skip: &'static str,
        variants: Vec<Variant>,
        map: std::collections::BTreeMap<u8, &'static str>,
        text: std::collections::BTreeMap<&'static str, char>,
    }

    #[derive(Serialize)]
    enum Variant {
        Unit,
        New(u64),
        Pair(i8, ()),
        Named { z: bool, undo: i64, skip: [u8; 2] },
    }

    fn every(undo: Option<Every>) -> Every {
        Every {
            z: Some(1.0),
            a: 0.1,
            undo: Box::new(undo),
            skip: "left out",
            variants: vec![
                Variant::Unit,
                Variant::New(u64::MAX),
                Variant::Pair(-1, ()),
                Variant::Named { z: true, undo: i64::MIN, skip: [1, 2] },
            ],
            map: [(10, "ten"), (9, "nine")].into(),
            text: [("a", 'x'), ("a b", '"'), ("a\"", '\n'), ("é", '\u{7f}')].into(),
        }
    }

    #[test]
    fn what_is_written_is_the_value_with_sorted_keys() {
        for part in [every(None), every(Some(every(None)))] {
            let mut text = Vec::new();
            dr_canonical::write(&part, &["skip"], &mut dr_canonical::Scratch::default(), &mut text)
                .expect("json");
            let expected = serde_json::to_string(&sorted(covered(&part, &["skip"])));
            assert_eq!(String::from_utf8(text).expect("text"), expected.expect("json"));
        }
    }
}
