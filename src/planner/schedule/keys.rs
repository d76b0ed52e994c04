use super::Instance;
use crate::words::Class;

/// No objective reaches back to a step.
pub(super) const NEVER: i64 = i64::MAX;

/// What orders the steps of a plan and of its run, from one forward and one backward pass.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Earliest start of each step by its edges alone, milliseconds.
    pub heads: Vec<u64>,
    /// Longest way from the start of each step to the end of all, milliseconds.
    pub tails: Vec<u64>,
    /// Length of the longest chain, milliseconds.
    pub critical_ms: u64,
    /// The longest chain, first step first. Of several, the one with most steps.
    pub critical_path: Vec<u32>,
    /// The most urgent class that each step serves, and the lowest number in it.
    pub urgency: Vec<(Class, u32)>,
    /// Latest start that keeps every objective of that class, milliseconds.
    pub latest_starts: Vec<i64>,
    /// Place of each step in the order of dispatch: by class, latest start, number, declaration.
    pub ranks: Vec<u32>,
}

impl Keys {
    /// The keys of a project. `O(V log V + E)`.
    #[must_use]
    pub fn new(instance: &Instance) -> Self {
        let heads = heads(instance);
        let critical_ms = instance.makespan_ms(&heads);
        let urgency = urgency(instance);
        let latest_starts = latest_starts(instance, &urgency, critical_ms);
        let mut by_key: Vec<u32> = (0..instance.len() as u32).collect();
        by_key.sort_by_key(|step| {
            let (class, number) = urgency[*step as usize];
            (class, latest_starts[*step as usize], number, *step)
        });
        let mut ranks = vec![0; instance.len()];
        for (rank, step) in by_key.iter().enumerate() {
            ranks[*step as usize] = rank as u32;
        }
        Self {
            tails: tails(instance),
            critical_path: Chains::of(instance, &heads).longest(),
            heads,
            critical_ms,
            urgency,
            latest_starts,
            ranks,
        }
    }
}

pub(super) fn heads(instance: &Instance) -> Vec<u64> {
    let mut heads = vec![0_u64; instance.len()];
    for &step in &instance.order {
        let end = heads[step as usize] + instance.durations[step as usize];
        for &next in instance.successors.get(step as usize) {
            heads[next as usize] = heads[next as usize].max(end);
        }
    }
    heads
}

pub(super) fn tails(instance: &Instance) -> Vec<u64> {
    let mut tails = instance.durations.clone();
    for &step in instance.order.iter().rev() {
        let after = instance.successors.get(step as usize).iter().map(|next| tails[*next as usize]);
        tails[step as usize] += after.max().unwrap_or(0);
    }
    tails
}

/// The longest chains of steps, each to the step that ends it.
#[derive(Debug, Clone)]
pub struct Chains {
    /// The step before in the longest chain to a step.
    before: Vec<Option<u32>>,
    /// The end of the longest of all.
    last: Option<u32>,
}

impl Chains {
    /// Among chains of equal length the one with most steps, then the first declared.
    /// `O(V + E)`.
    #[must_use]
    pub fn new(instance: &Instance) -> Self {
        Self::of(instance, &heads(instance))
    }

    fn of(instance: &Instance, heads: &[u64]) -> Self {
        let mut hops = vec![0_u32; instance.len()];
        let mut before: Vec<Option<u32>> = vec![None; instance.len()];
        let finish = |step: u32| heads[step as usize] + instance.durations[step as usize];
        for &step in &instance.order {
            let all = instance.predecessors.get(step as usize).iter().copied();
            let best =
                all.max_by_key(|other| (finish(*other), hops[*other as usize], u32::MAX - other));
            if let Some(best) = best {
                hops[step as usize] = hops[best as usize] + 1;
                before[step as usize] = Some(best);
            }
        }
        let last = (0..instance.len() as u32)
            .max_by_key(|step| (finish(*step), hops[*step as usize], u32::MAX - step));
        Self { before, last }
    }

    /// The longest chain that ends with `last`, first step first.
    #[must_use]
    pub fn to(&self, last: u32) -> Vec<u32> {
        let mut path = Vec::new();
        let mut at = Some(last);
        while let Some(step) = at {
            path.push(step);
            at = self.before[step as usize];
        }
        path.reverse();
        path
    }

    /// The longest chain of all.
    #[must_use]
    pub fn longest(&self) -> Vec<u32> {
        self.last.map_or_else(Vec::new, |last| self.to(last))
    }
}

/// Each step has the class of its service, or a more urgent one of what waits for it.
fn urgency(instance: &Instance) -> Vec<(Class, u32)> {
    let mut urgency = instance.priorities.clone();
    for &step in instance.order.iter().rev() {
        for &next in instance.successors.get(step as usize) {
            urgency[step as usize] = urgency[step as usize].min(urgency[next as usize]);
        }
    }
    urgency
}

/// Latest starts for the class that each step serves. A step of that class behind which no goal of
/// it lies counts as due with the longest chain, as do goals without an objective.
fn latest_starts(instance: &Instance, urgency: &[(Class, u32)], critical_ms: u64) -> Vec<i64> {
    let classes = Class::ALL.len();
    let mut due = vec![[NEVER; 4]; instance.len()];
    for goal in &instance.goals {
        let by = goal.due_ms.unwrap_or(critical_ms) as i64;
        for end in &goal.ends {
            let due = &mut due[*end as usize][goal.class as usize];
            *due = by.min(*due);
        }
    }
    debug_assert_eq!(classes, 4, "one slot a class");
    for &step in instance.order.iter().rev() {
        let mut own = due[step as usize];
        for &next in instance.successors.get(step as usize) {
            let duration = instance.durations[next as usize] as i64;
            for (own, next) in own.iter_mut().zip(&due[next as usize]) {
                if *next != NEVER {
                    *own = (*own).min(next - duration);
                }
            }
        }
        let (class, _) = instance.priorities[step as usize];
        if own[class as usize] == NEVER {
            own[class as usize] = critical_ms as i64;
        }
        due[step as usize] = own;
    }
    due.iter()
        .zip(urgency)
        .zip(&instance.durations)
        .map(|((due, (class, _)), duration)| due[*class as usize] - *duration as i64)
        .collect()
}

/// How much later each step could start without making anything late: without passing an
/// objective, or, where there is none, without delaying the end of all. Negative: it is late as it
/// is.
#[must_use]
pub fn slack_ms(instance: &Instance, starts: &[u64]) -> Vec<i64> {
    let makespan = instance.makespan_ms(starts) as i64;
    let mut due = vec![NEVER; instance.len()];
    for goal in &instance.goals {
        if let Some(by) = goal.due_ms {
            for end in &goal.ends {
                due[*end as usize] = due[*end as usize].min(by as i64);
            }
        }
    }
    for &step in instance.order.iter().rev() {
        let mut own = due[step as usize];
        for &next in instance.successors.get(step as usize) {
            own = own.min(due[next as usize] - instance.durations[next as usize] as i64);
        }
        due[step as usize] = if own == NEVER { makespan } else { own };
    }
    (0..instance.len())
        .map(|step| due[step] - instance.durations[step] as i64 - starts[step] as i64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::list_schedule;
    use crate::planner::schedule::Goal;

    fn instance(steps: &[(u64, &[u32], Class)], goals: Vec<Goal>) -> Instance {
        let mut instance = Instance { capacities: vec![1], goals, ..Instance::default() };
        for (duration, before, class) in steps {
            instance.durations.push(*duration);
            instance.predecessors.push(before.iter().copied());
            instance.demands.push([(0, 1)]);
            instance.priorities.push((*class, class.number()));
        }
        instance.link();
        instance
    }

    #[test]
    fn a_step_inherits_what_waits_for_it() {
        // 0 → 1 (critical, due 100); 2 (high) alone; 3 → 4 (low, no objective).
        let goals = vec![
            Goal { class: Class::Critical, due_ms: Some(100), ends: vec![1] },
            Goal { class: Class::High, due_ms: Some(20), ends: vec![2] },
        ];
        let instance = instance(
            &[
                (10, &[], Class::Low),
                (20, &[0], Class::Critical),
                (5, &[], Class::High),
                (50, &[], Class::Low),
                (7, &[3], Class::Low),
            ],
            goals,
        );
        let keys = Keys::new(&instance);
        let classes: Vec<_> = keys.urgency.iter().map(|(class, _)| *class).collect();
        assert_eq!(
            classes,
            [Class::Critical, Class::Critical, Class::High, Class::Low, Class::Low]
        );
        assert_eq!(keys.latest_starts, [70, 80, 15, 0, 50]);
        assert_eq!(keys.ranks, [0, 1, 2, 3, 4]);
        assert_eq!((keys.critical_ms, keys.critical_path.clone()), (57, vec![3, 4]));
        assert_eq!(keys.tails, [30, 20, 5, 57, 7]);
        let starts = list_schedule(&instance.network(&keys.ranks));
        assert_eq!(starts, [0, 10, 30, 35, 85]);
        assert_eq!(slack_ms(&instance, &starts), [70, 70, -15, 0, 0]);
    }

    #[test]
    fn equal_urgency_is_ordered_by_number_then_declaration() {
        let mut instance = instance(
            &[(10, &[], Class::High), (10, &[], Class::High), (10, &[], Class::High)],
            vec![],
        );
        instance.priorities[2].1 = 26;
        assert_eq!(Keys::new(&instance).ranks, [1, 2, 0]);
    }
}
