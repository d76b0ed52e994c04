use super::checker::Checker;
use crate::runbook::{DocPath, codes};

impl Checker<'_> {
    /// Times between two steps: that both exist, and that the second comes after the first.
    pub(super) fn spans(&mut self) {
        let document = self.document;
        for (name, span) in &document.spans {
            let at = DocPath::key("spans").field(name);
            self.duration(span.objective.as_deref(), true, || at.field("objective"));
            let mut known = true;
            for (key, id) in [("from", &span.from), ("to", &span.to)] {
                if self.outline.lasting(id).is_none() {
                    let steps = self.outline.all_lasting();
                    let steps = steps.iter().map(crate::id::StepId::as_str);
                    self.unknown(codes::UNKNOWN_STEP, at.field(key), "step", id, steps);
                    known = false;
                }
            }
            let begin = format!("{}!begin", span.from);
            let follows = span.from == span.to
                || self.waits(&span.from, &span.to)
                || self.waits(&begin, &span.to);
            if known && !follows {
                self.help(
                    codes::BAD_SPAN,
                    at.field("to"),
                    format!(
                        "`{}` does not wait for `{}`: it may be over before the span is opened",
                        span.to, span.from
                    ),
                    format!("let `{}` need `{}`, or measure between others", span.to, span.from),
                );
            }
        }
    }
}
