//! The `sim` plugin: actions and probes that touch nothing and do what the runbook scripts: give a
//! result, take a while, fail. For trying out runbooks, for tests and for documentation.

mod plugin;
mod script;

pub use plugin::plugin;
