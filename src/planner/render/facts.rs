//! What a reviewer of a plan should see, as lines of text: the same in every form.

use dr_plugin::Effect;

use super::forecast::percent;
use super::paint::{count, list};
use super::pools;
use crate::event::SkipReason;
use crate::id::StepId;
use crate::plan::{Bound, EstimateSource, Plan, Step, by_source};
use crate::planner::codes;
use crate::time::Millis;

/// Names in a list before the rest is only counted.
const NAMES: usize = 20;

/// Services whose objective is missed.
pub(super) fn misses(plan: &Plan) -> usize {
    plan.services.iter().filter(|service| service.meets_rto == Some(false)).count()
}

/// One sentence: how long, and whether in time.
pub(super) fn headline(plan: &Plan) -> String {
    let all = Millis(plan.makespan_ms).short();
    let bound = plan.services.iter().filter(|service| service.meets_rto.is_some()).count();
    let objectives = match (bound, misses(plan)) {
        (0, _) => "no service has an objective".to_owned(),
        (1, 0) => "the recovery time objective is met".to_owned(),
        (bound, 0) => format!("all {bound} recovery time objectives are met"),
        (bound, missed) => {
            format!("{missed} of {} missed", count(bound, "recovery time objective"))
        }
    };
    format!("Everything is done after {all}; {objectives}.")
}

/// What must change for a plan that misses an objective, in one sentence: what proves that nothing
/// else helps, or what the plan waits for.
#[must_use]
pub fn what_binds(plan: &Plan) -> String {
    let chain = |steps: &[StepId]| {
        let names: Vec<&str> = steps.iter().map(StepId::as_str).collect();
        if names.len() <= NAMES {
            names.join(" → ")
        } else {
            let ends =
                (names[..NAMES / 2].join(" → "), names[names.len() - NAMES / 2..].join(" → "));
            format!("{} → ({} more) → {}", ends.0, names.len() - NAMES / 2 * 2, ends.1)
        }
    };
    let late = plan.services.iter().find(|service| service.meets_rto == Some(false));
    let impossible = late.filter(|service| service.lower_bound_ms > service.rto_ms);
    match impossible.and_then(|service| service.bound.as_ref()) {
        Some(Bound::Chain { steps }) => {
            return format!("what follows each other is what to shorten: {}", chain(steps));
        }
        Some(Bound::Pool { pool, capacity, .. }) => {
            return format!(
                "pool `{pool}` ({capacity} at once) is what binds: give it more units, or shorten \
                 what has to pass through it"
            );
        }
        None => {}
    }
    let path = format!("the critical path is what to shorten: {}", chain(&plan.critical_path));
    match pools::lines(plan).first() {
        Some(pool) => format!("{path}; or a pool that steps wait for: {pool}"),
        None => path,
    }
}

/// Where the duration of a step is known from, unless it is declared.
pub(super) fn source(step: &Step) -> Option<&'static str> {
    match step.estimate_source {
        EstimateSource::Typical => Some("a guess"),
        EstimateSource::History => Some("from past runs"),
        EstimateSource::Declared | EstimateSource::None => None,
    }
}

/// What runs will take that vary about what the plan expects, in one sentence.
pub(super) fn forecast(plan: &Plan) -> Option<String> {
    let forecast = plan.forecast.as_ref()?;
    let basis = match forecast.past_runs {
        0 => "with a spread that is assumed".to_owned(),
        runs => format!("with the spread of {}", count(runs as usize, "past run")),
    };
    let [all, p50, p90] = [plan.makespan_ms, forecast.p50_ms, forecast.p90_ms].map(Millis);
    Some(format!(
        "{} about the same estimates, {basis}: half of them end within {}, nine of ten within {}, \
         and {} within the {} of the timeline.",
        count(forecast.samples as usize, "simulated run"),
        p50.short(),
        p90.short(),
        percent(forecast.makespan_chance),
        all.short(),
    ))
}

/// Under which seal.
pub(super) fn seal(plan: &Plan) -> Option<String> {
    let seal = plan.seal.as_ref()?;
    let expires = seal
        .expires
        .map(|at| format!(", expires {}", at.strftime("%Y-%m-%d %H:%M UTC")))
        .unwrap_or_default();
    let at = seal.created_at.strftime("%Y-%m-%d %H:%M UTC");
    let runs = match plan.history.len() {
        0 => String::new(),
        runs => format!(", durations from {}", count(runs, "past run")),
    };
    Some(format!("sealed {} by {}, {at}{expires}{runs}", seal.id, seal.by))
}

/// What repeating a step would do, in a word; nothing for one without an action.
pub(super) fn effect(step: &Step) -> &'static str {
    if step.uses.is_none() {
        return "";
    }
    match step.effect {
        Effect::Pure => "only reads",
        Effect::Idempotent => "changes nothing more",
        Effect::Checkable => "is checked first",
        Effect::Once => "does it twice",
    }
}

/// Lists with their titles, empty ones left out.
pub(super) fn lists(plan: &Plan) -> Vec<(&'static str, Vec<String>)> {
    let taken: Vec<&Step> = plan.steps.iter().filter(|step| step.skip.is_none()).collect();
    let ids = |wanted: &dyn Fn(&Step) -> bool| -> Vec<String> {
        taken.iter().filter(|step| wanted(step)).map(|step| step.id.to_string()).collect()
    };
    let path: Vec<&str> = plan.critical_path.iter().map(crate::id::StepId::as_str).collect();
    let path = if path.is_empty() { Vec::new() } else { vec![chain(&path)] };
    let gates = taken.iter().filter_map(|step| {
        let gate = step.approve.as_ref()?;
        let who = count(gate.approvers as usize, "person").replace("persons", "people");
        let limit = gate.timeout_ms.map(|ms| format!(", for {}", Millis(ms).short()));
        let limit = limit.unwrap_or_default();
        let message = template_text(gate.message.as_value());
        Some(format!("{} asks {who}{limit}: {message}", step.id))
    });
    let laxer = taken.iter().filter_map(|step| {
        let action = step.action_effect.filter(|_| step.uses.is_some())?;
        Some(format!(
            "{}: {} (of itself, its action is {})",
            step.id,
            step.effect.as_str(),
            action.as_str()
        ))
    });
    let mut skipped: Vec<(String, Vec<&str>)> = Vec::new();
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
        match skipped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, steps)) => steps.push(step.id.as_str()),
            None => skipped.push((reason, vec![step.id.as_str()])),
        }
    }
    let skipped = skipped.iter().map(|(reason, steps)| format!("{reason}: {}", list(steps, NAMES)));
    let impossible = |code: &str| code == codes::IMPOSSIBLE;
    let all = [
        ("Critical path", path),
        ("By the procedure", procedure(&taken)),
        ("No way back after", ids(&|step| step.point_of_no_return)),
        ("Asks people, whose time is not counted", gates.collect()),
        ("Decided during the run", ids(&|step| step.when.is_some())),
        ("Repeated on the runbook's word", laxer.collect()),
        ("Pools that make steps wait", pools::lines(plan)),
        ("Not taken", skipped.collect()),
        (
            "Impossible",
            plan.notices
                .iter()
                .filter(|it| impossible(&it.code))
                .map(|it| it.message.clone())
                .collect(),
        ),
        (
            "Notices",
            plan.notices
                .iter()
                .filter(|it| !impossible(&it.code))
                .map(|it| format!("{} {}", it.code, it.message))
                .collect(),
        ),
    ];
    all.into_iter().filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty()).collect()
}

/// Which steps come from each place of the written procedure.
fn procedure(taken: &[&Step]) -> Vec<String> {
    let places = by_source(taken.iter().map(|step| (&step.source[..], step.id.as_str())));
    places.iter().map(|(source, steps)| format!("{source}: {}", list(steps, NAMES))).collect()
}

/// A chain of names whose middle is only counted.
fn chain(names: &[&str]) -> String {
    if names.len() <= NAMES {
        return names.join(" → ");
    }
    let (first, last) = (&names[..NAMES / 2], &names[names.len() - NAMES / 2..]);
    let more = names.len() - NAMES;
    format!("{} → ({more} more) → {}", first.join(" → "), last.join(" → "))
}

/// A text as it is written.
pub(in crate::planner) fn template_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(map) => match map.get("$template").and_then(|it| it.as_str()) {
            Some(text) => text.to_owned(),
            None => crate::markup::value_text(value),
        },
        other => crate::markup::value_text(other),
    }
}
