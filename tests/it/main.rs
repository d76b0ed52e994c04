//! The integration tests: the real binary, one file for each feature.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests start processes and threads, look at the clock and print their counts; a \
              failing helper is a failing test"
)]

mod bad_input;
mod constructs;
mod diff;
mod folder;
mod going_back;
mod groups;
mod guide;
mod hostile;
mod house;
mod includes;
mod init;
mod injection;
mod kills;
mod locks;
mod observe;
mod on_call;
mod pages;
mod people;
mod plans;
mod plugins;
mod postgres_failover;
mod postgres_pair;
mod procedures;
mod processes;
mod quickstart;
mod quiet;
mod rehearse;
mod schemas;
mod sealed;
mod secret_inputs;
mod secrets;
mod services;
mod spoken;
mod ssh_faults;
mod terminals;
mod verify;

/// The binary under test, in a new folder.
fn dr() -> dr_testkit::Dr {
    dr_testkit::Dr::new(env!("CARGO_BIN_EXE_dr"))
}

/// The path of something in the repository.
fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
