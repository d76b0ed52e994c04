use super::Look;
use super::paint::{Ink, Page, count, list};
use crate::event::SkipReason;
use crate::plan::{EdgeReason, EstimateSource};
use crate::planner::{Awaited, Crowd, Why};
use crate::time::Millis;

/// Names and edges shown before the rest is only counted.
const SHOWN: usize = 6;

/// Why a step starts when it does, in sentences: what it waited for, who held the pool, and how much
/// later it could start.
#[must_use]
pub fn why(why: &Why, look: Look) -> String {
    let mut page = Page::new(look);
    let id = &why.step;
    if let Some(reason) = why.skip {
        let reason = match reason {
            SkipReason::When => "its `when` is false",
            SkipReason::Person => "it is skipped on request",
            SkipReason::Rejected => "it was rejected",
            SkipReason::Phase => "its phase is not taken",
            SkipReason::NotOpened => "it has nothing to close",
            SkipReason::NotDone => "it has nothing to take back",
        };
        page.paragraph(Ink::Title, "", &format!("{id} does not start: {reason}"));
        return page.finish();
    }
    let start = if why.start_ms == 0 { "at once".to_owned() } else { at(why.start_ms) };
    page.paragraph(Ink::Title, "", &format!("{id} starts {start}: {}", reason(why)));
    let source = match why.estimate_source {
        EstimateSource::Declared => "declared",
        EstimateSource::History => "from past runs",
        EstimateSource::Typical => "typical for its action",
        EstimateSource::None => "nothing in it takes time",
    };
    let line = |page: &mut Page, lead: &str, text: &str| page.paragraph(Ink::Plain, lead, text);
    let end = at(why.start_ms + why.estimate_ms);
    line(&mut page, "  takes     ", &format!("{} ({source}), until {end}", at(why.estimate_ms)));
    for (place, before) in why.waits_for.iter().take(SHOWN).enumerate() {
        let lead = if place == 0 { "  waits for " } else { "            " };
        line(&mut page, lead, &awaited(before));
    }
    if why.waits_for.len() > SHOWN {
        let more = count(why.waits_for.len() - SHOWN, "further step");
        page.paragraph(Ink::Dim, "            ", &format!("and {more} that end earlier"));
    }
    if !why.yields_to.is_empty() {
        let first: Vec<&str> = why.yields_to.iter().map(crate::id::StepId::as_str).collect();
        let text = format!("{} start first, until {start} at the latest", list(&first, SHOWN));
        line(&mut page, "  lets      ", &text);
    }
    let slack = match why.slack_ms {
        0 => "none: starting later makes something late".to_owned(),
        late if late < 0 => {
            format!("none: {} too late for an objective", at(late.unsigned_abs()))
        }
        slack => format!("{}, up to {}", at(slack.unsigned_abs()), signed(why.latest_start_ms)),
    };
    let critical = if why.critical { "; on the critical path" } else { "" };
    line(&mut page, "  slack     ", &format!("{slack}{critical}"));
    let order = format!("class {}, then latest start {}", why.class, signed(why.key_ms));
    line(&mut page, "  order     ", &order);
    page.finish()
}

fn at(ms: u64) -> String {
    Millis(ms).short()
}

fn signed(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", at(ms.unsigned_abs()))
}

/// What the start follows from.
fn reason(why: &Why) -> String {
    let waited = why.start_ms - why.ready_ms.min(why.start_ms);
    if waited > 0 {
        let waited = at(waited);
        if why.pools.is_empty() {
            return format!("held back {waited}, which gives a better plan as a whole");
        }
        let pools: Vec<String> = why.pools.iter().map(crowd).collect();
        return format!("waited {waited} for {}", pools.join(" and "));
    }
    match why.waits_for.first() {
        None => "it waits for nothing".to_owned(),
        Some(last) => format!("as soon as {} has ended", last.step),
    }
}

fn crowd(crowd: &Crowd) -> String {
    let Crowd { pool, capacity, taken, wanted, .. } = crowd;
    let holders: Vec<&str> = crowd.holders.iter().map(crate::id::StepId::as_str).collect();
    let wants = if *wanted > 1 { format!(", it wants {wanted}") } else { String::new() };
    let must = if crowd.more_urgent { "must start earlier" } else { "start earlier" };
    let taken_by = list(&holders, SHOWN);
    format!("pool {pool} ({taken} of {capacity} taken by {taken_by}, which {must}{wants})")
}

fn awaited(before: &Awaited) -> String {
    let kind = match before.because {
        None if before.must_succeed => "needs",
        None => "after",
        Some(EdgeReason::Order) => "in order",
        Some(EdgeReason::Service) => "its service depends on",
        Some(EdgeReason::Validation) => "validation follows",
        Some(EdgeReason::Cleanup) => "cleanup follows",
        Some(EdgeReason::Closes) => "closes",
        Some(EdgeReason::Group) => "part of a group",
    };
    format!("{} until {} ({kind})", before.step, at(before.finish_ms))
}
