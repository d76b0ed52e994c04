//! Steps that could start, and the slots that they need.
//!
//! A slot is found before a step is chosen: the most urgent ready step that fits goes first, and
//! what does not fit is never looked at again until units of the pool that it lacks come back.

use std::collections::BTreeSet;

use super::graph::{Graph, Index};

/// Ready steps by urgency, grouped by what they take.
#[derive(Debug)]
pub(super) struct Queue {
    free: Vec<u32>,
    groups: Vec<Group>,
    /// Groups that may fit, by their most urgent step: `(rank, group)`.
    active: BTreeSet<(u32, u32)>,
    /// For each pool, groups that it lacks units for.
    parked: Vec<BTreeSet<(u32, u32)>>,
    /// Pools that got units back since the last choice.
    opened: BTreeSet<u32>,
}

#[derive(Debug, Default)]
struct Group {
    /// Ranks of its ready steps.
    ready: BTreeSet<u32>,
    /// The pool that it waits for.
    parked_on: Option<u32>,
}

impl Queue {
    pub(super) fn new(graph: &Graph) -> Self {
        Self {
            free: graph.pools.clone(),
            groups: graph.demands.iter().map(|_| Group::default()).collect(),
            active: BTreeSet::new(),
            parked: graph.pools.iter().map(|_| BTreeSet::new()).collect(),
            opened: BTreeSet::new(),
        }
    }

    /// A step becomes ready.
    pub(super) fn push(&mut self, graph: &Graph, step: Index) {
        let node = graph.node(step);
        let (number, rank) = (node.demand, node.rank);
        let old = self.take_out(number);
        self.groups[number as usize].ready.insert(rank);
        self.put_back(number, old);
    }

    /// A step is no longer ready.
    pub(super) fn remove(&mut self, graph: &Graph, step: Index) {
        let node = graph.node(step);
        let (number, rank) = (node.demand, node.rank);
        if !self.groups[number as usize].ready.contains(&rank) {
            return;
        }
        let old = self.take_out(number);
        self.groups[number as usize].ready.remove(&rank);
        self.put_back(number, old);
    }

    /// Takes the units of a step that already runs in the world, if they are free.
    pub(super) fn take(&mut self, graph: &Graph, step: Index) -> bool {
        let number = graph.node(step).demand;
        let fits = self.lacks(graph, number).is_none();
        if fits {
            for &(pool, units) in &graph.demands[number as usize] {
                self.free[pool as usize] -= units;
            }
        }
        fits
    }

    /// Whether a step's pools have units for it and for the others as well.
    pub(super) fn has_room(&self, graph: &Graph, step: Index, others: &[Index]) -> bool {
        let demands = |step: Index| graph.demands[graph.node(step).demand as usize].iter();
        demands(step).all(|&(pool, units)| {
            let all = others.iter().flat_map(|&other| demands(other));
            let wanted: u32 =
                all.filter(|(other, _)| *other == pool).map(|(_, units)| *units).sum();
            units + wanted <= self.free[pool as usize]
        })
    }

    /// Gives a step's units back.
    pub(super) fn release(&mut self, graph: &Graph, step: Index) {
        for &(pool, units) in &graph.demands[graph.node(step).demand as usize] {
            let free = &mut self.free[pool as usize];
            *free = (*free + units).min(graph.pools[pool as usize]);
            self.opened.insert(pool);
        }
    }

    /// The most urgent ready step that fits, with its units taken.
    pub(super) fn pop(&mut self, graph: &Graph) -> Option<Index> {
        let mut passed: Vec<(u32, (u32, u32))> = Vec::new();
        let chosen = loop {
            let active = self.active.first().copied();
            let woken = self
                .opened
                .iter()
                .filter_map(|&pool| self.parked[pool as usize].first().map(|&key| (key, pool)))
                .min();
            let (key, pool) = match (active, woken) {
                (None, None) => break None,
                (Some(key), Some((other, pool))) if other < key => (other, Some(pool)),
                (None, Some((other, pool))) => (other, Some(pool)),
                (Some(key), _) => (key, None),
            };
            match pool {
                Some(pool) => self.parked[pool as usize].remove(&key),
                None => self.active.remove(&key),
            };
            let (rank, number) = key;
            self.groups[number as usize].parked_on = None;
            match self.lacks(graph, number) {
                Some(pool) => {
                    self.groups[number as usize].parked_on = Some(pool);
                    if self.opened.contains(&pool) {
                        // It asks for more than came back: others may ask for less.
                        passed.push((pool, key));
                    } else {
                        self.parked[pool as usize].insert(key);
                    }
                }
                None => break Some((rank, number)),
            }
        };
        for (pool, key) in passed {
            self.parked[pool as usize].insert(key);
        }
        let Some((rank, number)) = chosen else {
            self.opened.clear();
            return None;
        };
        for &(pool, units) in &graph.demands[number as usize] {
            self.free[pool as usize] -= units;
            if self.free[pool as usize] == 0 {
                self.opened.remove(&pool);
            }
        }
        let group = &mut self.groups[number as usize];
        group.ready.remove(&rank);
        if let Some(&next) = group.ready.first() {
            self.active.insert((next, number));
        }
        Some(graph.by_rank[rank as usize])
    }

    fn lacks(&self, graph: &Graph, number: u32) -> Option<u32> {
        graph.demands[number as usize]
            .iter()
            .find(|&&(pool, units)| self.free[pool as usize] < units)
            .map(|&(pool, _)| pool)
    }

    /// Takes the group out of the set it is in; gives the pool it waits for.
    fn take_out(&mut self, number: u32) -> Option<u32> {
        let group = &self.groups[number as usize];
        let head = *group.ready.first()?;
        match group.parked_on {
            Some(pool) => self.parked[pool as usize].remove(&(head, number)),
            None => self.active.remove(&(head, number)),
        };
        group.parked_on
    }

    fn put_back(&mut self, number: u32, parked_on: Option<u32>) {
        let group = &mut self.groups[number as usize];
        group.parked_on = parked_on.filter(|_| !group.ready.is_empty());
        let Some(&head) = group.ready.first() else { return };
        match group.parked_on {
            Some(pool) => self.parked[pool as usize].insert((head, number)),
            None => self.active.insert((head, number)),
        };
    }
}
