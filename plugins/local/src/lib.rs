//! The `local` plugin: commands and scripts on the machine that runs `dr`.
//!
//! What may be repeated is executed directly; everything else is a job that survives `dr`.

mod direct;
mod group;
mod input;
mod job;
mod left_over;
mod plugin;
mod preview;
mod program;

pub use input::{CommandInput, ScriptInput, Settings};
pub use plugin::plugin;
