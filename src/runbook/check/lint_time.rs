//! Objectives that the runbook's own estimates rule out.

use std::collections::HashMap;

use super::checker::Checker;
use crate::runbook::{DocPath, StepDoc, codes};
use crate::time::Millis;

impl Checker<'_> {
    /// An RTO below the longest chain of steps that its service has to wait for: no capacity and
    /// no schedule could meet it. Only estimates that the runbook itself gives count; a step that
    /// may be passed over counts as nothing.
    pub(super) fn lint_objectives(&mut self) {
        let document = self.document;
        let steps: HashMap<&str, &StepDoc> =
            document.steps.iter().map(|step| (step.id.value.as_str(), step)).collect();
        let mut ends: Vec<u64> = vec![0; self.graph.len()];
        let mut last: HashMap<&str, (u64, usize)> = HashMap::new();
        let order: Vec<usize> = self.graph.topological().collect();
        for position in order {
            let start = self
                .graph
                .incoming(position)
                .iter()
                .map(|(from, _)| ends[*from])
                .max()
                .unwrap_or(0);
            let step = steps.get(self.graph.node(position).id.as_str()).copied();
            let takes = step.filter(|step| step.when.is_none()).map_or(0, declared);
            ends[position] = start + takes;
            let service = step.filter(|step| counts(step)).and_then(|step| step.service.as_deref());
            if let Some(service) = service {
                let known = last.entry(service).or_insert((0, position));
                if ends[position] > known.0 {
                    *known = (ends[position], position);
                }
            }
        }
        for (name, service) in &document.services {
            let tier = service.tier.as_ref().and_then(|tier| document.tiers.get(tier));
            let own = service.rto.as_ref();
            let Some(rto) = own.or_else(|| tier?.rto.as_ref()).and_then(minutes) else { continue };
            let Some((end, position)) = last.get(name.as_str()).copied() else { continue };
            if end <= rto {
                continue;
            }
            let id = self.graph.node(position).id.clone();
            let at = DocPath::key("services").field(name);
            let at = if own.is_some() { at.field("rto") } else { at.field("tier") };
            self.warn(
                codes::RTO_BELOW_PATH,
                at,
                format!(
                    "the steps up to `{id}` take {} one after the other, and the RTO of `{name}` \
                     is {}",
                    Millis(end).short(),
                    Millis(rto).short()
                ),
                "let steps run beside each other, correct an `estimate`, or promise what can be kept",
            );
        }
    }
}

fn declared(step: &StepDoc) -> u64 {
    step.estimate.as_deref().and_then(|it| it.parse::<Millis>().ok()).map_or(0, |it| it.0)
}

fn counts(step: &StepDoc) -> bool {
    use crate::words::Phase;
    matches!(step.phase, None | Some(Phase::Failover | Phase::Restore | Phase::Validate))
}

/// An objective in milliseconds: a duration, or a number of minutes.
fn minutes(value: &serde_json::Value) -> Option<u64> {
    match value {
        serde_json::Value::Number(number) => number.as_u64()?.checked_mul(60_000),
        serde_json::Value::String(text) => match text.parse::<u64>() {
            Ok(minutes) => minutes.checked_mul(60_000),
            Err(_) => text.parse::<Millis>().ok().map(|millis| millis.0),
        },
        _ => None,
    }
}
