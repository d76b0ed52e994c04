//! All run logic as one pure state machine: inputs in, effects out. It reads no clock, no file and
//! no environment, and starts nothing; a fresh run is the replay of an empty journal.
//!
//! `state` and `step` fold events and are all that is durable; `machine` keeps what belongs to one
//! session and does what the other files decide: `start` a session, `advance` a step, launch its
//! `attempts`, `readings` and `checks`, follow `people`, and `unwind`, close and tidy up at the end. `rules` are the single decisions, each
//! in a file of its own.

mod advance;
mod attempts;
mod checks;
mod expand;
mod foresee;
mod graph;
mod groups;
mod include;
mod io;
#[expect(clippy::module_inception, reason = "the machine itself")]
mod machine;
mod names;
mod people;
mod queue;
mod readings;
mod reopen;
mod risk;
mod rounds;
mod rules;
mod scopes;
mod sleep;
mod start;
mod state;
mod step;
#[cfg(test)]
pub(crate) mod tests;
mod undo_groups;
mod unwind;
mod windows;
mod yielding;

pub use foresee::{Foreseen, Unmet, UnmetKind};
pub use graph::PlanFault;
pub use io::{AttemptResult, Effect, Ending, Input, Launch, LaunchKind, Session, Ticket, Timer};
pub use machine::Machine;
