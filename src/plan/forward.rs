use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A plan's graph by position: what a forward pass needs, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Expected durations, milliseconds.
    pub durations: Vec<u64>,
    /// Position in the order of dispatch: distinct, the lowest first.
    pub ranks: Vec<u32>,
    /// Units that each step takes while it runs, as `(pool, units)`; no pool twice.
    pub demands: Lists<(u32, u32)>,
    /// What waits for each step.
    pub successors: Lists<u32>,
    /// How many steps each step waits for.
    pub waits: Vec<u32>,
    /// Units of each pool. The first pool is the one that nearly every step takes.
    pub capacities: Vec<u32>,
    /// Steps that let others start first, each once.
    pub yields: Vec<Yield>,
}

/// A step that lets others start first, although it could start itself: until all of them have, or
/// there is room for it beside those that have not, or a moment has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yield {
    /// The step.
    pub step: u32,
    /// Those that go first.
    pub to: Vec<u32>,
    /// Until when at most, milliseconds.
    pub until_ms: u64,
}

/// Lists of equal kind, one after the other in one allocation.
#[derive(Debug, Clone)]
pub struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { starts: vec![0], items: Vec::new() }
    }
}

impl<T> Lists<T> {
    /// Appends a list.
    pub fn push(&mut self, list: impl IntoIterator<Item = T>) {
        self.items.extend(list);
        self.starts.push(self.items.len() as u32);
    }

    /// The list at a position.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    #[inline]
    pub fn get(&self, position: usize) -> &[T] {
        &self.items[self.starts[position] as usize..self.starts[position + 1] as usize]
    }

    /// How many lists there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Lists<u32> {
    /// The same edges, seen from their other ends.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let mut starts = vec![0_u32; self.len() + 1];
        for item in &self.items {
            starts[*item as usize + 1] += 1;
        }
        for position in 0..self.len() {
            starts[position + 1] += starts[position];
        }
        let mut next = starts.clone();
        let mut items = vec![0; self.items.len()];
        for position in 0..self.len() {
            for item in self.get(position) {
                let slot = &mut next[*item as usize];
                items[*slot as usize] = position as u32;
                *slot += 1;
            }
        }
        Self { starts, items }
    }
}

/// Where a step stands when a forward pass begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It waits.
    Pending,
    /// It is over.
    Over,
    /// It runs, and is expected to end then.
    Running {
        /// Expected end, milliseconds.
        until_ms: u64,
    },
}

/// Starts as dispatch would choose them from `now_ms` on: at every moment, of all steps that could
/// start and fit, the one of lowest rank. `None`: the step is over already, or waits for something
/// that never ends, or wants more than a whole pool. A step that runs gets `now_ms`.
///
/// Takes `O(E + V log V)` as long as steps take one unit of a pool beside the first.
///
/// # Panics
/// If the lists of `network` are of different lengths.
#[must_use]
pub fn dispatch(
    network: &Network,
    now_ms: u64,
    stand: &dyn Fn(usize) -> Stand,
) -> Vec<Option<u64>> {
    let mut pass = Pass::new(network);
    for step in 0..network.durations.len() {
        match stand(step) {
            Stand::Pending => {}
            Stand::Over => {
                pass.settled[step] = true;
                pass.leave(step);
            }
            Stand::Running { until_ms } => {
                pass.settled[step] = true;
                for &(pool, units) in network.demands.get(step) {
                    // Capacities may have been changed since: what runs, runs.
                    let free = &mut pass.free[pool as usize];
                    *free = free.saturating_sub(units);
                }
                pass.starts[step] = Some(now_ms);
                pass.running.push(Reverse((until_ms.max(now_ms), step as u32)));
            }
        }
    }
    for step in 0..network.durations.len() {
        if pass.waits[step] == 0 && !pass.settled[step] {
            pass.offer(step as u32);
        }
    }
    pass.run(now_ms);
    pass.starts
}

/// The list schedule of the whole network, from time 0.
///
/// # Panics
/// As for [`dispatch`]; also if the network has a cycle or a step wants more than a whole pool.
#[must_use]
pub fn list_schedule(network: &Network) -> Vec<u64> {
    let mut pass = Pass::new(network);
    for step in 0..network.durations.len() {
        if pass.waits[step] == 0 {
            pass.offer(step as u32);
        }
    }
    pass.run(0);
    pass.starts
        .into_iter()
        .map(|start| start.expect("neither cycles nor too large demands"))
        .collect()
}

/// Makes many list schedules of one network with different durations, in the same memory.
#[derive(Debug)]
pub struct Dispatcher<'a> {
    pass: Pass<'a>,
    starts: Vec<u64>,
}

impl<'a> Dispatcher<'a> {
    /// For one network.
    ///
    /// # Panics
    /// As for [`dispatch`].
    #[must_use]
    pub fn new(network: &'a Network) -> Self {
        Self { pass: Pass::new(network), starts: vec![0; network.durations.len()] }
    }

    /// The list schedule of the whole network from time 0, with these durations.
    ///
    /// # Panics
    /// As for [`list_schedule`], or if there are fewer durations than steps.
    pub fn run(&mut self, durations: &[u64]) -> &[u64] {
        let pass = &mut self.pass;
        pass.durations.copy_from_slice(durations);
        pass.waits.copy_from_slice(&pass.network.waits);
        pass.settled.fill(false);
        pass.due.clear();
        pass.free.copy_from_slice(&pass.network.capacities);
        for step in 0..durations.len() {
            if pass.waits[step] == 0 {
                pass.offer(step as u32);
            }
        }
        pass.run(0);
        for (to, start) in self.starts.iter_mut().zip(&pass.starts) {
            *to = start.expect("neither cycles nor too large demands");
        }
        &self.starts
    }
}

#[derive(Debug)]
struct Pass<'a> {
    network: &'a Network,
    durations: Vec<u64>,
    /// Step of each rank.
    by_rank: Vec<u32>,
    waits: Vec<u32>,
    settled: Vec<bool>,
    starts: Vec<Option<u64>>,
    free: Vec<u32>,
    /// Ranks of steps to try: those that take the first pool, and those that do not.
    ready: [BinaryHeap<Reverse<u32>>; 2],
    /// Ranks of steps that did not fit, by the pool that they lacked; the two kinds apart, since
    /// one kind may wait for the first pool while the other goes on. While a pool has units free,
    /// its first parked step of each kind is among those to try.
    parked: Vec<[BinaryHeap<Reverse<u32>>; 2]>,
    /// Pool that a step was last parked at, or `u32::MAX`.
    parked_at: Vec<u32>,
    running: BinaryHeap<Reverse<(u64, u32)>>,
    /// For each step its place in `yields`, or `u32::MAX`; empty if no step yields.
    yielding: Vec<u32>,
    /// Steps that let others start first, until then.
    due: BinaryHeap<Reverse<(u64, u32)>>,
}

const NOWHERE: u32 = u32::MAX;

impl<'a> Pass<'a> {
    fn new(network: &'a Network) -> Self {
        let steps = network.durations.len();
        assert!(
            [
                network.ranks.len(),
                network.demands.len(),
                network.successors.len(),
                network.waits.len()
            ]
            .iter()
            .all(|len| *len == steps),
            "a network's lists are of one length"
        );
        let mut by_rank = vec![0; steps];
        for (step, rank) in network.ranks.iter().enumerate() {
            by_rank[*rank as usize] = step as u32;
        }
        let mut yielding = Vec::new();
        if !network.yields.is_empty() {
            yielding.resize(steps, NOWHERE);
            for (place, yields) in network.yields.iter().enumerate() {
                yielding[yields.step as usize] = place as u32;
            }
        }
        Self {
            network,
            durations: network.durations.clone(),
            by_rank,
            waits: network.waits.clone(),
            settled: vec![false; steps],
            starts: vec![None; steps],
            free: network.capacities.clone(),
            ready: Default::default(),
            parked: network.capacities.iter().map(|_| Default::default()).collect(),
            parked_at: vec![NOWHERE; steps],
            running: BinaryHeap::new(),
            yielding,
            due: BinaryHeap::new(),
        }
    }

    /// Whether the step lets others start first at this moment; then it is looked at again whenever
    /// that may have changed.
    fn yields(&self, step: u32, now: u64) -> Option<u64> {
        let place = *self.yielding.get(step as usize)?;
        let Yield { to, until_ms, .. } = self.network.yields.get(place as usize)?;
        let waiting = to.iter().copied().filter(|other| !self.settled[*other as usize]);
        let all = || std::iter::once(step).chain(waiting.clone());
        let wanted = |pool: u32| {
            let demands = all().flat_map(|it| self.network.demands.get(it as usize));
            demands.filter(|(other, _)| *other == pool).map(|(_, units)| *units).sum::<u32>()
        };
        let is_short = |(pool, _): &(u32, u32)| wanted(*pool) > self.free[*pool as usize];
        let yields = now < *until_ms
            && waiting.clone().next().is_some()
            && self.network.demands.get(step as usize).iter().any(is_short);
        yields.then_some(*until_ms)
    }

    /// What yielded is to be looked at again.
    fn ask_again(&mut self) {
        for Reverse((_, step)) in std::mem::take(&mut self.due) {
            self.offer(step);
        }
    }

    /// A step is over: what waited for it waits for one less.
    fn leave(&mut self, step: usize) {
        for &next in self.network.successors.get(step) {
            self.waits[next as usize] -= 1;
        }
    }

    /// 0 for a step that takes the first pool, else 1.
    fn kind(&self, step: u32) -> usize {
        let first = self.network.demands.get(step as usize).first();
        usize::from(first.is_none_or(|(pool, _)| *pool != 0))
    }

    /// A step could start.
    fn offer(&mut self, step: u32) {
        let kind = self.kind(step);
        self.ready[kind].push(Reverse(self.network.ranks[step as usize]));
    }

    /// A step could start, but a pool lacks units.
    fn park(&mut self, step: u32, pool: u32) {
        let kind = self.kind(step);
        self.parked[pool as usize][kind].push(Reverse(self.network.ranks[step as usize]));
    }

    fn next_to_try(&mut self) -> Option<u32> {
        // With the first pool used up, nothing that takes it needs to be tried.
        let first_is_free = self.free.first().is_none_or(|free| *free > 0);
        let main = self.ready[0].peek().filter(|_| first_is_free);
        let kind = match (main, self.ready[1].peek()) {
            (Some(main), Some(aside)) => usize::from(main.0 > aside.0),
            (Some(_), None) => 0,
            (None, _) => 1,
        };
        let Reverse(rank) = self.ready[kind].pop()?;
        Some(self.by_rank[rank as usize])
    }

    fn run(&mut self, mut now: u64) {
        loop {
            self.start_what_fits(now);
            let end = self.running.peek().map(|Reverse((end, _))| *end);
            let due = self.due.peek().map(|Reverse((due, _))| *due);
            now = match (end, due) {
                (Some(end), Some(due)) => end.min(due),
                (Some(moment), None) | (None, Some(moment)) => moment,
                (None, None) => break,
            };
            self.ask_again();
            while let Some(Reverse((end, step))) = self.running.peek().copied()
                && end == now
            {
                self.running.pop();
                self.finish(step);
            }
        }
    }

    fn finish(&mut self, step: u32) {
        let network = self.network;
        for &(pool, units) in network.demands.get(step as usize) {
            let free = &mut self.free[pool as usize];
            *free = (*free + units).min(network.capacities[pool as usize]);
            self.expose(pool, 0);
            self.expose(pool, 1);
        }
        for &next in network.successors.get(step as usize) {
            let waits = &mut self.waits[next as usize];
            *waits -= 1;
            if *waits == 0 && !self.settled[next as usize] {
                self.offer(next);
            }
        }
    }

    /// Puts the first step of a kind that is parked at a pool among those to try.
    fn expose(&mut self, pool: u32, kind: usize) {
        if self.free[pool as usize] > 0
            && let Some(rank) = self.parked[pool as usize][kind].pop()
        {
            self.ready[kind].push(rank);
        }
    }

    fn start_what_fits(&mut self, now: u64) {
        // Steps that want more units than are free wait aside: others that want fewer may fit.
        let mut too_big: Vec<(u32, u32)> = Vec::new();
        while let Some(step) = self.next_to_try() {
            let index = step as usize;
            let came_from = std::mem::replace(&mut self.parked_at[index], NOWHERE);
            let demands = self.network.demands.get(index);
            let lacks =
                demands.iter().find(|(pool, units)| self.free[*pool as usize] < *units).copied();
            let yields = if self.yielding.is_empty() { None } else { self.yields(step, now) };
            if let Some(until) = yields {
                self.due.push(Reverse((until, step)));
            } else if let Some((pool, _)) = lacks {
                self.parked_at[index] = pool;
                if self.free[pool as usize] > 0 {
                    too_big.push((pool, step));
                } else {
                    self.park(step, pool);
                }
            } else {
                for &(pool, units) in demands {
                    self.free[pool as usize] -= units;
                }
                self.settled[index] = true;
                self.starts[index] = Some(now);
                self.running.push(Reverse((now + self.durations[index], step)));
                if !self.due.is_empty() {
                    self.ask_again();
                }
            }
            if came_from != NOWHERE {
                self.expose(came_from, self.kind(step));
            }
        }
        for (pool, step) in too_big {
            self.park(step, pool);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(duration, predecessors, demands)`; ranks are positions.
    type Spec<'a> = (u64, &'a [u32], &'a [(u32, u32)]);

    fn network(capacities: &[u32], steps: &[Spec]) -> Network {
        let mut before = Lists::default();
        let mut demands = Lists::default();
        for (_, needs, takes) in steps {
            before.push(needs.iter().copied());
            demands.push(takes.iter().copied());
        }
        Network {
            durations: steps.iter().map(|step| step.0).collect(),
            ranks: (0..steps.len() as u32).collect(),
            demands,
            successors: before.reversed(),
            waits: steps.iter().map(|step| step.1.len() as u32).collect(),
            capacities: capacities.to_vec(),
            yields: Vec::new(),
        }
    }

    /// What [`list_schedule`] promises, written without any cleverness.
    fn naive(network: &Network) -> Vec<u64> {
        let steps = network.durations.len();
        let before = network.successors.reversed();
        let mut starts: Vec<Option<u64>> = vec![None; steps];
        let mut by_rank: Vec<usize> = (0..steps).collect();
        by_rank.sort_by_key(|step| network.ranks[*step]);
        let mut now = 0;
        while starts.iter().any(Option::is_none) {
            let ended = |step: usize, starts: &[Option<u64>]| {
                starts[step].is_some_and(|start| start + network.durations[step] <= now)
            };
            loop {
                let mut free = network.capacities.clone();
                for step in 0..steps {
                    if starts[step].is_some() && !ended(step, &starts) {
                        for (pool, units) in network.demands.get(step) {
                            free[*pool as usize] -= units;
                        }
                    }
                }
                let fits = |step: usize| {
                    network
                        .demands
                        .get(step)
                        .iter()
                        .all(|(pool, units)| free[*pool as usize] >= *units)
                };
                let next = by_rank.iter().copied().find(|step| {
                    starts[*step].is_none()
                        && before.get(*step).iter().all(|other| ended(*other as usize, &starts))
                        && fits(*step)
                });
                let Some(next) = next else { break };
                starts[next] = Some(now);
                // A step without duration ends at once; others may follow at the same moment,
                // but only after everything else that fits now has started.
            }
            now = (0..steps)
                .filter_map(|step| starts[step].map(|start| start + network.durations[step]))
                .filter(|end| *end > now)
                .min()
                .unwrap_or(now + 1);
        }
        starts.into_iter().map(|start| start.expect("a start")).collect()
    }

    #[test]
    fn pools_are_shared_in_rank_order() {
        let run = &[(0, 1)][..];
        let net = network(
            &[2, 1],
            &[
                (10, &[], &[(0, 1), (1, 1)]),
                (10, &[], &[(0, 1), (1, 1)]),
                (5, &[], run),
                (5, &[2], run),
                (0, &[0], &[]),
            ],
        );
        assert_eq!(list_schedule(&net), [0, 10, 0, 5, 10]);
    }

    #[test]
    fn a_pass_goes_on_from_where_a_run_stands() {
        let run = &[(0, 1)][..];
        let net = network(&[1], &[(10, &[], run), (10, &[0], run), (10, &[], run), (7, &[1], run)]);
        let stands = [Stand::Over, Stand::Running { until_ms: 25 }, Stand::Pending, Stand::Pending];
        assert_eq!(dispatch(&net, 20, &|step| stands[step]), [None, Some(20), Some(25), Some(35)]);
    }

    proptest::proptest! {
        #[test]
        fn the_list_schedule_is_what_the_naive_rule_gives(
            steps in proptest::collection::vec(
                (
                    1_u64..6,
                    proptest::collection::vec(0_usize..40, 0..3),
                    proptest::collection::btree_map(0_u32..3, 1_u32..3, 0..3),
                    0_u32..1000,
                ),
                1..40,
            ),
        ) {
            let mut before = Lists::default();
            let mut demands = Lists::default();
            let mut waits = Vec::new();
            for (position, (_, needs, takes, _)) in steps.iter().enumerate() {
                let needs: std::collections::BTreeSet<u32> =
                    needs.iter().filter(|other| **other < position).map(|o| *o as u32).collect();
                waits.push(needs.len() as u32);
                before.push(needs);
                demands.push(takes.iter().map(|(pool, units)| (*pool, *units)));
            }
            let mut by_key: Vec<u32> = (0..steps.len() as u32).collect();
            by_key.sort_by_key(|step| (steps[*step as usize].3, *step));
            let mut ranks = vec![0; steps.len()];
            for (rank, step) in by_key.iter().enumerate() {
                ranks[*step as usize] = rank as u32;
            }
            let net = Network {
                durations: steps.iter().map(|step| step.0).collect(),
                ranks,
                demands,
                successors: before.reversed(),
                waits,
                capacities: vec![3, 2, 2],
                yields: Vec::new(),
            };
            proptest::prop_assert_eq!(list_schedule(&net), naive(&net));
            let mut again = Dispatcher::new(&net);
            for _ in 0..2 {
                proptest::prop_assert_eq!(again.run(&net.durations), naive(&net));
            }
        }
    }
}
