use proptest::prelude::*;

use super::compact::{Compact, Pools};
use super::generator::{Generator, Scheme};
use super::profile::{Apart, Joint, Profile};
use super::{Effort, Goal, Instance, Keys, Value, bounds, follow, optimise};
use crate::plan::{Network, list_schedule};
use crate::words::Class;

/// Raw material of an instance: duration, what it waits for, what it takes.
type Spec = (u64, Vec<usize>, Vec<(u32, u32)>);

fn instance(capacities: &[u32], steps: &[Spec], dues: &[Option<u64>]) -> Instance {
    let mut instance = Instance { capacities: capacities.to_vec(), ..Instance::default() };
    for (position, (duration, needs, takes)) in steps.iter().enumerate() {
        let mut needs: Vec<u32> =
            needs.iter().filter(|need| **need < position).map(|need| *need as u32).collect();
        needs.sort_unstable();
        needs.dedup();
        let mut takes: Vec<(u32, u32)> = takes
            .iter()
            .map(|(pool, units)| (pool % capacities.len() as u32, *units))
            .map(|(pool, units)| (pool, units.min(capacities[pool as usize])))
            .collect();
        takes.sort_unstable();
        takes.dedup_by_key(|(pool, _)| *pool);
        instance.durations.push(*duration);
        instance.predecessors.push(needs);
        instance.demands.push(takes);
        let class = Class::ALL[position % 4];
        instance.priorities.push((class, class.number()));
    }
    for (position, due) in dues.iter().enumerate() {
        let ends = (position..steps.len()).step_by(dues.len()).map(|end| end as u32).collect();
        instance.goals.push(Goal { class: Class::ALL[position % 4], due_ms: *due, ends });
    }
    instance.link();
    instance
}

/// Precedence and capacity, checked without anything of the scheduler.
fn assert_feasible(instance: &Instance, starts: &[u64]) {
    let end = |step: usize| starts[step] + instance.durations[step];
    for (step, start) in starts.iter().enumerate() {
        for before in instance.predecessors.get(step) {
            assert!(end(*before as usize) <= *start, "{before} before {step}");
        }
    }
    for moment in starts {
        let mut taken = vec![0; instance.capacities.len()];
        for step in
            (0..instance.len()).filter(|step| starts[*step] <= *moment && *moment < end(*step))
        {
            for (pool, units) in instance.demands.get(step) {
                taken[*pool as usize] += units;
            }
        }
        for (taken, capacity) in taken.iter().zip(&instance.capacities) {
            assert!(taken <= capacity, "{taken} of {capacity} at {moment}");
        }
    }
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let needs = proptest::collection::vec(0_usize..30, 0..3);
    let takes = proptest::collection::vec((0_u32..12, 1_u32..4), 0..4);
    proptest::collection::vec((0_u64..9, needs, takes), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_found_is_feasible_not_worse_than_dispatch_and_reproducible(
        steps in specs(),
        capacities in prop_oneof![
            proptest::collection::vec(1_u32..5, 1..4),
            proptest::collection::vec(1_u32..5, 5..8),
            proptest::collection::vec(1_u32..3, 9..12),
        ],
        dues in proptest::collection::vec(proptest::option::of(0_u64..40), 0..5),
        seed in any::<u64>(),
    ) {
        // Half of them without steps that take no time.
        let mut steps = steps;
        if seed % 2 == 0 {
            for step in &mut steps {
                step.0 += 1;
            }
        }
        let instance = instance(&capacities, &steps, &dues);
        let keys = Keys::new(&instance);
        let bounds = bounds(&instance);
        let dispatch = list_schedule(&instance.network(&keys.ranks));
        assert_feasible(&instance, &dispatch);
        let by_dispatch = Value::new(&instance, &dispatch);
        for schedules in [0, 60, 300] {
            let effort = Effort { schedules, seed };
            let (starts, value) = optimise(&instance, &keys, &bounds, effort);
            assert_feasible(&instance, &starts);
            prop_assert_eq!(value, Value::new(&instance, &starts));
            prop_assert!(value <= by_dispatch);
            prop_assert!(bounds.makespan_ms <= value.makespan);
            for (goal, bound) in instance.goals.iter().zip(&bounds.goals) {
                let reached = instance.reached_ms(goal, &starts);
                prop_assert_eq!(bound.as_ref().map(|(ms, _)| *ms <= reached.unwrap_or(0)), reached.map(|_| true));
            }
            let (dispatched, yields) = follow(&instance, &keys.ranks, &starts);
            let network = Network { yields, ..instance.network(&keys.ranks) };
            // What takes units for no time at all may come too late for them.
            if steps.iter().all(|(duration, ..)| *duration > 0) {
                prop_assert_eq!(&list_schedule(&network), &dispatched);
            }
            prop_assert!(Value::new(&instance, &dispatched) <= value);
            let again = optimise(&instance, &keys, &bounds, effort);
            prop_assert_eq!(again, (starts, value));
        }
    }
}

#[test]
fn steps_that_take_a_century_each_are_scheduled_without_a_fault() {
    let year = 365 * 86_400_000;
    let steps: Vec<Spec> = (0..300_usize)
        .map(|step| {
            let needs = vec![(step * 7) % (step + 1), step.saturating_sub(3)];
            let years = 1 + (step as u64 * 37) % 99;
            (years * year, needs, vec![(0, 1 + (step % 2) as u32)])
        })
        .collect();
    let instance = instance(&[3], &steps, &[]);
    let (starts, _) = optimise(
        &instance,
        &Keys::new(&instance),
        &bounds(&instance),
        Effort { schedules: 60, seed: 1 },
    );
    assert_feasible(&instance, &starts);
}

/// The schedule that is made in parallel of the steps in the order of their edges.
fn in_parallel<P: Profile>(compact: &Compact, profile: P) -> Vec<u64> {
    let list: Vec<u32> = (0..compact.len() as u32).collect();
    let mut starts = vec![0; compact.len()];
    let mut generator = Generator::new(compact, profile);
    assert!(generator.forward_within(Scheme::Parallel, &list, &mut starts, u64::MAX));
    let end = compact.durations.iter().zip(&starts).map(|(duration, start)| start + duration).max();
    let before = end.map_or(0, |end| end - 1);
    assert!(!generator.forward_within(Scheme::Parallel, &list, &mut vec![0; list.len()], before));
    starts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn parallel_generation_is_what_dispatch_does(
        mut steps in specs(),
        capacities in prop_oneof![
            proptest::collection::vec(1_u32..5, 1..4),
            proptest::collection::vec(1_u32..3, 9..12),
        ],
    ) {
        for step in &mut steps {
            step.0 += 1;
        }
        let instance = instance(&capacities, &steps, &[]);
        let mut ranks = vec![0; instance.len()];
        for (rank, step) in instance.order.iter().enumerate() {
            ranks[*step as usize] = rank as u32;
        }
        let compact = Compact::new(&instance);
        let found = match &compact.pools {
            Pools::One(packed) => in_parallel(&compact, Joint::new(packed)),
            Pools::Two(packed) => in_parallel(&compact, Joint::new(packed)),
            Pools::Many { capacities, demands } => {
                in_parallel(&compact, Apart::new(capacities, demands))
            }
        };
        let dispatched = list_schedule(&instance.network(&ranks));
        let dispatched: Vec<u64> =
            compact.original.iter().map(|step| dispatched[*step as usize]).collect();
        prop_assert_eq!(found, dispatched);
    }
}

#[test]
fn a_small_puzzle_is_solved() {
    // Dispatch starts the long step first and the pair later; two machines allow 6.
    let steps: Vec<Spec> = vec![
        (2, vec![], vec![(0, 1)]),
        (2, vec![], vec![(0, 1)]),
        (4, vec![0], vec![(0, 1)]),
        (4, vec![1], vec![(0, 1)]),
        (6, vec![], vec![(0, 2)]),
    ];
    let instance = instance(&[2], &steps, &[]);
    let keys = Keys::new(&instance);
    let effort = Effort { schedules: 200, seed: 1 };
    let (_, value) = optimise(&instance, &keys, &bounds(&instance), effort);
    assert_eq!(value.makespan, 12);
}

#[test]
fn an_urgent_service_is_not_late_for_the_sake_of_the_end() {
    // A long low chain would like the only slot first; a critical step is due at 3.
    let steps: Vec<Spec> =
        vec![(10, vec![], vec![(0, 1)]), (3, vec![], vec![(0, 1)]), (10, vec![0], vec![])];
    let mut instance = instance(&[1], &steps, &[]);
    instance.priorities = vec![(Class::Low, 88), (Class::Critical, 13), (Class::Low, 88)];
    instance.goals = vec![Goal { class: Class::Critical, due_ms: Some(3), ends: vec![1] }];
    let keys = Keys::new(&instance);
    let effort = Effort { schedules: 200, seed: 1 };
    let (starts, value) = optimise(&instance, &keys, &bounds(&instance), effort);
    assert_eq!((starts, value.lateness, value.makespan), (vec![3, 0, 13], [0; 4], 23));
}
