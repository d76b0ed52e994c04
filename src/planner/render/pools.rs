use std::collections::{BTreeMap, HashMap};

use super::paint::{Ink, Page, count};
use crate::plan::{Plan, Step};
use crate::time::Millis;

/// Pools shown before the rest is only counted.
const SHOWN: usize = 8;

/// What a pool delays.
#[derive(Default)]
struct Delay {
    steps: usize,
    /// Sum over the steps, milliseconds.
    waited_ms: u64,
}

/// The pools that make steps wait.
pub(super) fn pools(page: &mut Page, plan: &Plan) {
    let lines = lines(plan);
    if lines.is_empty() {
        return;
    }
    page.title("POOLS THAT BIND", "");
    for line in lines.iter().take(SHOWN) {
        page.paragraph(Ink::Plain, "  ", line);
    }
    let more = lines.len().saturating_sub(SHOWN);
    if more > 0 {
        page.line(&[(Ink::Dim, &format!("  and {} more", count(more, "pool")))]);
    }
}

/// One line a pool that makes steps wait, the worst first.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let mut rows: Vec<(&str, Delay)> = delays(plan).into_iter().collect();
    rows.sort_by(|one, two| two.1.waited_ms.cmp(&one.1.waited_ms).then(one.0.cmp(two.0)));
    rows.into_iter()
        .map(|(name, delay)| {
            let capacity = plan.pools.get(name).map_or(0, |pool| pool.capacity);
            let waiting = match delay.steps {
                1 => "1 step waits".to_owned(),
                steps => format!("{steps} steps wait"),
            };
            let waited = Millis(delay.waited_ms).short();
            format!("{name} ({capacity} at once): {waiting} for it, {waited} in all")
        })
        .collect()
}

/// For each pool, the steps that could have started earlier but for it.
fn delays(plan: &Plan) -> BTreeMap<&str, Delay> {
    let finishes: HashMap<&str, u64> =
        plan.steps.iter().map(|step| (step.id.as_str(), step.finish_ms)).collect();
    let ready = |step: &Step| {
        let before = step.needs.iter().chain(&step.after);
        before.filter_map(|id| finishes.get(id.as_str()).copied()).max().unwrap_or(0)
    };
    let delayed: Vec<(&Step, u64)> = plan
        .steps
        .iter()
        .map(|step| (step, ready(step)))
        .filter(|(step, ready)| step.skip.is_none() && step.start_ms > *ready)
        .collect();
    if delayed.is_empty() {
        return BTreeMap::new();
    }
    let mut usage: HashMap<&str, Usage> = HashMap::new();
    for step in plan.steps.iter().filter(|step| step.skip.is_none()) {
        for (pool, units) in &step.takes {
            let usage = usage.entry(pool).or_default();
            usage.changes.push((step.start_ms, i64::from(*units)));
            usage.changes.push((step.finish_ms, -i64::from(*units)));
        }
    }
    usage.values_mut().for_each(Usage::add_up);
    let mut delays: BTreeMap<&str, Delay> = BTreeMap::new();
    for (step, ready) in delayed {
        for (pool, units) in &step.takes {
            let capacity = plan.pools.get(pool).map_or(0, |pool| pool.capacity);
            let used = usage.get(pool.as_str()).map_or(0, |usage| usage.at(step.start_ms - 1));
            if used + i64::from(*units) > i64::from(capacity) {
                let delay = delays.entry(pool).or_default();
                delay.steps += 1;
                delay.waited_ms += step.start_ms - ready;
            }
        }
    }
    delays
}

/// How much of a pool is taken over time.
#[derive(Default)]
struct Usage {
    /// Moments and, once added up, what is taken from then on.
    changes: Vec<(u64, i64)>,
}

impl Usage {
    fn add_up(&mut self) {
        self.changes.sort_unstable();
        let mut taken = 0;
        for (_, change) in &mut self.changes {
            taken += *change;
            *change = taken;
        }
    }

    fn at(&self, moment: u64) -> i64 {
        let next = self.changes.partition_point(|(at, _)| *at <= moment);
        next.checked_sub(1).map_or(0, |last| self.changes[last].1)
    }
}
