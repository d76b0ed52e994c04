use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::profile::Profile;
use crate::plan::Lists;

/// A project from one end of time: from its start, or backwards from its end.
pub(super) struct Way<'a, F> {
    /// What each step comes after on this way, and what comes after it.
    pub(super) before: &'a Lists<u32>,
    pub(super) after: &'a Lists<u32>,
    pub(super) durations: &'a [u64],
    /// The longest way from the start of each step to the other end.
    pub(super) rest: &'a [u64],
    /// The moment before which each step must not start.
    pub(super) from: F,
}

/// Makes schedules moment by moment: at each everything starts that can and fits, in the order of a
/// list. Nothing is left free that a step could use at once, where serial generation keeps it free
/// for what comes earlier in the list. Holds the memory of one pass for the next.
#[derive(Default)]
pub(super) struct Parallel {
    /// Place in the list.
    ranks: Vec<u32>,
    waits: Vec<u32>,
    /// Moment, step, and whether it ends then or may start from then on.
    events: BinaryHeap<Reverse<u64>>,
    /// Rank and step of what could start but does not fit, in order.
    ready: Vec<u64>,
}

/// Bits of an event or of an entry that hold a step, and the mark of an end.
const STEP: u32 = 16;
const END: u64 = 1 << STEP;

fn step_of(entry: u64) -> usize {
    (entry & (END - 1)) as usize
}

impl Parallel {
    /// Ends of all steps on the way. The list may break the edges.
    ///
    /// # Errors
    /// Once it is clear that it takes longer than `limit`: how many steps had been looked at.
    pub(super) fn pass<P: Profile, F: Fn(usize) -> u64>(
        &mut self,
        way: &Way<'_, F>,
        list: impl Iterator<Item = u32>,
        profile: &mut P,
        ends: &mut [u64],
        limit: u64,
    ) -> Result<(), usize> {
        self.begin(way, list);
        profile.clear();
        let mut started = 0;
        while let Some(Reverse(first)) = self.events.peek() {
            let now = first >> (STEP + 1);
            while let Some(Reverse(event)) = self.events.peek().copied()
                && event >> (STEP + 1) == now
            {
                self.events.pop();
                let step = step_of(event);
                if event & END == 0 {
                    let entry = u64::from(self.ranks[step]) << STEP | step as u64;
                    let place = self.ready.partition_point(|other| *other < entry);
                    self.ready.insert(place, entry);
                } else {
                    if way.durations[step] > 0 {
                        profile.give(step);
                    }
                    self.leave(way, step, now);
                }
            }
            let mut kept = 0;
            for place in 0..self.ready.len() {
                let step = step_of(self.ready[place]);
                if now + way.rest[step] > limit {
                    return Err(started + 1);
                }
                let duration = way.durations[step];
                if duration == 0 || profile.take(step) {
                    started += 1;
                    ends[step] = now + duration;
                    self.add(ends[step], END | step as u64);
                } else {
                    self.ready[kept] = self.ready[place];
                    kept += 1;
                }
            }
            self.ready.truncate(kept);
        }
        Ok(())
    }

    fn begin<F: Fn(usize) -> u64>(&mut self, way: &Way<'_, F>, list: impl Iterator<Item = u32>) {
        let steps = way.durations.len();
        self.ranks.resize(steps, 0);
        for (rank, step) in list.enumerate() {
            self.ranks[step as usize] = rank as u32;
        }
        self.waits.clear();
        self.waits.extend((0..steps).map(|step| way.before.get(step).len() as u32));
        self.events.clear();
        self.ready.clear();
        for step in 0..steps {
            if self.waits[step] == 0 {
                self.add((way.from)(step), step as u64);
            }
        }
    }

    /// A step has ended: what waited for it waits for one less.
    fn leave<F: Fn(usize) -> u64>(&mut self, way: &Way<'_, F>, step: usize, now: u64) {
        for next in way.after.get(step) {
            let waits = &mut self.waits[*next as usize];
            *waits -= 1;
            if *waits == 0 {
                self.add((way.from)(*next as usize).max(now), u64::from(*next));
            }
        }
    }

    fn add(&mut self, moment: u64, entry: u64) {
        self.events.push(Reverse(moment << (STEP + 1) | entry));
    }
}
