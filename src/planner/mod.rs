//! Runbook + catalog + history → plan: resolves one environment, selects steps, and schedules them.
//! Touches nothing and contacts nothing.

mod action;
mod clock;
pub mod codes;
mod compare;
mod compound;
pub mod diff;
mod edges;
mod emit;
mod estimates;
mod explain;
pub mod forecast;
#[cfg(test)]
mod group_tests;
mod include;
mod make;
mod names;
mod objectives;
mod problem;
pub mod render;
#[cfg(test)]
mod reproducible_tests;
mod request;
mod resolve;
pub mod schedule;
mod select;
mod sleeps;
mod spans;
mod steps;
#[cfg(test)]
mod tests;
mod texts;
mod timing;
mod undo;
mod validation;

pub use compare::{Compared, Comparison, compare};
pub use estimates::{Estimates, Taken};
pub use explain::{Awaited, Crowd, Why, why};
pub use make::plan;
pub use request::{InputValue, PlanRequest, Skip};
