use std::collections::{BTreeSet, HashMap};

use crate::machine::Timer;

/// Timers on the monotonic clock: moving the wall clock neither fires nor delays them.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_name: HashMap<Timer, u64>,
    by_time: BTreeSet<(u64, Timer)>,
}

impl Timers {
    /// Sets a timer, in place of an earlier one of the same name.
    pub(super) fn set(&mut self, timer: Timer, due_ms: u64) {
        if let Some(earlier) = self.by_name.insert(timer.clone(), due_ms) {
            self.by_time.remove(&(earlier, timer.clone()));
        }
        self.by_time.insert((due_ms, timer));
    }

    /// When the first one is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(due, _)| *due)
    }

    /// Takes the first one that is due by `now_ms`.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        if self.next_ms()? > now_ms {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.by_name.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_fire_in_order_and_replace_each_other() {
        let timer = |name: &str| Timer::Next(name.into());
        let mut timers = Timers::default();
        timers.set(timer("a"), 30);
        timers.set(timer("b"), 20);
        timers.set(timer("a"), 10);
        timers.set(Timer::Gate("a".into()), 10);
        assert_eq!((timers.next_ms(), timers.pop(9)), (Some(10), None));
        assert_eq!(timers.pop(25), Some(timer("a")));
        assert_eq!(timers.pop(25), Some(Timer::Gate("a".into())));
        assert_eq!(timers.pop(25), Some(timer("b")));
        assert_eq!((timers.pop(99), timers.next_ms()), (None, None));
    }
}
