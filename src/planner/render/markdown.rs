use std::fmt::Write as _;

use super::paint::count;
use super::timeline::{Row, action, rows, taken};
use super::{facts, sections};
use crate::markup::escape_markdown as text;
use crate::plan::Plan;
use crate::time::Millis;

/// Steps in the table; of more, those that matter, and the rest counted.
const STEPS: usize = 60;

/// The plan as Markdown, for a ticket or a comment. Whatever came from the runbook is shown as
/// text.
#[must_use]
pub fn markdown(plan: &Plan) -> String {
    let mut out = String::new();
    let protected = if plan.protected { " (protected)" } else { "" };
    let _ = writeln!(out, "# Plan: {} in {}\n", text(&plan.runbook), text(&plan.environment));
    if let Some(description) = &plan.description {
        let _ = writeln!(out, "{}\n", text(description));
    }
    let _ = writeln!(out, "**{}**\n", text(&facts::headline(plan)));
    if let Some(forecast) = facts::forecast(plan) {
        let _ = writeln!(out, "{}\n", text(&forecast));
    }
    let _ = writeln!(
        out,
        "Environment {}{protected}, {}, {}. Digest `{}`.\n",
        text(&plan.environment),
        plan.mode,
        plan.style,
        plan.digest.as_str().replace('`', "")
    );
    if let Some(seal) = facts::seal(plan) {
        let _ = writeln!(out, "{}\n", text(&seal));
    }
    services(&mut out, plan);
    steps(&mut out, plan);
    for (title, lines) in facts::lists(plan) {
        let _ = writeln!(out, "## {title}\n");
        for line in lines {
            let _ = writeln!(out, "- {}", text(&line));
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn services(out: &mut String, plan: &Plan) {
    if plan.services.is_empty() {
        return;
    }
    out.push_str(
        "## Services\n\n| Service | Priority | RTO | Recovered after | P90 | Objective |\n",
    );
    out.push_str("|---|---|--:|--:|--:|---|\n");
    let time = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), |ms| Millis(ms).short());
    for service in &plan.services {
        let (mark, _, verdict) = sections::verdict(service);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {mark} {} |",
            text(service.name.as_str()),
            service.priority,
            time(service.rto_ms),
            time(service.predicted_ms),
            time(service.p90_ms),
            text(&verdict)
        );
    }
    out.push('\n');
}

fn steps(out: &mut String, plan: &Plan) {
    let steps = taken(plan);
    if steps.is_empty() {
        return;
    }
    out.push_str("## Timeline\n\n| Start | Takes | Step | What | Service | |\n");
    out.push_str("|--:|--:|---|---|---|---|\n");
    for row in rows(&steps, STEPS) {
        match row {
            Row::Step(step) => {
                let mut remarks = Vec::new();
                if step.critical {
                    remarks.push("critical");
                }
                if step.point_of_no_return {
                    remarks.push("no way back");
                }
                if step.approve.is_some() {
                    remarks.push("asks people");
                }
                if step.validates.is_some() {
                    remarks.push("validation");
                }
                let known = facts::source(step).map(|source| format!("duration {source}"));
                remarks.extend(known.as_deref());
                let service = step.service.as_ref().map(|it| text(it.as_str()));
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} | {} |",
                    Millis(step.start_ms).short(),
                    Millis(step.expected_ms()).short(),
                    text(step.id.as_str()),
                    text(&action(step)),
                    service.unwrap_or_default(),
                    remarks.join(", ")
                );
            }
            Row::Folded(steps) => {
                let start = steps.iter().map(|step| step.start_ms).min().unwrap_or(0);
                let finish = steps.iter().map(|step| step.finish_ms).max().unwrap_or(0);
                let _ = writeln!(
                    out,
                    "| {} | {} | … {} | | | |",
                    Millis(start).short(),
                    Millis(finish - start).short(),
                    count(steps.len(), "further step")
                );
            }
        }
    }
    out.push('\n');
}
