use std::sync::Arc;

use crate::event::Record;
use crate::time::{Clock, Now, Timestamp};

/// A wall clock that moves against the monotonic one by more than this is worth a record, in
/// milliseconds.
const MOVED_MS: i64 = 1_000;

/// The time of a run: `elapsed_ms` goes on over its sessions.
pub(super) struct SessionClock {
    clock: Arc<dyn Clock>,
    /// `elapsed_ms` at the start of the session.
    base_ms: u64,
    /// The monotonic clock at the start of the session.
    started_ms: u64,
    /// Wall clock less monotonic clock, as last noted.
    offset_ms: i64,
}

impl SessionClock {
    /// Goes on after the last record of the run, if there is one: between two sessions, which may
    /// be on two boots, only the wall clock tells how much time has passed.
    pub(super) fn new(clock: Arc<dyn Clock>, last: Option<&Record>) -> Self {
        let base_ms = last.map_or(0, |last| {
            let gap = clock.wall().as_millisecond() - last.event.at.as_millisecond();
            last.event.elapsed_ms + gap.max(0) as u64
        });
        let started_ms = clock.monotonic_ms();
        let offset_ms = clock.wall().as_millisecond() - started_ms as i64;
        Self { clock, base_ms, started_ms, offset_ms }
    }

    /// This moment, in whole milliseconds.
    pub(super) fn now(&self) -> Now {
        let elapsed = self.clock.monotonic_ms().saturating_sub(self.started_ms);
        Now { at: self.wall(), elapsed_ms: self.base_ms + elapsed }
    }

    /// By how many milliseconds the wall clock has moved by itself since this was last told;
    /// forward is positive.
    pub(super) fn moved_ms(&mut self) -> Option<i64> {
        let offset = self.clock.wall().as_millisecond() - self.monotonic_ms() as i64;
        let moved = offset - self.offset_ms;
        (moved.abs() > MOVED_MS).then(|| {
            self.offset_ms = offset;
            moved
        })
    }

    /// The moment on the monotonic clock at which the wall clock will show `at`, if nobody moves
    /// it.
    pub(super) fn due_ms(&self, at: Timestamp) -> u64 {
        let ahead = at.as_nanosecond() - self.clock.wall().as_nanosecond();
        let ahead_ms = u64::try_from((ahead + 999_999) / 1_000_000).unwrap_or(0);
        self.monotonic_ms() + ahead_ms
    }

    pub(super) fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    fn wall(&self) -> Timestamp {
        let ms = self.clock.wall().as_millisecond();
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::event::{Event, EventKind};

    /// Two hands that move apart.
    struct Hands(Mutex<(i64, u64)>);

    impl Hands {
        fn set(&self, wall_ms: i64, monotonic_ms: u64) {
            *self.0.lock().unwrap() = (wall_ms, monotonic_ms);
        }
    }

    impl Clock for Hands {
        fn wall(&self) -> Timestamp {
            Timestamp::from_millisecond(self.0.lock().unwrap().0).unwrap()
        }
        fn monotonic_ms(&self) -> u64 {
            self.0.lock().unwrap().1
        }
    }

    #[test]
    fn a_jump_is_told_once_and_changes_no_duration() {
        let hands = Arc::new(Hands(Mutex::new((1_000_000, 50))));
        let mut clock = SessionClock::new(hands.clone(), None);
        let due = clock.due_ms(Timestamp::from_millisecond(1_010_000).unwrap());
        for (wall, monotonic, moved) in [
            (1_002_000, 2_050, None),
            (1_003_500, 3_100, None), // adjusted slowly
            (1_003_500 + 3_600_000, 3_100, Some(3_600_450)), // an hour forward
            (1_004_500 + 3_600_000, 4_100, None),
            (1_005_500 - 86_400_000, 5_100, Some(-90_000_000)), // and a day back
        ] {
            hands.set(wall, monotonic);
            assert_eq!(clock.moved_ms(), moved, "{wall}");
            assert_eq!(clock.now().elapsed_ms, monotonic - 50);
        }
        assert_eq!(due, 10_050, "what was due in ten seconds stays so");
    }

    #[test]
    fn elapsed_goes_on_over_sessions() {
        let hands = Arc::new(Hands(Mutex::new((2_000_000, 7))));
        let record = |at_ms| Record {
            seq: 9,
            event: Event {
                at: Timestamp::from_millisecond(at_ms).unwrap(),
                elapsed_ms: 500,
                kind: EventKind::ClockMoved { by_ms: 0 },
            },
        };
        let clock = SessionClock::new(hands.clone(), Some(&record(1_990_000)));
        assert_eq!(clock.now().elapsed_ms, 10_500);
        let behind = SessionClock::new(hands.clone(), Some(&record(2_990_000)));
        assert_eq!(behind.now().elapsed_ms, 500, "never backwards");
        hands.set(2_001_000, 1_007);
        assert_eq!(clock.now().elapsed_ms, 11_500);
        assert_eq!(clock.due_ms(Timestamp::from_millisecond(1).unwrap()), 1_007, "at once");
    }
}
