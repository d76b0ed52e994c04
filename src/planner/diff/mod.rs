//! What a change to a runbook does to its plan: effects, not text.

mod compare;
mod model;
mod render;
#[cfg(test)]
mod tests;
mod waits;
mod watch;

pub use compare::diff;
pub use model::{
    Changed, FieldChange, PlanDiff, ServiceDiff, StepDiff, StepLine, Watch, WatchKind,
};
pub use render::{markdown, text};
