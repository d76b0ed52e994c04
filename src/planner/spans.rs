//! Times between two steps: from the runbook, and what is predicted for them.

use super::codes;
use crate::id::StepId;
use crate::plan::{Plan, Span, Step, begin_of};
use crate::runbook::{DocPath, Document, Outline, Problem};
use crate::time::Millis;

/// The spans of a runbook, without their predictions.
pub(super) fn spans(
    document: &Document,
    outline: &Outline<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Span> {
    let mut spans = Vec::with_capacity(document.spans.len());
    for (name, doc) in &document.spans {
        let objective = doc.objective.as_deref().map(str::parse::<Millis>).transpose();
        let objective = objective.unwrap_or_else(|why| {
            let at = DocPath::key("spans").field(name).field("objective");
            problems.push(Problem::error(codes::UNREADABLE, at, why));
            None
        });
        spans.push(Span {
            name: name.clone(),
            description: doc.description.clone(),
            from: begin(outline, &doc.from),
            to: StepId::from(doc.to.as_str()),
            objective_ms: objective.map(|objective| objective.0),
            predicted_ms: None,
            meets: None,
        });
    }
    spans
}

/// Where a step begins: a group or loop begins with a step of its own.
fn begin(outline: &Outline<'_>, id: &str) -> StepId {
    let is_compound = outline.lasting(id).is_some_and(|step| outline.get(step).is_compound());
    let id = StepId::from(id);
    if is_compound { begin_of(&id) } else { id }
}

/// Adds what the schedule predicts.
pub(super) fn predict(plan: &mut Plan) {
    let mut spans = std::mem::take(&mut plan.spans);
    for span in &mut spans {
        let taken = |id: &StepId| -> Option<&Step> {
            plan.step(id.as_str()).filter(|step| step.skip.is_none())
        };
        let ends = taken(&span.from).zip(taken(&span.to));
        span.predicted_ms = ends.map(|(from, to)| to.finish_ms.saturating_sub(from.start_ms));
        span.meets =
            span.objective_ms.zip(span.predicted_ms).map(|(most, predicted)| predicted <= most);
    }
    plan.spans = spans;
}
