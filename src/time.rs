//! Time as it is injected, printed and parsed.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

pub use jiff::Timestamp;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment of a run: the wall clock as a label, the monotonic clock for arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, UTC.
    pub at: Timestamp,
    /// Milliseconds since the run's start, over all its sessions, from the monotonic clock.
    pub elapsed_ms: u64,
}

/// A moment to the second, as it is told: `2026-11-20T03:12:19Z`.
#[derive(Debug, Clone, Copy)]
pub struct ToSecond(pub Timestamp);

impl fmt::Display for ToSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
        PRINTER.print_timestamp(&self.0, StdFmtWrite(f)).map_err(|_| fmt::Error)
    }
}

/// The only source of time. Implemented by the system and, in tests and rehearsals, by hand.
pub trait Clock: Send + Sync {
    /// Wall clock.
    fn wall(&self) -> Timestamp;
    /// Milliseconds of a clock that never jumps and counts while the machine sleeps. Its origin
    /// means nothing.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is injected elsewhere")]
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic_ms(&self) -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
    }
}

/// A clock that moves only when told.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, u64)>,
}

impl ManualClock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { state: Mutex::new((at, 0)) }
    }

    /// Moves both hands forward.
    ///
    /// # Panics
    /// If the time leaves the range of [`Timestamp`].
    pub fn advance_ms(&self, by: u64) {
        let mut state = self.lock();
        state.0 += jiff::SignedDuration::from_millis(by as i64);
        state.1 += by;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, u64)> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.lock().0
    }

    fn monotonic_ms(&self) -> u64 {
        self.lock().1
    }
}

/// A length of time in whole milliseconds, written `90s`, `15m`, `1h30m`, `250ms`, `2d`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

impl FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration: write `90s`, `15m`, `1h30m`");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut total = 0_u64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            let after = &rest[digits..];
            let (unit, scale) =
                UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
            total = number
                .checked_mul(*scale)
                .and_then(|part| total.checked_add(part))
                .filter(|total| *total <= 100 * 366 * 86_400_000)
                .ok_or_else(|| format!("`{text}` is longer than 100 years"))?;
            rest = &after[unit.len()..];
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Millis {
    /// Exact and re-readable: `5m0s`, `1h30m0s`, `1s250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        dr_plugin::Period(std::time::Duration::from_millis(self.0)).fmt(f)
    }
}

impl Millis {
    /// Short, for people: three digits at most are dropped (`12m30s`, `4.2s`, `350ms`, `1h05m`).
    #[must_use]
    pub fn short(self) -> String {
        match self.0 {
            ms if ms < 1_000 => format!("{ms}ms"),
            ms if ms < 10_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
            ms if ms < 60_000 => format!("{}s", ms / 1_000),
            ms if ms < 3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1_000 % 60),
            ms => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        for (text, ms, shown, short) in [
            ("90s", 90_000, "1m30s", "1m30s"),
            ("15m", 900_000, "15m0s", "15m00s"),
            ("1h30m", 5_400_000, "1h30m0s", "1h30m"),
            ("250ms", 250, "250ms", "250ms"),
            ("1s250ms", 1_250, "1s250ms", "1.2s"),
            ("0s", 0, "0s", "0ms"),
            ("2d", 172_800_000, "48h0m0s", "48h00m"),
        ] {
            let parsed: Millis = text.parse().expect(text);
            assert_eq!(parsed, Millis(ms), "{text}");
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(shown.parse(), Ok(parsed));
            assert_eq!(parsed.short(), short);
        }
        for bad in ["", "5", "m", "5x", "-5s", "1.5h", "99999999999999d", "5 m"] {
            assert!(bad.parse::<Millis>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().expect("a timestamp"));
        clock.advance_ms(1_500);
        assert_eq!(clock.monotonic_ms(), 1_500);
        assert_eq!(clock.wall().to_string(), "2026-01-01T00:00:01.5Z");
    }
}
