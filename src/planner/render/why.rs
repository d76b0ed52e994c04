use super::Look;
use super::paint::{Ink, Page, count, list};
use crate::plan::{EdgeReason, EstimateSource, Plan, Step};
use crate::time::Millis;

/// Steps named before the rest is only counted.
const NAMES: usize = 6;

/// Why a step starts when it does: what it waits for, the pool that delays it and who holds it, how
/// much later it could start. `None` if there is no such step.
#[must_use]
pub fn why(plan: &Plan, id: &str, look: Look) -> Option<String> {
    let step = plan.step(id)?;
    let mut page = Page::new(look);
    if let Some(reason) = step.skip {
        let reason = serde_json::to_value(reason).unwrap_or_default();
        let reason = reason.as_str().unwrap_or_default().to_owned();
        page.paragraph(Ink::Plain, "", &format!("{id} is not taken ({reason})"));
        return Some(page.finish());
    }
    let source = match step.estimate_source {
        EstimateSource::Declared => "declared",
        EstimateSource::History => "from earlier runs",
        EstimateSource::Typical => "typical for its action",
        EstimateSource::None => "nothing that takes time",
    };
    let (start, takes) = (Millis(step.start_ms).short(), Millis(step.estimate_ms).short());
    page.paragraph(Ink::Title, "", &format!("{id} starts at {start} and takes {takes} ({source})"));
    let ready = waits_for(&mut page, plan, step);
    pools(&mut page, plan, step, ready);
    let slack = match step.slack_ms {
        0 => "no slack: starting later makes something late".to_owned(),
        late if late < 0 => {
            format!("late by {}: an objective is missed", Millis(late.unsigned_abs()).short())
        }
        slack => format!("could start {} later", Millis(slack.unsigned_abs()).short()),
    };
    let critical = if step.critical { "; on the critical path" } else { "" };
    page.paragraph(Ink::Plain, "  ", &format!("{slack}{critical}"));
    let latest = step.urgency.latest_start_ms;
    let sign = if latest < 0 { "-" } else { "" };
    page.paragraph(
        Ink::Plain,
        "  ",
        &format!(
            "order of dispatch: {}, latest start {sign}{}",
            step.urgency.class,
            Millis(latest.unsigned_abs()).short(),
        ),
    );
    Some(page.finish())
}

/// What it waits for, the last to end first; gives the moment from which it could have started.
fn waits_for(page: &mut Page, plan: &Plan, step: &Step) -> u64 {
    let kinds = step.needs.iter().map(|id| (id, "needs"));
    let kinds = kinds.chain(step.after.iter().map(|id| (id, "after")));
    let mut before: Vec<(&Step, &str)> = kinds
        .filter_map(|(id, kind)| {
            let kind = match step.because.get(id) {
                None => kind,
                Some(EdgeReason::Order) => "in order",
                Some(EdgeReason::Service) => "its service depends on",
                Some(EdgeReason::Validation) => "validation follows",
                Some(EdgeReason::Cleanup) => "cleanup follows",
            };
            Some((plan.step(id.as_str())?, kind))
        })
        .collect();
    before.sort_by_key(|(other, _)| (std::cmp::Reverse(other.finish_ms), other.urgency.order));
    let Some((last, _)) = before.first() else {
        page.paragraph(Ink::Plain, "  ", "waits for no step");
        return 0;
    };
    let ready = last.finish_ms;
    for (other, kind) in before.iter().take(NAMES) {
        let end = Millis(other.finish_ms).short();
        page.paragraph(Ink::Plain, "  ", &format!("{kind} {}, which ends at {end}", other.id));
    }
    if before.len() > NAMES {
        page.paragraph(
            Ink::Dim,
            "  ",
            &format!("and {}", count(before.len() - NAMES, "further step")),
        );
    }
    ready
}

/// The pools that were full just before it started.
fn pools(page: &mut Page, plan: &Plan, step: &Step, ready: u64) {
    if step.start_ms <= ready {
        return;
    }
    let waited = Millis(step.start_ms - ready).short();
    let mut named = false;
    for (pool, units) in &step.takes {
        let capacity = plan.pools.get(pool).map_or(0, |pool| pool.capacity);
        let holders: Vec<&Step> = plan
            .steps
            .iter()
            .filter(|other| other.skip.is_none() && other.takes.contains_key(pool))
            .filter(|other| other.start_ms < step.start_ms && step.start_ms <= other.finish_ms)
            .collect();
        let taken: u32 = holders.iter().filter_map(|other| other.takes.get(pool)).sum();
        if taken + units > capacity {
            named = true;
            let held_by: Vec<&str> = holders.iter().map(|other| other.id.as_str()).collect();
            page.paragraph(
                Ink::Plain,
                "  ",
                &format!(
                    "could start at {}, but waits {waited} for pool {pool}: {taken} of {capacity} \
                     taken by {}",
                    Millis(ready).short(),
                    list(&held_by, NAMES),
                ),
            );
        }
    }
    if !named {
        page.paragraph(
            Ink::Plain,
            "  ",
            &format!("starts {waited} later than it could, to keep units free for others"),
        );
    }
}
