//! Runbook + catalog + history → plan: resolves one environment, selects steps, and schedules them.
//! Touches nothing and contacts nothing.

mod clock;
pub mod codes;
pub mod diff;
mod make;
mod names;
mod objectives;
pub mod render;
mod request;
mod resolve;
pub mod schedule;
mod select;
mod sleeps;
mod spans;
mod steps;
#[cfg(test)]
mod tests;
mod timing;
mod undo;
mod validation;

pub use make::plan;
pub use request::{Estimates, InputValue, PlanRequest, Skip};
