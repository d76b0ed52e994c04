//! Every check of a runbook that needs no environment, input or run: one file per concern.

mod actions;
mod ancestors;
mod arguments;
mod checker;
mod ends;
mod environments;
mod fits;
mod gates;
mod groups;
mod includes;
mod inputs;
mod lint_time;
mod lints;
mod members;
mod names;
mod numbers;
mod reads;
mod results;
mod services;
mod spans;
mod steps;
mod undo_steps;

pub use checker::check;
