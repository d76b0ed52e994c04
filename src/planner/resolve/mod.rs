//! One environment of a runbook: its inputs, values, hosts, secrets, plugin settings and pools.

mod environment;
mod hosts;
mod inputs;

pub(super) use environment::{Environment, resolve};
