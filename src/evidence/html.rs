use std::fmt::Write as _;

use super::model::{Evidence, Objective, RunResult, ServiceEvidence, StepEvidence};
use super::procedure::places;
use crate::event::{Purpose, StepState};
use crate::markup::{
    Lane, clean_line, escape_html as text, lanes_svg, page, section, table, value_text,
};
use crate::time::{Millis, Timestamp};

/// Lanes of the picture; of more steps, those that took longest.
const LANES: usize = 200;
/// Longest captured value that is shown whole; the evidence has all of it.
const SHOWN: usize = 200;

/// The report as a page that stands on its own: it loads nothing and runs nothing, and whatever
/// came from elsewhere is text.
#[must_use]
pub fn html(evidence: &Evidence) -> String {
    let mut body = String::new();
    head(&mut body, evidence);
    body.push_str(&section("Services", &services(evidence)));
    body.push_str(&section("What did not go as planned", &deviations(evidence)));
    body.push_str(&section("Decisions of people", &decisions(evidence)));
    body.push_str(&section("Changes", &changes(evidence)));
    body.push_str(&section("Timeline", &timeline(evidence)));
    body.push_str(&section("Steps", &steps(evidence)));
    body.push_str(&section("By the procedure", &procedure(evidence)));
    body.push_str(&section("Errors", &errors(evidence)));
    body.push_str(&section("Captured values", &outputs(evidence)));
    body.push_str(&section("Found before the start", &preflight(evidence)));
    body.push_str(&section("Sessions", &sessions(evidence)));
    body.push_str(&section("Basis", &basis(evidence)));
    page(&format!("Recovery of {} in {}", evidence.run.runbook, evidence.run.environment), &body)
}

fn head(out: &mut String, evidence: &Evidence) {
    let (run, clocks) = (&evidence.run, &evidence.clocks);
    let _ =
        writeln!(out, "<h1>Recovery of {} in {}</h1>", text(&run.runbook), text(&run.environment));
    let class = match evidence.result {
        RunResult::Succeeded => "good",
        RunResult::Paused | RunResult::Open => "warn",
        _ => "bad",
    };
    let _ = writeln!(
        out,
        "<p class=\"lead {class}\"><strong>{}</strong>: {}</p>",
        evidence.result.as_str().replace('_', " "),
        text(&evidence.reason)
    );
    if !evidence.journal.closed {
        out.push_str(
            "<p class=\"warn\">This run is not complete: its journal has no close record. What \
             follows is how far it got.</p>\n",
        );
    }
    let mut rows = vec![
        vec!["Run".to_owned(), format!("<code>{}</code>", text(run.id.as_str()))],
        vec!["What".to_owned(), format!("{}, {}", run.mode, run.style)],
    ];
    let mut add = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    if let Some(description) = &run.description {
        add("Purpose", text(description));
    }
    if let Some(owner) = &run.owner {
        add("Owner", text(owner));
    }
    add("Incident", moment(clocks.incident_at));
    add("Declared", moment(clocks.declared_at));
    add("Started", moment(clocks.started_at));
    let elapsed = short(clocks.elapsed_ms);
    add("Ended", format!("{}, after {elapsed}", moment(clocks.finished_at)));
    add("Predicted", short(run.predicted_ms));
    if clocks.decision_ms > 0 {
        add("Waiting for people", short(clocks.decision_ms));
    }
    let people: Vec<String> = evidence
        .participants
        .iter()
        .map(|one| format!("{} on {} ({})", text(&one.user), text(&one.host), one.roles.join(", ")))
        .collect();
    add("People", people.join("; "));
    add("Plan", format!("<code>{}</code>", text(run.plan_digest.as_str())));
    if let Some(seal) = &run.seal {
        let by = seal.by.as_deref().map(|by| format!(", by {}", text(by))).unwrap_or_default();
        let again = seal.again.as_deref();
        let again = again.map(|why| format!("; executed again: {}", text(why))).unwrap_or_default();
        add("Sealed", format!("{}{by}{again}", text(seal.id.as_str())));
    }
    out.push_str(&table(&["", ""], &rows));
}

fn met(objective: Option<u64>, met: Option<bool>) -> &'static str {
    match (objective, met) {
        (_, Some(true)) => "<span class=\"good\">met</span>",
        (_, Some(false)) => "<span class=\"bad\">missed</span>",
        (Some(_), None) => "<span class=\"dim\">not measured</span>",
        (None, None) => "<span class=\"dim\">no objective</span>",
    }
}

fn services(evidence: &Evidence) -> String {
    if evidence.services.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = evidence
        .services
        .iter()
        .map(|service| {
            let Objective { objective_ms, achieved_ms, met: met_rto, .. } = &service.rto;
            vec![
                text(service.name.as_str()),
                service.priority.to_string(),
                or_dash(objective_ms.map(short)),
                or_dash(achieved_ms.map(short)),
                met(*objective_ms, *met_rto).to_owned(),
                or_dash(service.rpo.objective_ms.map(short)),
                or_dash(service.rpo.achieved_ms.map(signed)),
                met(service.rpo.objective_ms, service.rpo.met).to_owned(),
                service.proof.assurance.as_str().replace('_', " "),
            ]
        })
        .collect();
    let heads =
        ["Service", "Priority", "#RTO", "#RTA", "In time", "#RPO", "#RPA", "Loss", "Works again"];
    let mut out = table(&heads, &rows);
    let lanes: Vec<Lane> = evidence.services.iter().filter_map(lane_of_service).collect();
    if !lanes.is_empty() {
        out.push_str(&lanes_svg("When each service was recovered", &lanes));
        out.push_str("<p class=\"dim\">From the declaration. The line is the objective.</p>\n");
    }
    let reasons = evidence
        .services
        .iter()
        .filter_map(|service| Some(format!("{}: {}", service.name, service.reason.as_deref()?)));
    list(&mut out, reasons);
    let _ = writeln!(
        out,
        "<p class=\"dim\">RTA: {} RPA: {}</p>",
        text(&evidence.clocks.rta_definition),
        text(&evidence.clocks.rpa_definition)
    );
    out
}

fn lane_of_service(service: &ServiceEvidence) -> Option<Lane> {
    let achieved = service.rto.achieved_ms?;
    Some(Lane {
        name: service.name.to_string(),
        start_ms: 0,
        finish_ms: achieved,
        class: match service.rto.met {
            Some(true) => "good",
            Some(false) => "bad",
            None => "bar",
        },
        mark_ms: service.rto.objective_ms,
        after: short(achieved),
    })
}

fn deviations(evidence: &Evidence) -> String {
    if evidence.deviations.is_empty() {
        return "<p>Nothing.</p>\n".to_owned();
    }
    let rows: Vec<Vec<String>> = evidence
        .deviations
        .iter()
        .map(|it| {
            let place = match (&it.step, &it.service) {
                (Some(step), _) => text(step.as_str()),
                (None, Some(service)) => format!("service {}", text(service.as_str())),
                (None, None) => "the run".to_owned(),
            };
            vec![
                it.at_ms.map(short).unwrap_or_default(),
                it.kind.words().to_owned(),
                place,
                text(&it.text),
            ]
        })
        .collect();
    table(&["#After", "What", "Where", ""], &rows)
}

fn decisions(evidence: &Evidence) -> String {
    if evidence.decisions.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = evidence
        .decisions
        .iter()
        .map(|it| {
            let who = match (&it.by, &it.decided) {
                (Some(by), _) => format!("{} on {}", text(&by.user), text(&by.host)),
                (None, Some(_)) => "its deadline".to_owned(),
                (None, None) => String::new(),
            };
            vec![
                moment(it.asked_at),
                text(it.step.as_str()),
                text(&it.asked),
                it.decided.as_deref().map_or_else(|| "none".to_owned(), text),
                who,
                or_dash(it.waited_ms.map(short)),
                it.reason.as_deref().map(text).unwrap_or_default(),
            ]
        })
        .collect();
    let heads = ["Asked at", "Step", "Question", "Answer", "By", "#After", "Why"];
    table(&heads, &rows)
        + "<p class=\"dim\">A confirmation shows what somebody said, not that it was so.</p>\n"
}

fn changes(evidence: &Evidence) -> String {
    let state = |state: Option<&String>| state.map_or_else(|| "–".to_owned(), |it| text(it));
    let rows: Vec<Vec<String>> = super::changes::of_run(evidence)
        .map(|(step, change)| {
            vec![
                text(step.id.as_str()),
                text(&change.what),
                state(change.before.as_ref()),
                state(change.after.as_ref()),
            ]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["Step", "What", "Before", "After"], &rows) }
}

fn timeline(evidence: &Evidence) -> String {
    let mut ran: Vec<&StepEvidence> =
        evidence.steps.iter().filter(|step| step.started_ms.is_some()).collect();
    let more = ran.len().saturating_sub(LANES);
    ran.sort_by_key(|step| std::cmp::Reverse(step.took_ms));
    ran.truncate(LANES);
    ran.sort_by_key(|step| (step.started_ms, step.finished_ms));
    if ran.is_empty() {
        return String::new();
    }
    let lanes: Vec<Lane> = ran
        .iter()
        .map(|step| {
            let start_ms = step.started_ms.unwrap_or(0);
            let finish_ms = step.finished_ms.unwrap_or(evidence.clocks.elapsed_ms);
            Lane {
                name: step.id.to_string(),
                start_ms,
                finish_ms,
                class: match step.state {
                    StepState::Succeeded => "bar",
                    StepState::Warned => "crit",
                    _ => "bad",
                },
                mark_ms: None,
                after: format!(
                    "{}{}",
                    short(finish_ms.saturating_sub(start_ms)),
                    match step.state {
                        StepState::Succeeded => String::new(),
                        state => format!(" · {}", state.as_str().replace('_', " ")),
                    }
                ),
            }
        })
        .collect();
    let mut out = lanes_svg("When each step ran", &lanes);
    if more > 0 {
        let _ = writeln!(out, "<p class=\"dim\">and {more} shorter steps, in the table below</p>");
    }
    out
}

fn steps(evidence: &Evidence) -> String {
    let mut steps: Vec<&StepEvidence> = evidence.steps.iter().collect();
    steps.sort_by_key(|step| (step.started_ms.is_none(), step.started_ms, step.planned_start_ms));
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let applies = step.attempts.iter().filter(|it| it.purpose != Purpose::Check);
            let applies = applies.map(|it| it.number).max();
            let class = match step.state {
                StepState::Succeeded => "good",
                StepState::Skipped | StepState::Pending => "dim",
                StepState::Warned => "warn",
                _ => "bad",
            };
            vec![
                format!("<code>{}</code>", text(step.id.as_str())),
                step.service.as_ref().map(|it| text(it.as_str())).unwrap_or_default(),
                step.host.as_deref().map(text).unwrap_or_default(),
                or_dash(step.planned_start_ms.map(short)),
                or_dash(step.started_ms.map(short)),
                or_dash(step.planned_ms.map(short)),
                or_dash(step.took_ms.map(short)),
                applies.map(|count| count.to_string()).unwrap_or_default(),
                format!("<span class=\"{class}\">{}</span>", step.state.as_str().replace('_', " ")),
                step.assurance.as_str().replace('_', " "),
            ]
        })
        .collect();
    let heads = [
        "Step",
        "Service",
        "Host",
        "#Planned start",
        "#Started",
        "#Planned",
        "#Took",
        "#Attempts",
        "Outcome",
        "Known",
    ];
    table(&heads, &rows)
}

fn procedure(evidence: &Evidence) -> String {
    let places = places(evidence);
    if places.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = places
        .into_iter()
        .map(|(source, steps)| {
            let steps: Vec<String> = steps
                .iter()
                .map(|step| {
                    let state = step.state.as_str().replace('_', " ");
                    format!("<code>{}</code> {state}", text(step.id.as_str()))
                })
                .collect();
            vec![text(source), steps.join(", ")]
        })
        .collect();
    table(&["Place", "Steps"], &rows)
}

fn errors(evidence: &Evidence) -> String {
    let rows: Vec<Vec<String>> = evidence
        .steps
        .iter()
        .flat_map(|step| step.attempts.iter().map(move |attempt| (step, attempt)))
        .filter_map(|(step, attempt)| {
            let error = attempt.error.as_ref()?;
            let mut message = text(&error.message);
            for cause in &error.causes {
                message.push_str("; ");
                message.push_str(&text(cause));
            }
            Some(vec![
                text(step.id.as_str()),
                attempt.number.to_string(),
                error.class.as_str().to_owned(),
                format!("<code>{}</code>", text(&error.code)),
                message,
            ])
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(&["Step", "#Attempt", "Class", "Code", "Message"], &rows)
}

fn outputs(evidence: &Evidence) -> String {
    let rows: Vec<Vec<String>> = evidence
        .steps
        .iter()
        .flat_map(|step| step.outputs.iter().map(move |(name, value)| (step, name, value)))
        .filter(|(_, name, value)| !super::changes::is_shown(name, value))
        .map(|(step, name, value)| {
            let all = value_text(value);
            let cut: String = all.chars().take(SHOWN).collect();
            let more = if cut.len() < all.len() { "…" } else { "" };
            vec![text(step.id.as_str()), text(name), format!("{}{more}", text(&cut))]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["Step", "Name", "Value"], &rows) }
}

fn preflight(evidence: &Evidence) -> String {
    let rows: Vec<Vec<String>> = evidence
        .preflight
        .iter()
        .map(|it| {
            let lines: Vec<String> = it.lines.iter().map(|line| text(line)).collect();
            vec![text(it.step.as_str()), text(&it.status.replace('_', " ")), lines.join("<br>")]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(&["Step", "Found", ""], &rows) }
}

fn sessions(evidence: &Evidence) -> String {
    let rows: Vec<Vec<String>> = evidence
        .sessions
        .iter()
        .map(|it| {
            let verdict = match (it.verdict, it.ended_at) {
                (Some(verdict), _) => verdict.as_str().replace('_', " "),
                (None, Some(_)) => "paused".to_owned(),
                (None, None) => String::new(),
            };
            vec![
                it.number.to_string(),
                moment(it.started_at),
                it.ended_at.map_or_else(|| "not in order".to_owned(), moment),
                format!("{} on {}", text(&it.by.user), text(&it.by.host)),
                if it.attended { "yes" } else { "no" }.to_owned(),
                verdict,
                it.reason.as_deref().map(text).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["#", "Started", "Ended", "By", "At a terminal", "Ended with", "Why"], &rows)
}

fn basis(evidence: &Evidence) -> String {
    let journal = &evidence.journal;
    let closed = if journal.closed { "closed" } else { "not closed" };
    let plugins = evidence.run.plugins.iter();
    let plugins: Vec<String> =
        plugins.map(|(name, version)| format!("{} {}", text(name), text(version))).collect();
    format!(
        "<p>Computed from the plan and {} journal records, the last of which has the sum \
         <code>{}</code>; the journal is {closed}. dr {}; plugins: {}.</p>\n\
         <p class=\"dim\">“verified” means that a check read the result; “asserted”, that the tool \
         which did it, or a person, says so. This report cannot show that what a person confirmed \
         was true, or that the machine which wrote the journal was honest.</p>\n",
        journal.count,
        text(&journal.head),
        text(&evidence.run.dr_version),
        if plugins.is_empty() { "none".to_owned() } else { plugins.join(", ") },
    )
}

fn list(out: &mut String, items: impl Iterator<Item = String>) {
    let items: Vec<String> =
        items.map(|item| format!("<li>{}</li>\n", text(&clean_line(&item)))).collect();
    if !items.is_empty() {
        let _ = write!(out, "<ul>\n{}</ul>\n", items.concat());
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

fn short(ms: u64) -> String {
    Millis(ms).short()
}

fn signed(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", short(ms.unsigned_abs()))
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
