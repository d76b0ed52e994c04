use super::compact::{Packed, fits, give, take};
use crate::plan::Lists;

/// What is free of the pools over time, as breakpoints: durations run from milliseconds to hours.
pub(super) trait Profile {
    /// Everything is free.
    fn clear(&mut self);
    /// Reserves what a step takes for its duration, as early as possible from a moment on, and
    /// says when that is.
    fn place(&mut self, step: usize, duration: u64, from: u64) -> u64;
    /// Takes from what is free now what a step takes, unless that is too little: says whether it
    /// was enough. This and [`Profile::give`] know of no time, and nothing of what is placed.
    fn take(&mut self, step: usize) -> bool;
    /// Gives back what a step has taken.
    fn give(&mut self, step: usize);
}

/// All pools in one list of breakpoints: what is free from each moment to the next.
pub(super) struct Joint<'a, const W: usize> {
    packed: &'a Packed<W>,
    free: Vec<(u64, [u64; W])>,
    now: [u64; W],
}

impl<'a, const W: usize> Joint<'a, W> {
    pub(super) fn new(packed: &'a Packed<W>) -> Self {
        let free = Vec::with_capacity(2 * packed.demands.len() + 1);
        Self { packed, free, now: packed.capacity }
    }
}

impl<const W: usize> Profile for Joint<'_, W> {
    fn clear(&mut self) {
        self.free.clear();
        self.free.push((0, self.packed.capacity));
        self.now = self.packed.capacity;
    }

    fn place(&mut self, step: usize, duration: u64, from: u64) -> u64 {
        let wanted = self.packed.demands[step];
        if duration == 0 || wanted == [0; W] {
            return from;
        }
        let mut first = self.free.partition_point(|(at, _)| *at <= from) - 1;
        let mut start = from;
        let mut last = first;
        // The segment after the last breakpoint is free altogether.
        loop {
            if !fits(&self.free[last].1, &wanted) {
                last += 1;
                first = last;
                start = self.free[last].0;
            } else if self.free.get(last + 1).is_none_or(|next| next.0 >= start + duration) {
                break;
            } else {
                last += 1;
            }
        }
        let end = start + duration;
        if self.free[first].0 < start {
            self.free.insert(first + 1, (start, self.free[first].1));
            first += 1;
            last += 1;
        }
        if self.free.get(last + 1).is_none_or(|next| next.0 > end) {
            self.free.insert(last + 1, (end, self.free[last].1));
        }
        for (_, free) in &mut self.free[first..=last] {
            take(free, &wanted);
        }
        start
    }

    fn take(&mut self, step: usize) -> bool {
        let wanted = &self.packed.demands[step];
        let is_enough = fits(&self.now, wanted);
        if is_enough {
            take(&mut self.now, wanted);
        }
        is_enough
    }

    fn give(&mut self, step: usize) {
        give(&mut self.now, &self.packed.demands[step]);
    }
}

/// A list of breakpoints for each pool.
pub(super) struct Apart<'a> {
    capacities: &'a [u32],
    demands: &'a Lists<(u32, u32)>,
    free: Vec<Vec<(u64, u32)>>,
    now: Vec<u32>,
}

impl<'a> Apart<'a> {
    pub(super) fn new(capacities: &'a [u32], demands: &'a Lists<(u32, u32)>) -> Self {
        let free = vec![Vec::new(); capacities.len()];
        Self { capacities, demands, free, now: capacities.to_vec() }
    }

    /// The earliest moment from `from` on at which one pool has the units for so long.
    fn earliest(free: &[(u64, u32)], units: u32, duration: u64, from: u64) -> u64 {
        let mut at = free.partition_point(|(at, _)| *at <= from) - 1;
        let mut start = from;
        loop {
            if free[at].1 < units {
                at += 1;
                start = free[at].0;
            } else if free.get(at + 1).is_none_or(|next| next.0 >= start + duration) {
                return start;
            } else {
                at += 1;
            }
        }
    }

    fn split(free: &mut Vec<(u64, u32)>, moment: u64) -> usize {
        let at = free.partition_point(|(at, _)| *at < moment);
        if free.get(at).is_none_or(|next| next.0 != moment) {
            free.insert(at, (moment, free[at - 1].1));
        }
        at
    }
}

impl Profile for Apart<'_> {
    fn clear(&mut self) {
        for (free, capacity) in self.free.iter_mut().zip(self.capacities) {
            free.clear();
            free.push((0, *capacity));
        }
        self.now.copy_from_slice(self.capacities);
    }

    fn place(&mut self, step: usize, duration: u64, from: u64) -> u64 {
        let demands = self.demands.get(step);
        if duration == 0 || demands.is_empty() {
            return from;
        }
        let mut start = from;
        loop {
            let before = start;
            for (pool, units) in demands {
                start = Self::earliest(&self.free[*pool as usize], *units, duration, start);
            }
            if start == before {
                break;
            }
        }
        for (pool, units) in demands {
            let free = &mut self.free[*pool as usize];
            let first = Self::split(free, start);
            let last = Self::split(free, start + duration);
            for (_, free) in &mut free[first..last] {
                *free -= units;
            }
        }
        start
    }

    fn take(&mut self, step: usize) -> bool {
        let demands = self.demands.get(step);
        let is_enough = demands.iter().all(|(pool, units)| self.now[*pool as usize] >= *units);
        if is_enough {
            for (pool, units) in demands {
                self.now[*pool as usize] -= units;
            }
        }
        is_enough
    }

    fn give(&mut self, step: usize) {
        for (pool, units) in self.demands.get(step) {
            self.now[*pool as usize] += units;
        }
    }
}
