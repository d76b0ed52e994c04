use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest wait for anything: far more than the slowest machine needs.
pub const LONG: Duration = Duration::from_secs(90);

/// Asks `look` again and again until it gives something.
///
/// # Panics
/// After [`LONG`], naming `what`.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LONG, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}
