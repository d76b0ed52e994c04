use super::compact::Compact;
use super::objective::Value;
use super::parallel::{Parallel, Way};
use super::profile::Profile;

/// How a schedule is made of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Step by step, each as early as possible.
    Serial,
    /// Moment by moment, at each all that can start.
    Parallel,
}

/// Makes schedules of one instance, one after the other, in the same memory. Steps are numbered as
/// in [`Compact`]: those that come first have lower numbers.
pub(super) struct Generator<'a, P> {
    pub(super) compact: &'a Compact,
    passes: Passes<P>,
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

/// What a pass works with.
struct Passes<P> {
    profile: P,
    /// Ends, on the time axis of the pass that runs.
    ends: Vec<u64>,
    parallel: Parallel,
}

impl<P: Profile> Passes<P> {
    /// Ends of all steps of `list` on a way.
    ///
    /// # Errors
    /// Once it is clear that it takes longer than `limit`: how many steps had been looked at.
    fn make<F: Fn(usize) -> u64>(
        &mut self,
        scheme: Scheme,
        way: &Way<'_, F>,
        list: impl Iterator<Item = u32>,
        limit: u64,
    ) -> Result<(), usize> {
        let Self { profile, ends, parallel } = self;
        match scheme {
            Scheme::Serial => serial(way, list, profile, ends, limit),
            Scheme::Parallel => parallel.pass(way, list, profile, ends, limit),
        }
    }
}

/// Bits of a sort key that hold a step's number.
const NUMBER: u32 = 16;

impl<'a, P: Profile> Generator<'a, P> {
    pub(super) fn new(compact: &'a Compact, profile: P) -> Self {
        let steps = compact.len();
        assert!(steps < 1 << NUMBER, "schedules are searched for small instances");
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
            passes: Passes { profile, ends: vec![0; steps], parallel: Parallel::default() },
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
        self.forward_within(Scheme::Serial, list, starts, u64::MAX);
    }

    /// A schedule of `list`, which must respect the edges. Gives up once it is clear that it takes
    /// longer than `limit`, and says whether it did not.
    pub(super) fn forward_within(
        &mut self,
        scheme: Scheme,
        list: &[u32],
        starts: &mut [u64],
        limit: u64,
    ) -> bool {
        let compact = self.compact;
        let way = Way {
            before: &compact.predecessors,
            after: &compact.successors,
            durations: &compact.durations,
            rest: &self.tails,
            from: |_| 0,
        };
        let list = list.iter().copied();
        let made = self.passes.make(scheme, &way, list, limit);
        if !self.count(made) {
            return false;
        }
        for ((start, end), duration) in
            starts.iter_mut().zip(&self.passes.ends).zip(&compact.durations)
        {
            *start = end - duration;
        }
        true
    }

    /// The same from the end of time: of `list` the last steps first, each as late as possible.
    /// What [`Generator::bind`] has bound ends in time.
    pub(super) fn backward_within(
        &mut self,
        scheme: Scheme,
        list: &[u32],
        starts: &mut [u64],
        limit: u64,
    ) -> bool {
        let compact = self.compact;
        let (horizon, bounds) = (self.horizon, &self.bounds);
        let way = Way {
            before: &compact.successors,
            after: &compact.predecessors,
            durations: &compact.durations,
            rest: &self.heads,
            from: |step: usize| horizon.saturating_sub(bounds[step]),
        };
        let list = list.iter().rev().copied();
        let made = self.passes.make(scheme, &way, list, limit);
        if !self.count(made) {
            return false;
        }
        // A step starts where it ends on that way.
        let whole = self.passes.ends.iter().copied().max().unwrap_or(0);
        for (start, end) in starts.iter_mut().zip(&self.passes.ends) {
            *start = whole - end;
        }
        true
    }

    /// Counts what a pass has made, and says whether that is a schedule.
    fn count(&mut self, made: Result<(), usize>) -> bool {
        self.placed += made.err().unwrap_or(self.compact.len());
        made.is_ok()
    }

    /// Shifts everything to the right within the makespan, then to the left again. No service gets
    /// later than it was or than its objective, and the end does not move to the right.
    pub(super) fn justify(&mut self, starts: &mut [u64], list: &mut Vec<u32>) {
        self.bind(starts);
        self.list_by_end(starts, list);
        self.backward_within(Scheme::Serial, list, starts, u64::MAX);
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

/// Lets each step of `list` in turn start as early as possible on a way.
///
/// # Errors
/// As for [`Passes::make`].
fn serial<P: Profile, F: Fn(usize) -> u64>(
    way: &Way<'_, F>,
    list: impl Iterator<Item = u32>,
    profile: &mut P,
    ends: &mut [u64],
    limit: u64,
) -> Result<(), usize> {
    profile.clear();
    for (place, step) in list.enumerate() {
        let step = step as usize;
        let before = way.before.get(step).iter().map(|other| ends[*other as usize]).max();
        let from = before.unwrap_or(0).max((way.from)(step));
        let duration = way.durations[step];
        let start = profile.place(step, duration, from);
        if start + way.rest[step] > limit {
            return Err(place + 1);
        }
        ends[step] = start + duration;
    }
    Ok(())
}
