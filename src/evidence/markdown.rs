use std::fmt::Write as _;

use super::model::{
    Assurance, Decision, Deviation, Evidence, RunResult, ServiceEvidence, StepEvidence,
};
use super::procedure::places;
use crate::event::{Outcome, Purpose, StepState};
use crate::markup::{escape_markdown as escape, value_text};
use crate::time::{Millis, Timestamp};

/// The report for people. The first screen answers what was recovered, in time or not, and what
/// went wrong; tables follow.
///
/// Whatever came from elsewhere (names, messages, outputs) is shown as text: it can neither format
/// nor link nor hide anything.
#[must_use]
pub fn markdown(evidence: &Evidence) -> String {
    let mut out = String::new();
    head(&mut out, evidence);
    services(&mut out, evidence);
    spans(&mut out, evidence);
    deviations(&mut out, evidence);
    decisions(&mut out, evidence);
    super::changes::changes(&mut out, evidence);
    timeline(&mut out, evidence);
    procedure(&mut out, evidence);
    errors(&mut out, evidence);
    outputs(&mut out, evidence);
    preflight(&mut out, evidence);
    basis(&mut out, evidence);
    out
}

fn head(out: &mut String, evidence: &Evidence) {
    let run = &evidence.run;
    let clocks = &evidence.clocks;
    let _ =
        writeln!(out, "# Recovery of {} in {}\n", escape(&run.runbook), escape(&run.environment));
    let _ = writeln!(
        out,
        "**Result: {}**: {}\n",
        evidence.result.as_str().replace('_', " "),
        escape(&evidence.reason)
    );
    for service in &evidence.services {
        let _ = writeln!(out, "- {}", headline(service));
    }
    if !evidence.services.is_empty() {
        out.push('\n');
    }
    if matches!(evidence.result, RunResult::Open | RunResult::Paused) || !evidence.journal.closed {
        out.push_str(
            "> This run is not complete: its journal has no close record. What follows is how far \
             it got.\n\n",
        );
    }
    let kind = match run.mode {
        crate::words::Mode::Live => "live recovery",
        crate::words::Mode::Drill => "drill",
    };
    out.push_str("| | |\n|---|---|\n");
    row(out, &["Run", &escape(run.id.as_str())]);
    row(out, &["What", &format!("{kind}, {}", run.style)]);
    if let Some(description) = &run.description {
        row(out, &["Purpose", &escape(description)]);
    }
    row(out, &["Incident", &moment(clocks.incident_at)]);
    let by = clocks
        .started_by
        .as_ref()
        .map(|step| format!(", when {} was over", escape(step.as_str())))
        .unwrap_or_default();
    row(out, &["Declared", &format!("{}{by}", moment(clocks.declared_at))]);
    let before = match clocks.declared_before_start_ms {
        0 => String::new(),
        ms if ms < 0 => format!(", {} before the declaration", short(ms.unsigned_abs())),
        ms => format!(", {} after the declaration", short(ms.unsigned_abs())),
    };
    row(out, &["Started", &format!("{}{before}", moment(clocks.started_at))]);
    row(
        out,
        &["Ended", &format!("{}, after {}", moment(clocks.finished_at), short(clocks.elapsed_ms))],
    );
    row(out, &["Predicted", &short(run.predicted_ms)]);
    if clocks.decision_ms > 0 {
        row(out, &["Waiting for people", &short(clocks.decision_ms)]);
    }
    let people: Vec<String> = evidence
        .participants
        .iter()
        .map(|one| {
            format!("{} on {} ({})", escape(&one.user), escape(&one.host), one.roles.join(", "))
        })
        .collect();
    row(out, &["People", &people.join("; ")]);
    if let Some(owner) = &run.owner {
        row(out, &["Owner", &escape(owner)]);
    }
    row(out, &["Plan", &escape(run.plan_digest.as_str())]);
    if let Some(seal) = &run.seal {
        let by = seal.by.as_deref().map(|by| format!(", by {}", escape(by))).unwrap_or_default();
        let at = seal.created_at.map(|at| format!(" at {}", moment(at))).unwrap_or_default();
        let again = seal
            .again
            .as_deref()
            .map(|again| format!("; executed again: {}", escape(again)))
            .unwrap_or_default();
        row(out, &["Sealed", &format!("{}{by}{at}{again}", escape(seal.id.as_str()))]);
    }
    out.push('\n');
}

fn headline(service: &ServiceEvidence) -> String {
    let name = escape(service.name.as_str());
    let time = match (service.rto.achieved_ms, service.rto.objective_ms) {
        (Some(rta), Some(rto)) if rta <= rto => {
            format!("recovered in {} of {} allowed", short(rta), short(rto))
        }
        (Some(rta), Some(rto)) => {
            format!(
                "recovered in {}, **{} too late** (RTO {})",
                short(rta),
                short(rta - rto),
                short(rto)
            )
        }
        (Some(rta), None) => format!("recovered in {}, without an objective", short(rta)),
        (None, _) => {
            let why = service.reason.as_deref().map(escape).unwrap_or_default();
            format!("**not recovered**: {why}")
        }
    };
    let loss = match (service.rpo.achieved_ms, service.rpo.objective_ms) {
        (Some(rpa), Some(rpo)) if rpa <= rpo as i64 => {
            format!("; {} of data lost of {} allowed", loss_text(rpa), short(rpo))
        }
        (Some(rpa), Some(rpo)) => {
            format!("; **{} of data lost**, {} allowed", loss_text(rpa), short(rpo))
        }
        (Some(rpa), None) => format!("; {} of data lost, without an objective", loss_text(rpa)),
        (None, Some(rpo)) => format!("; data loss **not measured** (RPO {})", short(rpo)),
        (None, None) => String::new(),
    };
    format!("{name}: {time}{loss}; {}", assurance_text(service.proof.assurance))
}

fn loss_text(rpa_ms: i64) -> String {
    if rpa_ms <= 0 { "nothing".to_owned() } else { signed(rpa_ms) }
}

fn assurance_text(assurance: Assurance) -> &'static str {
    match assurance {
        Assurance::Verified => "verified by checks",
        Assurance::Asserted => "asserted only: nothing checked it",
        Assurance::NotTested => "not tested",
    }
}

fn services(out: &mut String, evidence: &Evidence) {
    if evidence.services.is_empty() {
        return;
    }
    out.push_str("## Objectives\n\n");
    out.push_str(
        "| Service | Priority | RTO | RTA | | Predicted | RPO | RPA | | People | Known by |\n\
         |---|---|--:|--:|---|--:|--:|--:|---|--:|---|\n",
    );
    for service in &evidence.services {
        let met = |met: Option<bool>| match met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let verified: Vec<String> =
            service.proof.verified_by.iter().map(|id| escape(id.as_str())).collect();
        let known = match service.proof.assurance {
            Assurance::Verified => format!("verified: {}", verified.join(", ")),
            other => assurance_text(other).to_owned(),
        };
        row(
            out,
            &[
                &escape(service.name.as_str()),
                service.priority.as_str(),
                &or_dash(service.rto.objective_ms.map(short)),
                &or_dash(service.rto.achieved_ms.map(short)),
                met(service.rto.met),
                &or_dash(service.predicted_ms.map(short)),
                &or_dash(service.rpo.objective_ms.map(short)),
                &or_dash(service.rpo.achieved_ms.map(signed)),
                met(service.rpo.met),
                &or_dash(Some(service.decision_ms).filter(|ms| *ms > 0).map(short)),
                &known,
            ],
        );
    }
    out.push('\n');
    for service in &evidence.services {
        if let Some(reason) = &service.reason {
            let name = escape(service.name.as_str());
            let _ = writeln!(out, "- {name}: {}", escape(reason));
        }
        if let (Some(point), Some(step)) = (service.rpo.recovery_point, &service.rpo.measured_by) {
            let _ = writeln!(
                out,
                "- {}: the recovered data is from {}, as {} measured",
                escape(service.name.as_str()),
                exact(point),
                escape(step.as_str())
            );
        }
    }
    let _ = writeln!(
        out,
        "\nRTA: {} RPA: {}\n",
        evidence.clocks.rta_definition, evidence.clocks.rpa_definition
    );
}

fn spans(out: &mut String, evidence: &Evidence) {
    if evidence.spans.is_empty() {
        return;
    }
    out.push_str(
        "## Measured between steps\n\n\
         | Span | From | To | Objective | Took | | Predicted |\n|---|---|---|--:|--:|---|--:|\n",
    );
    for span in &evidence.spans {
        let achieved = &span.achieved;
        let met = match (achieved.met, &achieved.reason) {
            (Some(true), _) => "met".to_owned(),
            (Some(false), None) => "**missed**".to_owned(),
            (Some(false), Some(why)) => format!("**missed**: {}", escape(why)),
            (None, Some(why)) => escape(why),
            (None, None) => String::new(),
        };
        row(
            out,
            &[
                &escape(&achieved.name),
                &escape(achieved.from.as_str()),
                &escape(achieved.to.as_str()),
                &or_dash(achieved.objective_ms.map(short)),
                &or_dash(achieved.took_ms.map(short)),
                &met,
                &or_dash(span.predicted_ms.map(short)),
            ],
        );
    }
    out.push_str("\nFrom the first attempt of the one step to the end of the other.\n");
    for span in &evidence.spans {
        if let Some(description) = &span.description {
            let name = escape(&span.achieved.name);
            let _ = writeln!(out, "- {name}: {}", escape(description));
        }
    }
    out.push('\n');
}

fn deviations(out: &mut String, evidence: &Evidence) {
    out.push_str("## What did not go as planned\n\n");
    if evidence.deviations.is_empty() {
        out.push_str("Nothing.\n\n");
        return;
    }
    out.push_str("| After | What | Where | |\n|--:|---|---|---|\n");
    for Deviation { at_ms, kind, step, service, text, .. } in &evidence.deviations {
        let place = match (step, service) {
            (Some(step), _) => escape(step.as_str()),
            (None, Some(service)) => format!("service {}", escape(service.as_str())),
            (None, None) => "the run".to_owned(),
        };
        row(out, &[&at_ms.map(short).unwrap_or_default(), kind.words(), &place, &escape(text)]);
    }
    out.push('\n');
}

fn decisions(out: &mut String, evidence: &Evidence) {
    if evidence.decisions.is_empty() {
        return;
    }
    out.push_str("## Decisions of people\n\n");
    out.push_str("| Asked at | Step | Question | Answer | By | After | Why |\n");
    out.push_str("|---|---|---|---|---|--:|---|\n");
    for Decision { step, asked, asked_at, decided, by, reason, inputs, signed, waited_ms } in
        &evidence.decisions
    {
        let told = inputs.iter().fold(String::new(), |told, (name, value)| {
            told + ", " + &escape(name) + " = " + &escape(&value_text(value))
        });
        let who = match (by, decided) {
            (Some(by), _) if signed.is_some() => format!("{}, signed", escape(&by.user)),
            (Some(by), _) => format!("{} on {}", escape(&by.user), escape(&by.host)),
            (None, Some(_)) => "its deadline".to_owned(),
            (None, None) => String::new(),
        };
        row(
            out,
            &[
                &moment(*asked_at),
                &escape(step.as_str()),
                &escape(asked),
                &format!("{}{told}", decided.as_deref().map_or_else(|| "none".to_owned(), escape)),
                &who,
                &or_dash(waited_ms.map(short)),
                &reason.as_deref().map(escape).unwrap_or_default(),
            ],
        );
    }
    out.push_str("\nA confirmation shows what somebody said, not that it was so.\n\n");
}

fn timeline(out: &mut String, evidence: &Evidence) {
    out.push_str("## Timeline\n\n");
    out.push_str(
        "Planned and actual start count from the start of the run. `took` includes waiting for \
         people.\n\n\
         | Step | Service | Host | Planned start | Started | Planned | Took | People | Attempts | \
         Outcome | Known |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|---|---|\n",
    );
    let mut steps: Vec<&StepEvidence> = evidence.steps.iter().collect();
    steps.sort_by_key(|step| (step.started_ms.is_none(), step.started_ms, step.planned_start_ms));
    for step in steps {
        let applies = step
            .attempts
            .iter()
            .filter(|attempt| attempt.purpose != Purpose::Check)
            .map(|attempt| attempt.number)
            .max();
        row(
            out,
            &[
                &escape(step.id.as_str()),
                &step.service.as_ref().map(|service| escape(service.as_str())).unwrap_or_default(),
                &step.host.as_deref().map(escape).unwrap_or_default(),
                &or_dash(step.planned_start_ms.map(short)),
                &or_dash(step.started_ms.map(short)),
                &or_dash(step.planned_ms.map(short)),
                &or_dash(step.took_ms.map(short)),
                &if step.decision_ms > 0 { short(step.decision_ms) } else { String::new() },
                &applies.map(|count| count.to_string()).unwrap_or_default(),
                &outcome(step),
                match step.assurance {
                    Assurance::NotTested => "",
                    other => other.as_str(),
                },
            ],
        );
    }
    out.push('\n');
}

fn outcome(step: &StepEvidence) -> String {
    let word = step.state.as_str().replace('_', " ");
    let who = step.by.as_ref().map(|by| format!(" ({} says so)", escape(&by.user)));
    match step.state {
        StepState::Failed | StepState::TimedOut | StepState::UndoFailed => {
            format!("**{word}**{}", who.unwrap_or_default())
        }
        StepState::Blocked => {
            let by: Vec<String> = step.blocked_by.iter().map(|id| escape(id.as_str())).collect();
            format!("{word} by {}", by.join(", "))
        }
        StepState::Skipped => {
            let why = step.skipped.map(|reason| match reason {
                crate::event::SkipReason::When => ": condition",
                crate::event::SkipReason::Phase => ": phase",
                crate::event::SkipReason::Person => ": by a person",
                crate::event::SkipReason::Rejected => ": gate rejected",
                crate::event::SkipReason::NotOpened => ": nothing to close",
                crate::event::SkipReason::NotDone => ": nothing to take back",
            });
            format!("{word}{}", why.unwrap_or_default())
        }
        _ => format!("{word}{}", who.unwrap_or_default()),
    }
}

fn procedure(out: &mut String, evidence: &Evidence) {
    let places = places(evidence);
    if places.is_empty() {
        return;
    }
    out.push_str("## By the procedure\n\n| Place | Steps |\n|---|---|\n");
    for (source, steps) in places {
        let steps: Vec<String> = steps
            .iter()
            .map(|step| format!("{}: {}", escape(step.id.as_str()), outcome(step)))
            .collect();
        row(out, &[&escape(source), &steps.join("; ")]);
    }
    out.push('\n');
}

fn errors(out: &mut String, evidence: &Evidence) {
    let failed = evidence.steps.iter().flat_map(|step| {
        step.attempts
            .iter()
            .filter_map(move |attempt| attempt.error.as_ref().map(|error| (step, attempt, error)))
    });
    let mut empty = true;
    for (step, attempt, error) in failed {
        if empty {
            out.push_str("## Errors\n\n| Step | Attempt | Outcome | Class | Code | Message |\n");
            out.push_str("|---|--:|---|---|---|---|\n");
            empty = false;
        }
        let mut message = escape(&error.message);
        for cause in &error.causes {
            message.push_str("; ");
            message.push_str(&escape(cause));
        }
        let purpose = match attempt.purpose {
            Purpose::Apply => String::new(),
            other => format!("{} ", other.as_str()),
        };
        row(
            out,
            &[
                &escape(step.id.as_str()),
                &format!("{purpose}{}", attempt.number),
                outcome_word(attempt.outcome),
                error.class.as_str(),
                &escape(&error.code),
                &message,
            ],
        );
    }
    if !empty {
        out.push('\n');
    }
}

fn outcome_word(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::TimedOut) => "timed out",
        Some(Outcome::Cancelled) => "cancelled",
        Some(Outcome::Unknown) => "unknown",
        None => "nothing came back",
    }
}

/// Longest captured value that the report shows whole; the evidence has all of it.
const SHOWN: usize = 200;

fn outputs(out: &mut String, evidence: &Evidence) {
    let captured: Vec<_> = evidence
        .steps
        .iter()
        .flat_map(|step| step.outputs.iter().map(move |(name, value)| (step, name, value)))
        .filter(|(_, name, value)| !super::changes::is_shown(name, value))
        .collect();
    if captured.is_empty() {
        return;
    }
    out.push_str("## Captured values\n\n| Step | Name | Value |\n|---|---|---|\n");
    for (step, name, value) in captured {
        let text = value_text(value);
        let cut: String = text.chars().take(SHOWN).collect();
        let more = if cut.len() < text.len() { "…" } else { "" };
        let value = format!("{}{more}", escape(&cut));
        row(out, &[&escape(step.id.as_str()), &escape(name), &value]);
    }
    out.push('\n');
}

fn preflight(out: &mut String, evidence: &Evidence) {
    if evidence.preflight.is_empty() {
        return;
    }
    out.push_str("## Found before the start\n\n| Step | Found | |\n|---|---|---|\n");
    for found in &evidence.preflight {
        let lines: Vec<String> = found.lines.iter().map(|line| escape(line)).collect();
        row(
            out,
            &[
                &escape(found.step.as_str()),
                &escape(&found.status.replace('_', " ")),
                &lines.join("; "),
            ],
        );
    }
    out.push('\n');
}

fn basis(out: &mut String, evidence: &Evidence) {
    out.push_str("## Sessions\n\n| | Started | Ended | By | At a terminal | Ended with | Why |\n");
    out.push_str("|--:|---|---|---|---|---|---|\n");
    for session in &evidence.sessions {
        let ended = session.ended_at.map_or_else(|| "not in order".to_owned(), moment);
        let verdict = match (session.verdict, session.ended_at) {
            (Some(verdict), _) => verdict.as_str().replace('_', " "),
            (None, Some(_)) => "paused".to_owned(),
            (None, None) => String::new(),
        };
        row(
            out,
            &[
                &session.number.to_string(),
                &moment(session.started_at),
                &ended,
                &format!("{} on {}", escape(&session.by.user), escape(&session.by.host)),
                if session.attended { "yes" } else { "no" },
                &verdict,
                &session.reason.as_deref().map(escape).unwrap_or_default(),
            ],
        );
    }
    let journal = &evidence.journal;
    let closed = if journal.closed { "closed" } else { "not closed" };
    let plugins: Vec<String> = evidence
        .run
        .plugins
        .iter()
        .map(|(name, version)| format!("{} {}", escape(name), escape(version)))
        .collect();
    let _ = writeln!(
        out,
        "\n## Basis\n\nComputed from the plan and {} journal records, the last of which has the \
         sum {}; the journal is {closed}. dr {}; plugins: {}.\n",
        journal.count,
        escape(&journal.head),
        escape(&evidence.run.dr_version),
        if plugins.is_empty() { "none".to_owned() } else { plugins.join(", ") },
    );
    out.push_str(
        "`verified` means that a check read the result; `asserted`, that the tool which did it, \
         or a person, says so. This report cannot show that what a person confirmed was true, or \
         that the machine which wrote the journal was honest.\n",
    );
}

pub(super) fn row(out: &mut String, cells: &[&str]) {
    out.push('|');
    for cell in cells {
        out.push(' ');
        out.push_str(cell);
        out.push_str(if cell.is_empty() { "|" } else { " |" });
    }
    out.push('\n');
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

fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.f UTC").to_string()
}
