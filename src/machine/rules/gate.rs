//! Who may open a gate, and when.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::event::{Actor, Request};
use crate::machine::state::State;
use crate::machine::step::GateRecord;
use crate::plan::{self, Challenge, Gate, Plan};
use crate::time::Timestamp;

/// What an approval does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::machine) enum Approval {
    /// It opens the gate.
    Opens,
    /// More people must approve.
    Counts,
    /// This person has already approved.
    Repeated,
}

/// What an approval tells, together with those before it; or why it does not count.
pub(in crate::machine) fn told(
    whole: &Plan,
    state: &State,
    plan: &Gate,
    gate: &GateRecord,
    (request, now): (&Request, Timestamp),
) -> Result<BTreeMap<String, Value>, String> {
    let user = &request.by.user;
    if !plan.from.is_empty() && !plan.from.contains(user) {
        return Err(format!("{user} may not approve this: {} may", plan.from.join(", ")));
    }
    if request.signed.is_none() && plan.keys.contains_key(user) {
        return Err(format!("{user} approves by a signature: `dr approve --challenge`"));
    }
    let mut given = request.inputs.clone();
    for (name, value) in &gate.inputs {
        // Two people who approve must mean the same.
        given.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let told = plan::answers(&plan.inputs, &given)?;
    let other = told
        .iter()
        .find(|(name, value)| gate.inputs.get(*name).is_some_and(|before| before != *value));
    match other {
        Some((name, _)) => Err(format!("somebody else gave another `{name}`: agree on one")),
        None => Ok(()),
    }?;
    if let (Some(signed), Some(started), Some(step)) =
        (&request.signed, &state.started, &request.step)
    {
        let challenge = Challenge {
            message: &gate.message,
            run: &started.run,
            step,
            request: &gate.request,
            plan: &whole.digest,
            inputs: &told,
            expires: Challenge::expiry(gate.asked, gate.deadline),
        };
        if challenge.line() != signed.challenge {
            return Err("the signature is for another question or other inputs".to_owned());
        }
        if challenge.expires < now {
            return Err(format!("the signature was good until {}", challenge.expires));
        }
        let signer = plan.signer(signed)?;
        if signer != user {
            return Err(format!("it is signed by {signer}, not by {user}"));
        }
    }
    Ok(told)
}

/// Decides on one approval: distinct people count, wherever they log in from.
pub(in crate::machine) fn approve(gate: &GateRecord, by: &Actor, approvers: u32) -> Approval {
    if gate.approved_by.iter().any(|actor| actor.user == by.user) {
        return Approval::Repeated;
    }
    if gate.approved_by.len() as u32 + 1 >= approvers { Approval::Opens } else { Approval::Counts }
}
