use super::paint::{Ink, Page, fit, fit_right, width};
use crate::plan::Plan;
use crate::time::Millis;

/// Times between two steps, and when the clocks start.
pub(super) fn spans(page: &mut Page, plan: &Plan) {
    let starts = plan.steps.iter().filter(|step| step.incident && step.skip.is_none());
    if let Some(step) = starts.max_by_key(|step| step.finish_ms) {
        let at = Millis(step.finish_ms).short();
        let text = format!("the clocks start after {at}, when `{}` is over", step.id);
        page.paragraph(Ink::Dim, "  ", &text);
    }
    if plan.spans.is_empty() {
        return;
    }
    page.title("MEASURED BETWEEN STEPS", "");
    let longest = plan.spans.iter().map(|span| width(&span.name)).max();
    let columns = page.names(longest.unwrap_or(0), 8, 52);
    let heads = format!("    {}  predicted  objective", fit("", columns));
    page.line(&[(Ink::Dim, &heads)]);
    for span in &plan.spans {
        let (mark, ink) = match span.meets {
            Some(true) => ('✓', Ink::Good),
            Some(false) => ('✗', Ink::Bad),
            None => ('·', Ink::Plain),
        };
        let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| Millis(ms).short());
        let row = format!(
            "{}  {}  {}  ",
            fit(&span.name, columns),
            fit_right(&time(span.predicted_ms), 9),
            fit_right(&time(span.objective_ms), 9),
        );
        let between = match span.predicted_ms {
            Some(_) => format!("{} → {}", span.from, span.to),
            None => "not measured by this plan".to_owned(),
        };
        page.verdict(&[(ink, &format!("  {mark} ")), (Ink::Plain, &row)], Ink::Dim, &between);
    }
}
