use super::Look;
use super::paint::{Ink, Page, fit, fit_right, width};
use crate::plan::Plan;
use crate::planner::Comparison;
use crate::time::Millis;
use crate::words::Rival;

/// The plan beside a simpler way to run the same steps: a row for each service, and the whole.
#[must_use]
pub fn comparison(plan: &Plan, other: &Comparison, look: Look) -> String {
    let mut page = Page::new(look);
    let what = match other.with {
        Rival::Waves => "groups by depth, with a barrier after each",
        Rival::Fifo => "a plain queue, first ready, first started",
    };
    page.title(&format!("COMPARED WITH {}", other.with.as_str().to_uppercase()), what);
    let longest = plan.services.iter().map(|service| width(service.name.as_str())).max();
    let columns = page.names(longest.unwrap_or(0), 9, 64);
    page.line(&[(
        Ink::Dim,
        &format!("    {}  {:>9}  {:>9}  {:>9}", fit("", columns), "this plan", other.with, "RTO"),
    )]);
    let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| Millis(ms).short());
    let mut row = |name: &str, ours: Option<u64>, theirs: Option<u64>, rto: Option<u64>| {
        let cost = match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours > 0 => share(ours, theirs),
            _ => String::new(),
        };
        let late = |ms: Option<u64>| rto.zip(ms).is_some_and(|(rto, ms)| ms > rto);
        let (mark, ink) = match (late(ours), late(theirs)) {
            (false, true) => ('✗', Ink::Bad),
            (true, false) => ('!', Ink::Warn),
            _ => (' ', Ink::Plain),
        };
        let verdict = match mark {
            '✗' => "misses the RTO",
            '!' => "meets the RTO, this plan does not",
            _ => "",
        };
        let mark = format!("  {mark} ");
        let times = format!("  {}  {}", fit_right(&time(ours), 9), fit_right(&time(theirs), 9));
        let row = format!("{}{times}", fit(name, columns));
        let goal = format!("  {}", fit_right(&time(rto), 9));
        let cost = format!("  {cost}  ");
        let pieces = [(ink, &*mark), (Ink::Plain, &row), (Ink::Dim, &goal), (Ink::Plain, &cost)];
        page.verdict(&pieces, ink, verdict);
    };
    for (service, compared) in plan.services.iter().zip(&other.services) {
        row(service.name.as_str(), service.predicted_ms, compared.predicted_ms, service.rto_ms);
    }
    row("all steps", Some(plan.makespan_ms), Some(other.makespan_ms), None);
    page.finish()
}

/// How much longer, in percent of the plan's time.
fn share(ours: u64, theirs: u64) -> String {
    let tenths = (theirs as i64 - ours as i64) * 1_000 / ours as i64;
    let sign = if tenths < 0 { '-' } else { '+' };
    let tenths = tenths.unsigned_abs();
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}
