//! `dr diff`: what a change to a runbook does to the plan.

use std::path::{Path, PathBuf};

use super::args::{Diff, DiffFormat, Selection};
use super::exit::Exit;
use super::out::Out;
use super::plan::{Effort, plan_of};
use crate::app::library::Commit;
use crate::app::source::Examined;
use crate::app::{git, sealed};
use crate::plan::Plan;
use crate::planner::diff;

pub(super) fn run(args: &Diff, out: &Out) -> Exit {
    match compare(args, out) {
        Ok(text) => {
            out.result(&text);
            Exit::Done
        }
        Err(exit) => exit,
    }
}

fn compare(args: &Diff, out: &Out) -> Result<String, Exit> {
    let old = side(&args.old, out)?;
    let new = side(&args.new, out)?;
    if matches!((&old, &new), (Side::Nothing, Side::Nothing)) {
        let message = format!("neither {} nor {} is there", args.old, args.new);
        return Err(out.refuse(&message, "check the paths", Exit::Usage));
    }
    let selections = (selection(args, &old, &new), selection(args, &new, &old));
    // Both forecasts share their luck, so that what differs is what the change does.
    let sealed = match (&old, &new) {
        (Side::Runbook(_), Side::Plan(plan)) => Some(plan.digest.clone()),
        _ => None,
    };
    let old = planned(old, &args.old, &selections.0, Effort::like(sealed), out)?;
    let like = old.as_ref().map(|plan| plan.digest.clone());
    let new = planned(new, &args.new, &selections.1, Effort::like(like), out)?;
    let found = diff::diff(old.as_ref(), new.as_ref());
    Ok(match args.format {
        DiffFormat::Text => diff::text(&found, out.screen().colour),
        DiffFormat::Markdown => diff::markdown(&found),
        DiffFormat::Json => serde_json::to_string_pretty(&found).unwrap_or_default(),
    })
}

/// One of the two sides.
enum Side {
    /// The commit has no such file: the runbook is new, or gone.
    Nothing,
    Runbook(Box<Examined>),
    Plan(Box<Plan>),
}

fn side(named: &str, out: &Out) -> Result<Side, Exit> {
    let path = Path::new(named);
    let text = match named.split_once(':').filter(|_| !path.exists()) {
        None => None,
        Some((revision, path)) => {
            let read = git::read(Path::new("."), revision, path);
            let Some(bytes) = read.map_err(|error| out.fail(&error, Exit::Invalid))? else {
                return Ok(Side::Nothing);
            };
            let text = String::from_utf8(bytes).map_err(|_| {
                out.refuse(&format!("{named} is not a text in UTF-8"), "", Exit::Invalid)
            })?;
            Some(text)
        }
    };
    let file = PathBuf::from(named);
    let plan = match &text {
        Some(text) => sealed::recognize_text(&file, text),
        None => sealed::recognize(&file),
    };
    if let Some(plan) = plan.map_err(|error| out.fail(&error, Exit::Invalid))? {
        return Ok(Side::Plan(Box::new(plan)));
    }
    let examined = match text {
        Some(text) => Examined::of(named.to_owned(), text, &Commit, named),
        None => Examined::read(&file),
    };
    let examined = examined.map_err(|error| out.fail(&error, Exit::NotReady))?;
    Ok(Side::Runbook(Box::new(examined)))
}

/// What is asked of one side: an input that only the other side knows is not given to it.
fn selection(args: &Diff, side: &Side, other: &Side) -> Selection {
    let knows = |side: &Side, name: &str| match side {
        Side::Runbook(examined) => examined
            .runbook
            .as_ref()
            .is_some_and(|(runbook, _)| runbook.document.inputs.contains_key(name)),
        _ => false,
    };
    let mut selection = args.selection.clone();
    selection.inputs.retain(|(name, _)| knows(side, name) || !knows(other, name));
    selection
}

fn planned(
    side: Side,
    named: &str,
    selection: &Selection,
    effort: Effort,
    out: &Out,
) -> Result<Option<Plan>, Exit> {
    match side {
        Side::Nothing => Ok(None),
        Side::Plan(plan) => Ok(Some(*plan)),
        Side::Runbook(examined) => {
            match plan_of(*examined, selection, &[], effort, None, out) {
                // Files that steps use are those of today, whatever the revision.
                Ok((plan, _)) => Ok(Some(plan)),
                Err(exit) => {
                    out.remark(&format!(
                        "{named} cannot be planned, so there is nothing to compare"
                    ));
                    Err(exit)
                }
            }
        }
    }
}
