//! The scheduling problem without its words: durations, demands, edges, pools, objectives. Pure and
//! deterministic; everything else in the planner turns runbooks into this and the answer into a
//! plan.

mod baseline;
mod bound;
mod compact;
mod follow;
mod generator;
mod instance;
mod keys;
mod objective;
mod parallel;
mod portfolio;
mod profile;
mod random;
mod search;
#[cfg(test)]
mod tests;

pub use baseline::{fifo, waves};
pub use bound::{Bounds, Proof, bounds};
pub(in crate::planner) use follow::follow;
pub use instance::{Goal, Instance};
pub use keys::{Chains, Keys, slack_ms};
pub use objective::Value;
pub(in crate::planner) use portfolio::optimise_from;
pub use portfolio::{Effort, optimise};
pub(in crate::planner) use random::Random;
