//! Carries out what the machine decides: the only place that joins machine, journal and plugins,
//! and the only one that spawns.
//!
//! The driver has one rule: everything that a batch of decisions appends is durable before anything
//! else of that batch happens. What is shown is downstream of the journal and can never slow or
//! fail a run.

mod at_once;
mod attempt;
mod batch;
mod driver;
mod ending;
mod error;
mod flights;
mod handle;
mod inbox;
mod leftovers;
mod logic;
mod output;
mod panic;
mod preflight;
mod recovered;
mod session_clock;
mod signals;
#[cfg(test)]
mod tests;
mod timers;

pub use driver::{Engine, RunContext};
pub use error::EngineError;
pub use handle::{Handle, Requests};
pub use inbox::{Letter, Posted, post};
pub use logic::Logic;
pub use preflight::{Preflight, preflight};
pub use recovered::{Recovered, RecoveredResult};
