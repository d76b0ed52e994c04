//! Who may open a gate, and when.

use crate::event::Actor;
use crate::machine::step::GateRecord;

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

/// Decides on one approval: distinct people count, wherever they log in from.
pub(in crate::machine) fn approve(gate: &GateRecord, by: &Actor, approvers: u32) -> Approval {
    if gate.approved_by.iter().any(|actor| actor.user == by.user) {
        return Approval::Repeated;
    }
    if gate.approved_by.len() as u32 + 1 >= approvers { Approval::Opens } else { Approval::Counts }
}
