//! The graph of a runbook: its steps, the validation of its services, and everything that orders
//! them. Serves the checks that need ancestors and the planner alike.

mod build;
mod cycles;
mod model;
#[cfg(test)]
mod tests;

pub use model::{Edge, EdgeKind, Graph, Node, NodeKind, Reason};
