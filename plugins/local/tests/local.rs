//! The `local` plugin against real processes.

#[path = "local/direct.rs"]
mod direct;
#[path = "local/jobs.rs"]
mod jobs;
#[path = "local/support.rs"]
mod support;
