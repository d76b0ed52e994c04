use std::fmt::Write as _;

use super::model::{Evidence, ServiceEvidence, StepEvidence};
use crate::event::StepState;
use crate::markup::escape_html as text;
use crate::time::{Millis, ToSecond};

/// What a case came to.
enum Came {
    Passed,
    Failed(String),
    Skipped(String),
}

struct Case {
    name: String,
    class: String,
    ms: u64,
    came: Came,
}

/// The run as `JUnit` XML, for dashboards of tests: every objective is a case, and every step.
/// What was not tested is skipped, never passed.
#[must_use]
pub fn junit(evidence: &Evidence) -> String {
    let run = &evidence.run;
    let objectives: Vec<Case> = evidence.services.iter().flat_map(objectives).collect();
    let steps: Vec<Case> = evidence.steps.iter().map(step).collect();
    let suites = [("objectives", objectives), ("steps", steps)];
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"{} in {}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{}\">",
        text(&run.runbook),
        text(&run.environment),
        all().count(),
        all().filter(|case| matches!(case.came, Came::Failed(_))).count(),
        all().filter(|case| matches!(case.came, Came::Skipped(_))).count(),
        seconds(evidence.clocks.elapsed_ms),
    );
    for (name, cases) in &suites {
        suite(&mut out, evidence, name, cases);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, evidence: &Evidence, name: &str, cases: &[Case]) {
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" id=\"{}\" timestamp=\"{}\" tests=\"{}\" failures=\"{}\" \
         errors=\"0\" skipped=\"{}\" time=\"{}\">\n    <properties>",
        text(evidence.run.id.as_str()),
        ToSecond(evidence.clocks.started_at),
        cases.len(),
        cases.iter().filter(|case| matches!(case.came, Came::Failed(_))).count(),
        cases.iter().filter(|case| matches!(case.came, Came::Skipped(_))).count(),
        seconds(evidence.clocks.elapsed_ms),
    );
    for (key, value) in [
        ("result", evidence.result.as_str()),
        ("mode", evidence.run.mode.as_str()),
        ("plan", evidence.run.plan_digest.as_str()),
        ("journal_head", evidence.journal.head.as_str()),
    ] {
        let value = text(value);
        let _ = writeln!(out, "      <property name=\"{key}\" value=\"{value}\"/>");
    }
    out.push_str("    </properties>\n");
    for case in cases {
        let _ = write!(
            out,
            "    <testcase name=\"{}\" classname=\"{}\" time=\"{}\"",
            text(&case.name),
            text(&case.class),
            seconds(case.ms)
        );
        let _ = match &case.came {
            Came::Passed => writeln!(out, "/>"),
            Came::Failed(why) => {
                let why = text(why);
                writeln!(
                    out,
                    ">\n      <failure message=\"{why}\">{why}</failure>\n    </testcase>"
                )
            }
            Came::Skipped(why) => {
                let why = text(why);
                writeln!(out, ">\n      <skipped message=\"{why}\"/>\n    </testcase>")
            }
        };
    }
    out.push_str("  </testsuite>\n");
}

fn objectives(service: &ServiceEvidence) -> Vec<Case> {
    let class = format!("service.{}", service.name);
    let short = |ms: u64| Millis(ms).short();
    let why = service.reason.clone();
    let case = |name: &str,
                (objective, ms): (Option<u64>, u64),
                met: Option<bool>,
                figures: String| Case {
        name: name.to_owned(),
        class: class.clone(),
        ms,
        came: match met {
            Some(true) => Came::Passed,
            Some(false) => Came::Failed(figures),
            None if objective.is_some() => Came::Skipped(figures),
            None => Came::Skipped("no objective".to_owned()),
        },
    };
    let rto = &service.rto;
    let time = match (rto.objective_ms, rto.achieved_ms) {
        (Some(objective), Some(achieved)) => {
            format!("recovered after {}, objective {}", short(achieved), short(objective))
        }
        _ => why.clone().unwrap_or_else(|| "not recovered".to_owned()),
    };
    let rpo = &service.rpo;
    let loss = match (rpo.objective_ms, rpo.achieved_ms) {
        (Some(objective), Some(achieved)) => {
            let lost = short(achieved.max(0).unsigned_abs());
            format!("lost {lost} of data, objective {}", short(objective))
        }
        _ => why.unwrap_or_else(|| "the loss was not measured".to_owned()),
    };
    vec![
        case(
            "recovery time objective",
            (rto.objective_ms, rto.achieved_ms.unwrap_or(0)),
            rto.met,
            time,
        ),
        case("recovery point objective", (rpo.objective_ms, 0), rpo.met, loss),
    ]
}

fn step(step: &StepEvidence) -> Case {
    let word = step.state.as_str().replace('_', " ");
    let error = step.error.as_ref().map(|error| format!("{word}: {}", error.message));
    let why = error.or_else(|| step.why.clone().map(|why| format!("{word}: {why}")));
    let why = why.unwrap_or_else(|| word.clone());
    Case {
        name: step.id.to_string(),
        class: step.service.as_ref().map_or_else(|| "run".into(), |it| format!("service.{it}")),
        ms: step.took_ms.unwrap_or(0),
        came: match step.state {
            StepState::Succeeded | StepState::Warned => Came::Passed,
            StepState::Failed
            | StepState::TimedOut
            | StepState::Unknown
            | StepState::Undone
            | StepState::UndoFailed => Came::Failed(why),
            _ => Came::Skipped(why),
        },
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
