//! What the targets say before anything is done: `dr plan --observe`, and the preflight of
//! `dr execute` and `dr resume`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::exit::Exit;
use super::out::Out;
use crate::app::start::Tools;
use crate::engine::Preflight;
use crate::event::Finding;
use crate::id::StepId;
use crate::plan::Plan;
use crate::plugin::called;
use crate::report;

/// Asks the targets of a plan, `given` the files that hold its secret inputs. A plugin that cannot be used is shown.
pub(super) fn ask(
    plan: &Plan,
    given: &BTreeMap<String, String>,
    out: &Out,
) -> Result<Preflight, Exit> {
    let tools = Tools::new(plan, given).map_err(|error| out.fail(&error, Exit::NotReady))?;
    let found = tools.preflight(plan, |_| true);
    tools.runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(found)
}

/// The findings as data, beside the plan.
pub(super) fn as_json(found: &Preflight) -> Value {
    let slow = &found.slow;
    let missing: Vec<_> = found.missing.iter().map(|secret| &secret.name).collect();
    json!({
        "ready": found.is_ready(),
        "steps": found.looked,
        "unseen": found.unseen,
        "missing_secrets": missing,
        "slow_secrets": slow,
    })
}

/// Before a run: shows what was found; refuses if the run cannot start.
pub(super) fn look_ahead(
    tools: &Tools,
    plan: &Plan,
    is_open: impl Fn(&StepId) -> bool,
    out: &Out,
) -> Result<Preflight, Exit> {
    let found = tools.preflight(plan, is_open);
    let matters = |status: &str| !matches!(status, "ok" | "would_change" | "already_so");
    if found.looked.iter().any(|finding| matters(&finding.status)) {
        out.remark(&report::preflight(&found.looked, &found.unseen, &out.error_screen()));
    }
    remark_slow(&found, out);
    if found.is_ready() {
        return Ok(found);
    }
    let exit = refuse(&found, out);
    out.remark("not started: nothing was done");
    Err(exit)
}

/// Says which secrets are not known to be there.
pub(super) fn remark_slow(found: &Preflight, out: &Out) {
    for name in &found.slow {
        out.remark(&format!(
            "note: {} was not had within the time of the preflight; what needs it asks its sources again",
            called(name)
        ));
    }
}

/// Says why a run could not start.
pub(super) fn refuse(found: &Preflight, out: &Out) -> Exit {
    for missing in &found.missing {
        out.fail(missing, Exit::NotReady);
    }
    let denied: Vec<&str> = found.denied.iter().map(StepId::as_str).collect();
    if !denied.is_empty() {
        // Who knows why says so beside the step; a key that is not the known one is no permission.
        let is_advised = |finding: &&Finding| {
            found.denied.contains(&finding.step)
                && finding.lines.iter().any(|line| line.starts_with("help: "))
        };
        let help = if found.looked.iter().filter(is_advised).count() == denied.len() {
            "do what the help beside each of them says, or start with `--skip-preflight`"
        } else {
            "see above why: mend the login, the known key or the permissions, or start with \
             `--skip-preflight`"
        };
        out.refuse(
            &format!("the targets of {} refuse us", denied.join(", ")),
            help,
            Exit::NotReady,
        );
    }
    Exit::NotReady
}
