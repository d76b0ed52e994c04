//! `dr plan`: what would be done, and when.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::{Plan as PlanArgs, PlanFormat, Selection};
use super::check::show;
use super::exit::Exit;
use super::out::Out;
use crate::app::archive;
use crate::app::source::Examined;
use crate::app::state::StateDir;
use crate::id::StepId;
use crate::plan::Plan;
use crate::planner::render::{self, Look};
use crate::planner::{self, Estimates, InputValue, PlanRequest, Skip};
use crate::runbook::Level;

pub(super) fn run(args: &PlanArgs, state_dir: Option<&Path>, out: &Out) -> Exit {
    let state = StateDir::resolve(state_dir, &args.runbook);
    let past = match args.history.as_deref() {
        None => Some(state.path().to_owned()),
        Some("none") => None,
        Some(folder) => Some(folder.into()),
    };
    let (plan, _) = match make(&args.runbook, &args.selection, &[], past.as_deref(), out) {
        Ok(made) => made,
        Err(exit) => return exit,
    };
    match args.format {
        PlanFormat::Json => out.result(&serde_json::to_string_pretty(&plan).unwrap_or_default()),
        PlanFormat::Text => {
            let screen = out.screen();
            let look = Look { columns: screen.width.clamp(60, 160), colour: screen.colour };
            out.result(&render::text(&plan, look));
        }
    }
    let missed: Vec<&str> = plan
        .services
        .iter()
        .filter(|service| service.meets_rto == Some(false))
        .map(|service| service.name.as_str())
        .collect();
    if args.require_rto && !missed.is_empty() {
        let message = format!("the plan misses the RTO of {}", missed.join(", "));
        return out.refuse(&message, "the critical path above is what to shorten", Exit::NotReady);
    }
    Exit::Done
}

/// Reads, checks and plans a runbook. What is wrong is shown.
pub(super) fn make(
    runbook: &Path,
    selection: &Selection,
    skips: &[(String, Option<String>)],
    past: Option<&Path>,
    out: &Out,
) -> Result<(Plan, Examined), Exit> {
    let examined = Examined::read(runbook).map_err(|error| out.fail(&error, Exit::NotReady))?;
    let Some((read, catalog)) = examined.runbook.as_ref().filter(|_| examined.errors() == 0) else {
        show(&errors_only(examined), out);
        return Err(Exit::Invalid);
    };
    let request = PlanRequest {
        environment: selection.env.clone(),
        inputs: inputs(&selection.inputs),
        phases: selection.phases.clone(),
        mode: selection.mode,
        style: selection.style,
        skips: skips
            .iter()
            .map(|(step, reason)| Skip {
                step: StepId::from(step.as_str()),
                reason: reason.clone(),
            })
            .collect(),
        parallelism: selection.parallelism,
        effort: None,
    };
    let estimates = Estimates {
        history: past.map_or_else(BTreeMap::new, |folder| {
            let environment = archive::environment(&read.document, selection.env.as_deref());
            archive::typical(folder, &read.document.runbook.value, environment, selection.mode)
        }),
    };
    match planner::plan(read, catalog, &request, &estimates) {
        Ok(plan) => Ok((plan, examined)),
        Err(problems) => {
            show(&examined.with_problems(&problems), out);
            Err(Exit::Invalid)
        }
    }
}

/// Warnings belong to quiet days: in the way of an incident only errors count.
fn errors_only(mut examined: Examined) -> Examined {
    examined.findings.retain(|finding| finding.level == Level::Error);
    examined
}

fn inputs(given: &[(String, String)]) -> BTreeMap<String, InputValue> {
    given.iter().map(|(name, value)| (name.clone(), InputValue::Text(value.clone()))).collect()
}
