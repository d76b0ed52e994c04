use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dr_plugin::{Call, CallKey, ErrorClass, Keyed, Plugin};
use serde_json::Value;

use super::attempt::Shared;
use crate::event::{AttemptFinished, EventKind, Next, Outcome, Purpose, Record};
use crate::id::StepId;
use crate::plan::{Plan, Step};

/// An attempt by what names it for ever.
type Attempt<'a> = (&'a StepId, Purpose, u32);

/// Calls of earlier sessions whose result is on record, in case the process ended before their
/// plugin was told. Only jobs of this machine: no host is asked for the sake of tidiness.
pub(super) fn leftovers(
    history: &[Record],
    plan: &Plan,
    shared: &Shared,
) -> Vec<(Arc<dyn Plugin>, Call)> {
    if history.is_empty() {
        return Vec::new();
    }
    let all = plan.steps.iter().flat_map(|step| std::iter::once(step).chain(step.undo_steps()));
    let jobs: HashMap<&StepId, &Step> = all
        .filter(|step| step.keyed == Keyed::Job && step.host.is_none())
        .map(|step| (&step.id, step))
        .collect();
    let mut inputs: BTreeMap<(&StepId, Purpose), &Value> = BTreeMap::new();
    let mut last: BTreeMap<&StepId, Attempt<'_>> = BTreeMap::new();
    let mut settled: BTreeMap<Attempt<'_>, Option<&Value>> = BTreeMap::new();
    for record in history {
        match &record.event.kind {
            EventKind::AttemptStarted { step, attempt, purpose, input, .. } => {
                if let Some(input) = input {
                    inputs.insert((step, *purpose), input);
                }
                if *purpose != Purpose::Check {
                    last.insert(step, (step, *purpose, *attempt));
                    settled.remove(&(step, *purpose, *attempt));
                }
            }
            EventKind::AttemptFinished(finished) if is_settled(finished) => {
                let attempt = match finished.purpose {
                    Purpose::Check => last.get(&finished.step).copied(),
                    purpose => Some((&finished.step, purpose, finished.attempt)),
                };
                settled.extend(attempt.map(|it| (it, inputs.get(&(it.0, it.1)).copied())));
            }
            _ => {}
        }
    }
    let call = |((step, purpose, attempt), input): (Attempt<'_>, Option<&Value>)| {
        let planned = *jobs.get(step)?;
        let uses = planned.uses.as_ref()?;
        let plugin = Arc::clone(shared.registry.get(&uses.plugin)?);
        let settings = plan.settings_name(planned.include.as_ref(), &uses.plugin);
        let input = input?.clone();
        let call = Call {
            action: uses.action.clone(),
            input: match shared.inputs.get(uses) {
                Some(schema) => dr_plugin::coerce(schema, input),
                None => input,
            },
            settings: shared.settings.get(settings).cloned().unwrap_or_default(),
            host: None,
            secrets: BTreeMap::default(),
            key: CallKey {
                run: shared.run.to_string(),
                step: step.to_string(),
                purpose: purpose.as_str().to_owned(),
                attempt,
            },
            timeout_ms: None,
            effect: planned.effect,
        };
        Some((plugin, call))
    };
    settled.into_iter().filter_map(call).collect()
}

/// Whether nobody will ask for the attempt again: as for one that has just come back. A check that
/// lets the step go on tells it of the action's last attempt.
fn is_settled(finished: &AttemptFinished) -> bool {
    if finished.purpose == Purpose::Check {
        return finished.next == Next::Proceed;
    }
    let permanent = finished.error.as_ref().or(finished.expected.as_ref());
    finished.outcome == Outcome::Succeeded
        || permanent.is_some_and(|error| error.class == ErrorClass::Permanent)
}
