//! Objectives that the runbook's own estimates rule out.

use std::collections::HashMap;

use super::checker::Checker;
use crate::runbook::{Declared, DocPath, NodeKind, StepDoc, codes};
use crate::time::Millis;

impl Checker<'_> {
    /// An RTO below the longest chain of steps that its service has to wait for: no capacity and
    /// no schedule could meet it. Only estimates that the runbook itself gives count; a step that
    /// may be passed over counts as nothing.
    pub(super) fn lint_objectives(&mut self) {
        let document = self.document;
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
            let step = match self.graph.node(position).kind {
                NodeKind::Step { step } => Some(step),
                _ => None,
            };
            ends[position] = start + step.map_or(0, |step| self.takes_at_least(step));
            let step = step.map(|step| self.outline.get(step)).filter(|step| counts(step));
            let service = step.and_then(|step| step.service);
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

impl Checker<'_> {
    /// What a step takes in any case: nothing if it may be passed over. A loop has one element.
    fn takes_at_least(&self, step: usize) -> u64 {
        let may_be_nothing =
            |declared: &Declared<'_>| declared.doc.when.is_some() || declared.doc.allow_empty;
        if self.outline.get(step).is_group() || self.outline.outwards(step).any(may_be_nothing) {
            return 0;
        }
        declared(self.outline.get(step).doc)
    }
}

fn declared(step: &StepDoc) -> u64 {
    step.estimate.as_deref().and_then(|it| it.parse::<Millis>().ok()).map_or(0, |it| it.0)
}

fn counts(step: &Declared<'_>) -> bool {
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
