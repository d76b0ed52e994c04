//! The scheduling problem without its words: durations, demands, edges, pools, objectives. Pure and
//! deterministic; everything else in the planner turns runbooks into this and the answer into a
//! plan.

mod bound;
mod compact;
mod instance;
mod keys;
mod objective;
mod portfolio;
mod profile;
mod random;
mod search;
mod serial;
#[cfg(test)]
mod tests;

pub use bound::{Bounds, Proof, bounds, chain_to};
pub use instance::{Goal, Instance};
pub use keys::{Keys, slack_ms};
pub use objective::Value;
pub use portfolio::{Effort, optimise};
