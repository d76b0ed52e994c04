use std::fmt::Write as _;

use super::paint::{Ink, count};
use super::timeline::{Row, action, rows, taken};
use super::{facts, sections};
use crate::markup::{Lane, escape_html as text, lanes_svg as svg, page, section, table};
use crate::plan::{Plan, Step};
use crate::time::Millis;

/// Lanes of steps in the picture; of more, those that matter, and the rest counted.
const LANES: usize = 120;
/// Steps in the table; the rest is counted.
const TABLE: usize = 2_000;

/// The plan as a page that stands on its own, for people who decide: which service is back when,
/// against what was promised, as a picture; then every step. It loads nothing and runs nothing.
#[must_use]
pub fn html(plan: &Plan) -> String {
    let mut body = String::new();
    header(&mut body, plan);
    services(&mut body, plan);
    timeline(&mut body, plan);
    lists(&mut body, plan);
    steps(&mut body, plan);
    page(&format!("{} in {}: plan", plan.runbook, plan.environment), &body)
}

fn header(out: &mut String, plan: &Plan) {
    let protected = if plan.protected { " (protected)" } else { "" };
    let _ = writeln!(out, "<h1>{}</h1>", text(&plan.runbook));
    if let Some(description) = &plan.description {
        let _ = writeln!(out, "<p class=\"lead\">{}</p>", text(description));
    }
    let _ = writeln!(
        out,
        "<p class=\"dim\">Plan for {}{protected}, {}, {}.{} Digest <code>{}</code></p>",
        text(&plan.environment),
        plan.mode,
        plan.style,
        plan.owner.as_deref().map(|it| format!(" Owner: {}.", text(it))).unwrap_or_default(),
        text(plan.digest.as_str())
    );
    if let Some(seal) = facts::seal(plan) {
        let _ = writeln!(out, "<p class=\"dim\">{}</p>", text(&seal));
    }
    let class = if facts::misses(plan) == 0 { "good" } else { "bad" };
    let _ = writeln!(out, "<p class=\"lead {class}\">{}</p>", text(&facts::headline(plan)));
    if let Some(forecast) = facts::forecast(plan) {
        let _ = writeln!(out, "<p>{}</p>", text(&forecast));
    }
}

fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Good => "good",
        Ink::Bad => "bad",
        Ink::Warn => "warn",
        _ => "dim",
    }
}

fn services(out: &mut String, plan: &Plan) {
    if plan.services.is_empty() {
        return;
    }
    let time = |ms: Option<u64>| ms.map_or_else(|| "–".to_owned(), |ms| Millis(ms).short());
    let table_rows: Vec<Vec<String>> = plan
        .services
        .iter()
        .map(|service| {
            let (_, ink, verdict) = sections::verdict(service);
            vec![
                text(service.name.as_str()),
                service.priority.to_string(),
                time(service.rto_ms),
                time(service.predicted_ms),
                time(service.p90_ms),
                time(service.rpo_ms),
                format!("<span class=\"{}\">{}</span>", class(ink), text(&verdict)),
            ]
        })
        .collect();
    let heads = ["Service", "Priority", "#RTO", "#Recovered after", "#P90", "#RPO", "Objective"];
    let lanes: Vec<Lane> = plan
        .services
        .iter()
        .filter_map(|service| {
            let predicted = service.predicted_ms?;
            Some(Lane {
                name: service.name.to_string(),
                start_ms: 0,
                finish_ms: predicted,
                class: match service.meets_rto {
                    Some(true) => "good",
                    Some(false) => "bad",
                    None => "bar",
                },
                mark_ms: service.rto_ms,
                after: match service.rto_ms {
                    Some(rto) => {
                        format!("{} of {}", Millis(predicted).short(), Millis(rto).short())
                    }
                    None => Millis(predicted).short(),
                },
            })
        })
        .collect();
    let mut body = table(&heads, &table_rows);
    if !lanes.is_empty() {
        body.push_str(&svg("When each service is recovered", &lanes));
        body.push_str("<p class=\"dim\">The line is the objective.</p>\n");
    }
    out.push_str(&section("Services", &body));
}

fn timeline(out: &mut String, plan: &Plan) {
    let steps = taken(plan);
    if steps.is_empty() {
        out.push_str(&section("Timeline", "<p>Nothing to do.</p>\n"));
        return;
    }
    let lanes: Vec<Lane> = rows(&steps, LANES).iter().map(lane).collect();
    let bound = if plan.lower_bound_ms < plan.makespan_ms {
        format!(" No plan of these steps takes less than {}.", Millis(plan.lower_bound_ms).short())
    } else {
        String::new()
    };
    let mut body = format!(
        "<p>{} for {}.{bound} <span class=\"dim\">The critical path is marked by colour: nothing \
         is faster than it.</span></p>\n",
        Millis(plan.makespan_ms).short(),
        count(steps.len(), "step"),
    );
    body.push_str(&svg("When each step runs", &lanes));
    out.push_str(&section("Timeline", &body));
}

fn lane(row: &Row<'_>) -> Lane {
    match row {
        Row::Step(step) => Lane {
            name: step.id.to_string(),
            start_ms: step.start_ms,
            finish_ms: step.finish_ms,
            class: if step.critical { "crit" } else { "bar" },
            mark_ms: None,
            after: format!("{}{}", Millis(step.expected_ms()).short(), watch(step)),
        },
        Row::Folded(steps) => Lane {
            name: format!("… {}", count(steps.len(), "further step")),
            start_ms: steps.iter().map(|step| step.start_ms).min().unwrap_or(0),
            finish_ms: steps.iter().map(|step| step.finish_ms).max().unwrap_or(0),
            class: "fold",
            mark_ms: None,
            after: String::new(),
        },
    }
}

fn watch(step: &Step) -> &'static str {
    if step.point_of_no_return {
        " · no way back"
    } else if step.approve.is_some() {
        " · asks people"
    } else {
        ""
    }
}

fn lists(out: &mut String, plan: &Plan) {
    for (title, items) in facts::lists(plan) {
        let mut body = String::from("<ul>\n");
        for item in items {
            let _ = writeln!(body, "<li>{}</li>", text(&item));
        }
        body.push_str("</ul>\n");
        out.push_str(&section(title, &body));
    }
}

fn steps(out: &mut String, plan: &Plan) {
    let steps = taken(plan);
    let rows: Vec<Vec<String>> = steps
        .iter()
        .take(TABLE)
        .map(|step| {
            let needs: Vec<String> = step.needs.iter().map(|id| text(id.as_str())).collect();
            vec![
                Millis(step.start_ms).short(),
                match facts::source(step) {
                    Some(source) => format!("{} ({source})", Millis(step.expected_ms()).short()),
                    None => Millis(step.expected_ms()).short(),
                },
                format!("<code>{}</code>", text(step.id.as_str())),
                step.service.as_ref().map(|it| text(it.as_str())).unwrap_or_default(),
                text(&action(step)),
                facts::effect(step).to_owned(),
                needs.join(", "),
                step.description.as_deref().map(text).unwrap_or_default(),
            ]
        })
        .collect();
    let heads =
        ["#Start", "#Takes", "Step", "Service", "What", "Repeating it", "Needs", "Description"];
    let mut body = table(&heads, &rows);
    if steps.len() > TABLE {
        let more = count(steps.len() - TABLE, "further step");
        let _ = writeln!(body, "<p class=\"dim\">and {more}: <code>--format json</code></p>");
    }
    out.push_str(&section("Steps", &body));
}
