//! The `local` plugin against real processes.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "local/direct.rs"]
mod direct;
#[path = "local/jobs.rs"]
mod jobs;
#[path = "local/support.rs"]
mod support;
