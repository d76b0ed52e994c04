//! The `route53` plugin: record sets of hosted zones and the state of health checks.

mod change;
mod convert;
mod health;
mod input;
mod look;
mod plugin;
mod record;
mod zone;

pub use plugin::plugin;
