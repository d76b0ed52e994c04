use std::fmt::Write as _;

use super::{Screen, Tone};
use crate::event::SpanAchieved;
use crate::time::Millis;
use crate::view::View;

/// What was measured, in words.
pub(super) fn standing(span: &SpanAchieved) -> (Tone, String) {
    let objective = span.objective_ms.map(|ms| format!(" of {}", Millis(ms).short()));
    let objective = objective.unwrap_or_default();
    let between = format!("from {} to {}", span.from, span.to);
    match (span.took_ms, &span.reason) {
        (Some(took), _) => {
            let late = span.objective_ms.and_then(|most| took.checked_sub(most));
            let took = Millis(took).short();
            match late.filter(|ms| *ms > 0) {
                Some(late) => {
                    let late = Millis(late).short();
                    (Tone::Bad, format!("took {took}{objective}, {late} too long, {between}"))
                }
                None => (Tone::Good, format!("took {took}{objective}, {between}")),
            }
        }
        (None, Some(reason)) => {
            let tone = if span.met == Some(false) { Tone::Bad } else { Tone::Plain };
            (tone, format!("not measured: {reason}"))
        }
        (None, None) => (Tone::Plain, format!("not measured, {between}")),
    }
}

/// The section of `dr show`: nothing if the plan measures nothing.
pub(super) fn section(view: &View, now_ms: u64, goes_on: bool, screen: &Screen) -> String {
    let mut out = String::new();
    for span in view.spans() {
        let (tone, text) = match span.open_since_ms.filter(|_| goes_on) {
            Some(since) => {
                let gone = now_ms.saturating_sub(since);
                let of = span.achieved.objective_ms;
                let late = of.is_some_and(|most| gone > most);
                let of = of.map(|ms| format!(" of {}", Millis(ms).short())).unwrap_or_default();
                let tone = if late { Tone::Bad } else { Tone::Plain };
                let gone = Millis(gone).short();
                (tone, format!("open for {gone}{of}, until {} is over", span.achieved.to))
            }
            None if goes_on && span.achieved.took_ms.is_none() => {
                (Tone::Plain, format!("begins with {}", span.achieved.from))
            }
            None => standing(&span.achieved),
        };
        let name = screen.paint(Tone::Strong, &span.achieved.name);
        let _ = writeln!(out, "  {name}  {}", screen.paint(tone, &text));
    }
    out
}
