//! The `ssh` plugin against a real sshd.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "support/bench.rs"]
mod bench;
#[path = "ssh/commands.rs"]
mod commands;
#[path = "ssh/files.rs"]
mod files;
#[path = "ssh/jobs.rs"]
mod jobs;
#[path = "ssh/login.rs"]
mod login;
#[path = "ssh/processes.rs"]
mod processes;
#[path = "support/sshd.rs"]
mod sshd;
