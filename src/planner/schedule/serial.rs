use super::compact::Compact;
use super::objective::Value;
use super::profile::Profile;

/// Makes schedules of one instance, one after the other, in the same memory. Steps are numbered as
/// in [`Compact`]: those that come first have lower numbers.
pub(super) struct Generator<'a, P> {
    pub(super) compact: &'a Compact,
    profile: P,
    /// Ends, on the time axis of the pass that runs.
    ends: Vec<u64>,
    keys: Vec<u64>,
    /// Latest end of each step that ends a goal, for the shift to the right.
    bounds: Vec<u64>,
    /// Schedules made.
    pub(super) made: usize,
}

/// Bits of a sort key that hold a step's number.
const NUMBER: u32 = 16;

impl<'a, P: Profile> Generator<'a, P> {
    pub(super) fn new(compact: &'a Compact, profile: P) -> Self {
        let steps = compact.len();
        assert!(steps < 1 << NUMBER, "serial generation is for small instances");
        Self {
            compact,
            profile,
            ends: vec![0; steps],
            keys: Vec::with_capacity(steps),
            bounds: vec![u64::MAX; steps],
            made: 0,
        }
    }

    /// Starts each step of `list` in turn as early as possible. The list must respect the edges.
    pub(super) fn forward(&mut self, list: &[u32], starts: &mut [u64]) {
        self.made += 1;
        self.profile.clear();
        for step in list {
            let step = *step as usize;
            let before = self.compact.predecessors.get(step);
            let from = before.iter().map(|other| self.ends[*other as usize]).max().unwrap_or(0);
            let duration = self.compact.durations[step];
            let start = self.profile.place(step, duration, from);
            starts[step] = start;
            self.ends[step] = start + duration;
        }
    }

    /// Shifts everything to the right within the makespan, then to the left again. No service gets
    /// later than it was or than its objective, and the end does not move to the right.
    pub(super) fn justify(&mut self, starts: &mut [u64], list: &mut Vec<u32>) {
        self.backward(starts, list);
        self.forward(list, starts);
    }

    /// Shifts everything to the right within the makespan and gives the list of what results.
    pub(super) fn backward(&mut self, starts: &mut [u64], list: &mut Vec<u32>) {
        let compact = self.compact;
        let end_of = |step: usize, starts: &[u64]| starts[step] + compact.durations[step];
        let horizon = (0..starts.len()).map(|step| end_of(step, starts)).max().unwrap_or(0);
        for (_, due, ends) in &compact.goals {
            let reached = ends.iter().map(|end| end_of(*end as usize, starts)).max();
            let bound = reached.unwrap_or(0).max(*due);
            for end in ends {
                let bounds = &mut self.bounds[*end as usize];
                *bounds = bound.min(*bounds);
            }
        }
        self.sort(|step| end_of(step, starts), list);
        self.made += 1;
        self.profile.clear();
        // The same from the end of time: a step starts where it ends.
        for step in list.iter().rev() {
            let step = *step as usize;
            let after = compact.successors.get(step);
            let from = after.iter().map(|other| self.ends[*other as usize]).max().unwrap_or(0);
            let from = from.max(horizon.saturating_sub(self.bounds[step]));
            let duration = compact.durations[step];
            let start = self.profile.place(step, duration, from);
            self.ends[step] = start + duration;
            starts[step] = horizon - self.ends[step];
        }
        for (_, _, ends) in &compact.goals {
            for end in ends {
                self.bounds[*end as usize] = u64::MAX;
            }
        }
        self.list_of(starts, list);
    }

    /// The list of a schedule: its steps by start.
    pub(super) fn list_of(&mut self, starts: &[u64], list: &mut Vec<u32>) {
        self.sort(|step| starts[step], list);
    }

    fn sort(&mut self, key: impl Fn(usize) -> u64, list: &mut Vec<u32>) {
        self.keys.clear();
        self.keys.extend((0..self.compact.len()).map(|step| key(step) << NUMBER | step as u64));
        self.keys.sort_unstable();
        list.clear();
        list.extend(self.keys.iter().map(|key| (key & ((1 << NUMBER) - 1)) as u32));
    }

    /// What a schedule is worth.
    pub(super) fn value(&self, starts: &[u64]) -> Value {
        Value::of(self.compact, starts)
    }
}
