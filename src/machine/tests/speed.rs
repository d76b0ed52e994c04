use std::sync::Arc;

use serde_json::json;

use super::build::{Build, now, plan, run_started, step};
use super::crash::size;
use super::random::dice;
use crate::event::{Event, Verdict};
use crate::machine::graph::Graph;
use crate::machine::queue::Queue;
use crate::machine::{AttemptResult, Effect, Ending, Input, Machine, Session};
use crate::plan::{Plan, Pool};

/// Layers of idempotent steps, each needing three of the layer before.
fn layered(count: u64) -> Plan {
    let layer = 50;
    let steps = (0..count).map(|number| {
        let mut made = step(&format!("s{number}"));
        if number >= layer {
            for edge in 0..3 {
                let before = number / layer * layer - 1 - dice(7, (number, edge), layer);
                made = made.needs(&[&format!("s{before}")]);
            }
        }
        made
    });
    let mut plan = plan(steps.collect());
    plan.pools.insert("run".to_owned(), Pool { capacity: 8 });
    plan
}

fn run(plan: &Arc<Plan>) -> Vec<Event> {
    let mut machine = Machine::new(Arc::clone(plan)).expect("a plan");
    let start = Session {
        started: run_started(plan, true),
        reason: None,
        requests: Vec::new(),
        refused: Vec::new(),
        lost: None,
    };
    let mut inputs = std::collections::VecDeque::from([Input::Start(Box::new(start))]);
    let mut journal = Vec::new();
    let mut ending = None;
    let mut ms = 0;
    while let Some(input) = inputs.pop_front() {
        ms += 1;
        for effect in machine.handle(now(ms), input) {
            match effect {
                Effect::Append(event) => journal.push(*event),
                Effect::Launch(launch) => inputs.push_back(Input::AttemptDone {
                    ticket: launch.ticket,
                    result: AttemptResult::Applied(Ok(json!({}))),
                }),
                Effect::Finish(end) => ending = Some(end),
                Effect::SetTimer { .. } | Effect::StopAttempt(_) => {}
            }
        }
    }
    assert_eq!(ending, Some(Ending::Verdict(Verdict::Succeeded)));
    journal
}

/// Counts instead of measuring: a run of ten times the steps has ten times the events. Printed are
/// the nanoseconds, for people.
#[test]
#[expect(clippy::disallowed_methods, clippy::print_stderr, reason = "measures, and tells")]
fn the_work_is_linear_in_the_steps() {
    for count in [1_000, size(5_000, 100_000)] {
        let plan = Arc::new(layered(count));
        let begun = std::time::Instant::now();
        let journal = run(&plan);
        let ran = begun.elapsed();
        assert_eq!(journal.len() as u64, 2 + 3 * count);
        let begun = std::time::Instant::now();
        let mut machine = Machine::new(Arc::clone(&plan)).expect("a plan");
        for event in &journal[..journal.len() - 1] {
            assert!(machine.handle(now(0), Input::Replayed(Box::new(event.clone()))).is_empty());
        }
        let start = Session {
            started: run_started(&plan, true),
            reason: None,
            requests: vec![],
            refused: Vec::new(),
            lost: None,
        };
        let effects = machine.handle(now(0), Input::Start(Box::new(start)));
        assert!(matches!(effects.last(), Some(Effect::Finish(_))));
        let resumed = begun.elapsed();
        let each = |time: std::time::Duration| time.as_nanos() / u128::from(count);
        eprintln!("{count} steps: {} ns per step, {} to resume", each(ran), each(resumed));
    }
}

#[test]
fn what_does_not_fit_is_not_looked_at_again() {
    let hosts = 200;
    let mut steps = Vec::new();
    for number in 0..1_000_u32 {
        steps.push(step(&format!("s{number}")).takes(&format!("host:{}", number % hosts), 1));
    }
    let mut plan = plan(steps);
    for host in 0..hosts {
        plan.pools.insert(format!("host:{host}"), Pool { capacity: 1 });
    }
    let graph = Graph::new(Arc::new(plan)).expect("a plan");
    let mut queue = Queue::new(&graph);
    (0..1_000).for_each(|step| queue.push(&graph, step));
    let mut order = Vec::new();
    while let Some(step) = queue.pop(&graph) {
        order.push(step);
    }
    assert_eq!(order, (0..32).collect::<Vec<_>>(), "the most urgent first, as many as may run");
    queue.release(&graph, 5);
    assert_eq!(queue.pop(&graph), Some(32));
    assert_eq!(queue.pop(&graph), None);
    queue.remove(&graph, 33);
    queue.release(&graph, 6);
    assert_eq!(queue.pop(&graph), Some(34));
}
