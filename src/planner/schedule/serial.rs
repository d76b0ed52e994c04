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
    /// For the shift to the right: the end of time, and the latest end of each step.
    horizon: u64,
    bounds: Vec<u64>,
    /// Longest ways from the start of each step to the end of all, and from the start of all to its
    /// end: by the edges alone.
    tails: Vec<u64>,
    heads: Vec<u64>,
    placed: usize,
}

/// Bits of a sort key that hold a step's number.
const NUMBER: u32 = 16;

impl<'a, P: Profile> Generator<'a, P> {
    pub(super) fn new(compact: &'a Compact, profile: P) -> Self {
        let steps = compact.len();
        assert!(steps < 1 << NUMBER, "serial generation is for small instances");
        let mut tails = compact.durations.clone();
        for step in (0..steps).rev() {
            let after = compact.successors.get(step).iter().map(|next| tails[*next as usize]);
            tails[step] += after.max().unwrap_or(0);
        }
        let mut heads = compact.durations.clone();
        for step in 0..steps {
            let before = compact.predecessors.get(step).iter().map(|other| heads[*other as usize]);
            heads[step] += before.max().unwrap_or(0);
        }
        Self {
            compact,
            profile,
            ends: vec![0; steps],
            keys: Vec::with_capacity(steps),
            horizon: 0,
            bounds: vec![u64::MAX; steps],
            tails,
            heads,
            placed: 0,
        }
    }

    /// Schedules made. Of one that was given up only the part that was made counts.
    pub(super) fn made(&self) -> usize {
        self.placed / self.compact.len().max(1)
    }

    /// Counts a schedule that was made elsewhere.
    pub(super) fn count_one(&mut self) {
        self.placed += self.compact.len();
    }

    /// Starts each step of `list` in turn as early as possible. The list must respect the edges.
    pub(super) fn forward(&mut self, list: &[u32], starts: &mut [u64]) {
        self.forward_within(list, starts, u64::MAX);
    }

    /// The same; gives up once it is clear that it takes longer than `limit`, and says whether it
    /// did not.
    pub(super) fn forward_within(&mut self, list: &[u32], starts: &mut [u64], limit: u64) -> bool {
        self.profile.clear();
        for (place, step) in list.iter().enumerate() {
            let step = *step as usize;
            let before = self.compact.predecessors.get(step);
            let from = before.iter().map(|other| self.ends[*other as usize]).max().unwrap_or(0);
            let duration = self.compact.durations[step];
            let start = self.profile.place(step, duration, from);
            if start + self.tails[step] > limit {
                self.placed += place + 1;
                return false;
            }
            starts[step] = start;
            self.ends[step] = start + duration;
        }
        self.placed += list.len();
        true
    }

    /// Shifts everything to the right within the makespan, then to the left again. No service gets
    /// later than it was or than its objective, and the end does not move to the right.
    pub(super) fn justify(&mut self, starts: &mut [u64], list: &mut Vec<u32>) {
        self.bind(starts);
        self.list_by_end(starts, list);
        self.backward_within(list, starts, u64::MAX);
        self.list_by_start(starts, list);
        self.forward(list, starts);
    }

    /// Lets passes from the end keep every service within what it reaches in this schedule, or within
    /// its objective.
    pub(super) fn bind(&mut self, starts: &[u64]) {
        let compact = self.compact;
        let end_of = |step: usize| starts[step] + compact.durations[step];
        self.horizon = (0..starts.len()).map(end_of).max().unwrap_or(0);
        for (_, _, ends) in &compact.goals {
            for end in ends {
                self.bounds[*end as usize] = u64::MAX;
            }
        }
        for (_, due, ends) in &compact.goals {
            let reached = ends.iter().map(|end| end_of(*end as usize)).max();
            let bound = reached.unwrap_or(0).max(*due);
            for end in ends {
                let bounds = &mut self.bounds[*end as usize];
                *bounds = bound.min(*bounds);
            }
        }
    }

    /// Ends each step of `list`, from its last on, as late as possible. Gives up as
    /// [`Generator::forward_within`] does.
    pub(super) fn backward_within(&mut self, list: &[u32], starts: &mut [u64], limit: u64) -> bool {
        let compact = self.compact;
        self.profile.clear();
        let mut whole = 0;
        // The same from the end of time: a step starts where it ends.
        for (place, step) in list.iter().rev().enumerate() {
            let step = *step as usize;
            let after = compact.successors.get(step);
            let from = after.iter().map(|other| self.ends[*other as usize]).max().unwrap_or(0);
            let from = from.max(self.horizon.saturating_sub(self.bounds[step]));
            let start = self.profile.place(step, compact.durations[step], from);
            if start + self.heads[step] > limit {
                self.placed += place + 1;
                return false;
            }
            self.ends[step] = start + compact.durations[step];
            whole = whole.max(self.ends[step]);
        }
        for (start, end) in starts.iter_mut().zip(&self.ends) {
            *start = whole - end;
        }
        self.placed += list.len();
        true
    }

    /// The list of a schedule: its steps by end.
    pub(super) fn list_by_end(&mut self, starts: &[u64], list: &mut Vec<u32>) {
        let compact = self.compact;
        self.sort(|step| starts[step] + compact.durations[step], list);
    }

    /// The list of a schedule: its steps by start.
    pub(super) fn list_by_start(&mut self, starts: &[u64], list: &mut Vec<u32>) {
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
