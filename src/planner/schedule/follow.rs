use std::collections::BTreeMap;

use super::{Instance, Value};
use crate::plan::{Yield, list_schedule};

/// Rounds before a schedule is followed as far as it has come.
const ROUNDS: usize = 2_000;

/// What dispatch has to know, besides the order of `ranks`, to make a schedule and not only one like
/// it, and the schedule that it then makes: the same, or one that is no worse, if every step takes as long
/// as expected.
///
/// Dispatch starts whatever fits. A schedule may leave units free for a step that is about to need
/// them: where dispatch would take those, the step that takes them yields to all that the schedule starts before
/// it. None of that goes beyond a step's start in the schedule, so a run that is late loses nothing by it.
pub(in crate::planner) fn follow(
    instance: &Instance,
    ranks: &[u32],
    starts: &[u64],
) -> (Vec<u64>, Vec<Yield>) {
    let mut network = instance.network(ranks);
    let mut yields: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut dispatched = list_schedule(&network);
    for _ in 0..ROUNDS {
        // Where dispatch first leaves the schedule, it starts something too early.
        let early = |step: &usize| dispatched[*step] < starts[*step];
        let mut moments: Vec<(u64, u32)> =
            (0..instance.len()).filter(early).map(|step| (dispatched[step], step as u32)).collect();
        moments.sort_unstable();
        let mut left_at = None;
        for (moment, step) in moments {
            if left_at.is_some_and(|left_at| left_at != moment) {
                break;
            }
            let first = goes_first(instance, starts, &dispatched, step);
            let known = yields.entry(step).or_default();
            let before = known.len();
            known.extend(first);
            known.sort_unstable();
            known.dedup();
            if known.len() > before {
                left_at = Some(moment);
            }
        }
        if left_at.is_none() {
            break;
        }
        network.yields = yields
            .iter()
            .filter(|(_, to)| !to.is_empty())
            .map(|(step, to)| Yield {
                step: *step,
                to: to.clone(),
                until_ms: starts[*step as usize],
            })
            .collect();
        dispatched = list_schedule(&network);
    }
    if Value::new(instance, &dispatched) > Value::new(instance, starts) {
        dispatched.copy_from_slice(starts);
    }
    (dispatched, network.yields)
}

/// Steps that the schedule starts before `step` and dispatch after it, and whose start it would have in its way.
fn goes_first(
    instance: &Instance,
    starts: &[u64],
    dispatched: &[u64],
    step: u32,
) -> impl Iterator<Item = u32> {
    let moment = dispatched[step as usize];
    let end = moment + instance.durations[step as usize];
    let shares = move |other: usize| {
        let demands = instance.demands.get(step as usize);
        let others = instance.demands.get(other);
        demands.iter().any(|(pool, _)| others.iter().any(|(other, _)| other == pool))
    };
    (0..instance.len())
        .filter(move |&other| {
            starts[other] < starts[step as usize]
                && (moment..end).contains(&starts[other])
                && dispatched[other] >= moment
                && instance.durations[other] > 0
                && shares(other)
        })
        .map(|other| other as u32)
}
