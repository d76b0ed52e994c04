//! Log lines on standard error, above what a terminal redraws.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;

/// What is redrawn at the end of the terminal, while there is something.
static REDRAWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// From now on, lines go above `redrawn`.
pub(super) fn write_above(redrawn: MultiProgress) {
    *REDRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(redrawn);
}

/// Logs to standard error: `-v` or `DR_LOG`.
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
pub(super) fn start(verbose: u8, coloured: bool) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter =
        std::env::var("DR_LOG").unwrap_or_else(|_| format!("dr={level},dr_plugin={level}"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(|| Above)
        .with_ansi(coloured)
        .with_target(false)
        .try_init();
}

/// Standard error. A terminal that is gone is no error: who logs must not fail for it.
struct Above;

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let redrawn = REDRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Not through `suspend`, which panics where the terminal is gone.
        let _ = match redrawn {
            Some(redrawn) => redrawn.println(String::from_utf8_lossy(line).trim_end()),
            None => io::stderr().write_all(line),
        };
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
