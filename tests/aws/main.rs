//! The AWS plugins as programs of their own, driven by the real `dr` and by hand, against an
//! emulator with a proxy before it that makes requests go wrong.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start processes and threads and look at the clock; a failing helper is a \
              failing test"
)]

mod bad_input;
mod cloud;
mod failover;
mod faults;
mod killed;
#[path = "../it/postgres_pair.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod postgres_pair;

/// The binary under test, in a new folder.
fn dr() -> dr_testkit::Dr {
    dr_testkit::Dr::new(env!("CARGO_BIN_EXE_dr"))
}

/// The path of something in the repository.
fn repository(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
