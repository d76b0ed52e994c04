//! Whether the evidence of a run holds: sums, chain, close record, and that its documents are what
//! its plan and journal give.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::evidence::{evidence_of, lacking};
use super::past::read_plan;
use crate::bundle;
use crate::event::EventKind;
use crate::evidence::Evidence;
use crate::journal::{self, Replay, RunDir};
use crate::plan::{Plan, digest};

/// What was found about a run's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The run.
    pub run: String,
    /// Whether everything holds.
    pub verifies: bool,
    /// What was checked.
    pub checks: Vec<Checked>,
    /// Records of the journal, as far as they hold.
    pub records: u64,
    /// Sum of the last of them: to be compared with one that was kept elsewhere.
    pub head: String,
    /// What the evidence lacks and `dr report` makes, because the session that should have written
    /// it could not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<&'static str>,
    /// Files that are no evidence: nothing is known of them.
    pub unlisted: Vec<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was checked.
    pub what: &'static str,
    /// What is wrong; nothing if it holds.
    pub problems: Vec<String>,
}

/// Checks the evidence in the folder of a run, or in a copy of it. Only reads.
#[must_use]
pub fn verify(dir: &RunDir) -> Verification {
    let path = dir.path();
    let replay = journal::read(&dir.journal(), false);
    let plan = read_plan(dir);
    let (records, head) = match &replay {
        Ok(replay) => (replay.head.seq, replay.head.sum().to_owned()),
        Err(_) => (0, String::new()),
    };
    let mut checks = vec![
        Checked { what: "every file is the one that was summed", problems: sums(path) },
        Checked {
            what: "every record of the journal follows from the one before",
            problems: chain(&replay),
        },
    ];
    match (&replay, &plan) {
        (Ok(replay), Ok(plan)) => {
            checks.push(Checked { what: "the run is complete", problems: complete(replay) });
            checks.push(Checked {
                what: "the plan is the one that the run recorded",
                problems: planned(plan, replay),
            });
            checks.push(Checked {
                what: "the documents are what plan and journal give",
                problems: documents(path, plan, replay),
            });
        }
        (_, Err(error)) => {
            checks
                .push(Checked { what: "the plan can be read", problems: vec![error.to_string()] });
        }
        (Err(_), Ok(_)) => {}
    }
    let lacks = match (&replay, &plan) {
        (Ok(replay), Ok(plan)) if !dir.is_live() => lacking(dir, plan, replay),
        _ => Vec::new(),
    };
    Verification {
        run: dir.id().to_string(),
        verifies: checks.iter().all(|check| check.problems.is_empty()),
        checks,
        records,
        head,
        lacks,
        unlisted: bundle::unlisted(path).unwrap_or_default(),
    }
}

fn sums(path: &Path) -> Vec<String> {
    match bundle::compare(path) {
        Ok(problems) => problems,
        Err(error) => vec![error.to_string()],
    }
}

fn chain(replay: &Result<Replay, journal::JournalError>) -> Vec<String> {
    match replay {
        Err(error) => vec![error.to_string()],
        Ok(replay) => replay.torn.iter().map(ToString::to_string).collect(),
    }
}

fn complete(replay: &Replay) -> Vec<String> {
    match replay.records.last().map(|record| &record.event.kind) {
        Some(EventKind::RunFinished(finished)) if finished.count == replay.head.seq => Vec::new(),
        Some(EventKind::RunFinished(finished)) => vec![format!(
            "its close record counts {} records, there are {}",
            finished.count, replay.head.seq
        )],
        _ => vec!["its journal has no close record: it goes on, waits, or was killed".to_owned()],
    }
}

/// Whether the plan is that of the run.
pub(super) fn planned(plan: &Plan, replay: &Replay) -> Vec<String> {
    let mut problems = Vec::new();
    let is = digest(plan);
    if is != plan.digest {
        problems.push(format!("plan.json says {}, its content gives {is}", plan.digest));
    }
    if let Some(EventKind::RunStarted(started)) =
        replay.records.first().map(|record| &record.event.kind)
        && started.plan_digest != plan.digest
    {
        problems.push(format!(
            "the run recorded {}, plan.json says {}",
            started.plan_digest, plan.digest
        ));
    }
    problems
}

/// Another version of `dr` may word its documents otherwise: of one, only the figures count.
fn documents(path: &Path, plan: &Arc<Plan>, replay: &Replay) -> Vec<String> {
    let Some(ours) = evidence_of(plan, replay) else {
        return vec!["the journal is empty".to_owned()];
    };
    let theirs = match std::fs::read(path.join("evidence.json")) {
        Ok(bytes) => bytes,
        Err(error) => return vec![format!("evidence.json: {error}")],
    };
    let mut problems = Vec::new();
    if ours.run.dr_version == env!("CARGO_PKG_VERSION") {
        for (name, bytes) in bundle::documents(&ours) {
            if std::fs::read(path.join(name)).ok().as_deref() != Some(bytes.as_slice()) {
                problems.push(format!("{name} is not what they give"));
            }
        }
        return problems;
    }
    match serde_json::from_slice::<Evidence>(&theirs) {
        Ok(theirs) => {
            if (&theirs.result, &theirs.journal) != (&ours.result, &ours.journal)
                || theirs
                    .services
                    .iter()
                    .zip(&ours.services)
                    .any(|(one, other)| (&one.rto, &one.rpo) != (&other.rto, &other.rpo))
            {
                problems.push("the figures of evidence.json are not what they give".to_owned());
            }
        }
        Err(error) => problems.push(format!("evidence.json cannot be read: {error}")),
    }
    problems
}
