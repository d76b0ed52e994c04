use std::collections::BTreeMap;

use super::facts;
use super::paint::{Ink, Page, count, fit, fit_right, list, width};
use crate::event::SkipReason;
use crate::plan::{Plan, Service, Step};
use crate::planner::codes;
use crate::time::Millis;
use crate::words::OnFailure;

/// Names in a list before the rest is only counted.
const NAMES: usize = 8;
/// Steps of a chain before its middle is only counted.
const CHAIN: usize = 14;

/// Whether the step only stands between others, to keep edges few.
pub(super) fn is_join(step: &Step) -> bool {
    step.uses.is_none() && step.validates.is_none() && step.id.as_str().contains('!')
}

pub(super) fn header(page: &mut Page, plan: &Plan) {
    let protected = if plan.protected { " (protected)" } else { "" };
    let about = format!("  {}{protected} · {} · {}", plan.environment, plan.mode, plan.style);
    let digest: String = plan.digest.hex().chars().take(12).collect();
    let used = width(&plan.runbook) + width(&about) + width(&digest);
    let gap = " ".repeat(page.columns().saturating_sub(used).max(2));
    page.line(&[
        (Ink::Title, &plan.runbook),
        (Ink::Plain, &about),
        (Ink::Plain, &gap),
        (Ink::Dim, &digest),
    ]);
    if let Some(description) = &plan.description {
        page.paragraph(Ink::Dim, "", description);
    }
    if let Some(seal) = facts::seal(plan) {
        page.paragraph(Ink::Dim, "", &seal);
    }
    if !plan.phases.is_empty() {
        let phases: Vec<&str> = plan.phases.iter().map(|phase| phase.as_str()).collect();
        page.paragraph(Ink::Dim, "phases: ", &phases.join(", "));
    }
}

pub(super) fn services(page: &mut Page, plan: &Plan) {
    if plan.services.is_empty() {
        return;
    }
    page.title("SERVICES", "");
    let longest = plan.services.iter().map(|service| width(service.name.as_str())).max();
    let verdicts = plan.services.iter().map(|service| width(&verdict(service).2)).max();
    let columns = page.names(longest.unwrap_or(0), 8, 38 + verdicts.unwrap_or(0));
    let heads = format!("    {}  priority  recovered        RTO", fit("", columns));
    page.line(&[(Ink::Dim, &heads)]);
    for service in &plan.services {
        let (mark, ink, verdict) = verdict(service);
        let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| Millis(ms).short());
        let row = format!(
            "{}  {}  {}  {}  ",
            fit(service.name.as_str(), columns),
            fit(service.priority.as_str(), 8),
            fit_right(&time(service.predicted_ms), 9),
            fit_right(&time(service.rto_ms), 9),
        );
        page.verdict(&[(ink, &format!("  {mark} ")), (Ink::Plain, &row)], ink, &verdict);
    }
    for notice in plan.notices.iter().filter(|notice| notice.code == codes::IMPOSSIBLE) {
        page.paragraph(Ink::Bad, "  ✗ ", &notice.message);
    }
}

pub(super) fn verdict(service: &Service) -> (char, Ink, String) {
    let Some(predicted) = service.predicted_ms else {
        return ('-', Ink::Dim, "not recovered by this plan".to_owned());
    };
    let Some(rto) = service.rto_ms else {
        return ('·', Ink::Plain, "no objective".to_owned());
    };
    if predicted <= rto {
        return ('✓', Ink::Good, format!("met, {} to spare", Millis(rto - predicted).short()));
    }
    let by = Millis(predicted - rto).short();
    if service.lower_bound_ms.is_some_and(|least| least > rto) {
        return ('✗', Ink::Bad, format!("impossible, {by} late"));
    }
    ('✗', Ink::Bad, format!("missed by {by}"))
}

pub(super) fn critical_path(page: &mut Page, plan: &Plan) {
    if plan.critical_path.is_empty() {
        return;
    }
    let length: u64 = plan.steps.iter().filter(|step| step.critical).map(Step::expected_ms).sum();
    page.title("CRITICAL PATH", &Millis(length).short());
    let all: Vec<&str> = plan.critical_path.iter().map(crate::id::StepId::as_str).collect();
    let chain = if all.len() <= CHAIN {
        all.join(" → ")
    } else {
        let (first, last) = (&all[..CHAIN / 2], &all[all.len() - CHAIN / 2..]);
        let between = format!("({} more)", all.len() - CHAIN);
        format!("{} → {between} → {}", first.join(" → "), last.join(" → "))
    };
    page.paragraph(Ink::Plain, "  ", &chain);
}

/// Steps that the plan passes over, with the reason.
pub(super) fn passed_over(page: &mut Page, plan: &Plan) {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for step in &plan.steps {
        let reason = match step.skip {
            None => continue,
            Some(SkipReason::When) => "its `when` is false".to_owned(),
            Some(SkipReason::Person) => "skipped on request".to_owned(),
            Some(SkipReason::Rejected) => "rejected".to_owned(),
            Some(SkipReason::NotOpened) => "nothing to close".to_owned(),
            Some(SkipReason::NotDone) => "nothing to take back".to_owned(),
            Some(SkipReason::Phase) => match step.phase {
                Some(phase) => format!("phase {phase}"),
                None => "not needed".to_owned(),
            },
        };
        reasons.entry(reason).or_default().push(step.id.as_str());
    }
    if reasons.is_empty() {
        return;
    }
    let all: usize = reasons.values().map(Vec::len).sum();
    page.title("NOT TAKEN", &count(all, "step"));
    for (reason, steps) in reasons {
        page.paragraph(Ink::Plain, &format!("  {reason}: "), &list(&steps, NAMES));
    }
}

/// Other runs that cannot run at the same time.
pub(super) fn locks(page: &mut Page, plan: &Plan) {
    if !plan.locks.is_empty() {
        page.title("LOCKS", "held while the run lasts");
        let names: Vec<&str> = plan.locks.iter().map(String::as_str).collect();
        page.paragraph(
            Ink::Plain,
            "  no other run at the same time that names ",
            &names.join(", "),
        );
    }
}

/// What happens at the end however the run goes, and what taking it back would do.
pub(super) fn ends(page: &mut Page, plan: &Plan) {
    let taken = || plan.every_step().filter(|step| step.skip.is_none());
    let closings: Vec<String> = taken()
        .filter_map(|step| Some(format!("{} (closes {})", step.id, step.closes.as_ref()?)))
        .collect();
    let undos: Vec<String> = taken()
        .filter_map(|step| {
            let undo = step.undo.as_ref()?;
            Some(format!("{} ({})", step.id, undo.undo_method()))
        })
        .collect();
    if closings.is_empty() && undos.is_empty() {
        return;
    }
    page.title("AT THE END", "");
    if !closings.is_empty() {
        let closings: Vec<&str> = closings.iter().map(String::as_str).collect();
        page.paragraph(Ink::Plain, "  however the run goes: ", &list(&closings, NAMES));
    }
    if undos.is_empty() {
        return;
    }
    let named: Vec<&str> = undos.iter().map(String::as_str).collect();
    page.paragraph(Ink::Plain, "  can be taken back: ", &list(&named, NAMES));
    let stays: Vec<&str> = taken()
        .filter(|step| {
            step.undo.is_none()
                && step.closes.is_none()
                && step.uses.is_some()
                && step.effect != dr_plugin::Effect::Pure
        })
        .map(|step| step.id.as_str())
        .collect();
    if !stays.is_empty() {
        page.paragraph(Ink::Plain, "  stays as it is: ", &list(&stays, NAMES));
    }
    let mut when: Vec<String> = taken()
        .filter(|step| {
            step.on_failure == OnFailure::Undo && step.closes.is_none() && step.opens.is_none()
        })
        .map(|step| format!("{} fails", step.id))
        .collect();
    if plan.undo_on_cancel {
        when.push("the run is cancelled".to_owned());
    }
    when.push("somebody says `dr cancel --undo`".to_owned());
    let when: Vec<&str> = when.iter().map(String::as_str).collect();
    page.paragraph(Ink::Plain, "  taken back when: ", &list(&when, NAMES));
}

/// What the plan cannot know.
pub(super) fn during_the_run(page: &mut Page, plan: &Plan) {
    let ids = |wanted: &dyn Fn(&Step) -> bool| -> Vec<&str> {
        let taken = plan.steps.iter().filter(|step| step.skip.is_none());
        taken.filter(|step| wanted(step)).map(|step| step.id.as_str()).collect()
    };
    let decided = ids(&|step| step.when.is_some());
    let gates = ids(&|step| step.approve.is_some());
    if decided.is_empty() && gates.is_empty() {
        return;
    }
    page.title("DURING THE RUN", "");
    if !decided.is_empty() {
        page.paragraph(Ink::Plain, "  may be passed over: ", &list(&decided, NAMES));
    }
    if !gates.is_empty() {
        page.paragraph(
            Ink::Plain,
            "  ask people, whose time is not counted: ",
            &list(&gates, NAMES),
        );
    }
}

pub(super) fn notices(page: &mut Page, plan: &Plan) {
    let rest: Vec<_> =
        plan.notices.iter().filter(|notice| notice.code != codes::IMPOSSIBLE).collect();
    if rest.is_empty() {
        return;
    }
    page.title("NOTICES", "");
    for notice in rest {
        page.paragraph(Ink::Warn, &format!("  {} ", notice.code), &notice.message);
    }
}
