//! What simpler ways to run a project would give: to see what planning is worth.

use super::Instance;
use crate::plan::list_schedule;

/// Starts if steps are grouped by depth, and each group begins when the one before has ended, as
/// numbered recovery groups do. Within a group the steps are dispatched in the order of `ranks`. A
/// step without duration shares the group of what it waits for.
#[must_use]
pub fn waves(instance: &Instance, ranks: &[u32]) -> Vec<u64> {
    let steps = instance.len();
    let mut depths = vec![0_u32; steps];
    for &step in &instance.order {
        let deeper = u32::from(instance.durations[step as usize] > 0);
        let before = instance.predecessors.get(step as usize).iter();
        let depth = before.map(|other| depths[*other as usize]).max().unwrap_or(0) + deeper;
        depths[step as usize] = depth;
    }
    let groups = depths.iter().max().map_or(0, |depth| *depth as usize + 1);
    // The steps again, and behind each group a barrier.
    let mut barred = Instance { capacities: instance.capacities.clone(), ..Instance::default() };
    let barrier = |group: u32| steps as u32 + group;
    for (step, group) in depths.iter().copied().enumerate() {
        barred.durations.push(instance.durations[step]);
        barred.demands.push(instance.demands.get(step).iter().copied());
        barred.priorities.push(instance.priorities[step]);
        let before = instance.predecessors.get(step).iter().copied();
        barred.predecessors.push(before.chain((group > 0).then(|| barrier(group - 1))));
    }
    let mut members = vec![Vec::new(); groups];
    for (step, group) in depths.iter().enumerate() {
        members[*group as usize].push(step as u32);
    }
    for (group, members) in members.into_iter().enumerate() {
        barred.durations.push(0);
        barred.demands.push([]);
        barred.priorities.push((crate::words::Class::Low, 100));
        let before = (group > 0).then(|| barrier(group as u32 - 1));
        barred.predecessors.push(members.into_iter().chain(before));
    }
    barred.link();
    let mut all = ranks.to_vec();
    all.extend((0..groups).map(|group| (steps + group) as u32));
    let mut starts = list_schedule(&barred.network(&all));
    starts.truncate(steps);
    starts
}

/// Starts if steps queue in the order in which they become ready, by declaration at the same
/// moment; one that does not fit lets others pass.
#[must_use]
pub fn fifo(instance: &Instance) -> Vec<u64> {
    let steps = instance.len();
    let mut waits: Vec<u32> =
        (0..steps).map(|step| instance.predecessors.get(step).len() as u32).collect();
    let mut free = instance.capacities.clone();
    let mut starts = vec![0; steps];
    let mut running = std::collections::BinaryHeap::new();
    let mut queue: Vec<u32> = (0..steps as u32).filter(|step| waits[*step as usize] == 0).collect();
    let mut now = 0;
    loop {
        queue.retain(|step| {
            let demands = instance.demands.get(*step as usize);
            let fits = demands.iter().all(|(pool, units)| free[*pool as usize] >= *units);
            if fits {
                for (pool, units) in demands {
                    free[*pool as usize] -= units;
                }
                starts[*step as usize] = now;
                let end = now + instance.durations[*step as usize];
                running.push(std::cmp::Reverse((end, *step)));
            }
            !fits
        });
        let Some(std::cmp::Reverse((end, _))) = running.peek().copied() else { break };
        now = end;
        let mut ready = Vec::new();
        while let Some(std::cmp::Reverse((end, step))) = running.peek().copied()
            && end == now
        {
            running.pop();
            for (pool, units) in instance.demands.get(step as usize) {
                free[*pool as usize] += units;
            }
            for &next in instance.successors.get(step as usize) {
                waits[next as usize] -= 1;
                if waits[next as usize] == 0 {
                    ready.push(next);
                }
            }
        }
        ready.sort_unstable();
        queue.extend(ready);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Class;

    #[test]
    fn barriers_and_queues_wait_where_dispatch_does_not() {
        // Two chains of two, one slot each; the second chain is short then long.
        let mut instance = Instance { capacities: vec![2], ..Instance::default() };
        for (duration, before) in
            [(10, vec![]), (1, vec![0]), (1, vec![]), (10, vec![2]), (0, vec![]), (5, vec![])]
        {
            instance.durations.push(duration);
            instance.predecessors.push(before);
            instance.demands.push([(0, 1)]);
            instance.priorities.push((Class::Medium, 63));
        }
        instance.link();
        let ranks: Vec<u32> = (0..6).collect();
        // 0 and 2, then 5 in the place of 2; all of the first group ends at 10.
        assert_eq!(waves(&instance, &ranks), [0, 10, 0, 10, 0, 1]);
        // 5 was in the queue before 3.
        assert_eq!(fifo(&instance), [0, 10, 0, 6, 1, 1]);
    }
}
