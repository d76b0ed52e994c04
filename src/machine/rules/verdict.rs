//! What a run achieved, and how it ended.

use crate::event::{Achieved, SkipReason, SpanAchieved, StepState, Verdict};
use crate::machine::graph::{Graph, Index, Role};
use crate::machine::groups::is_spoken_for;
use crate::machine::state::State;
use crate::machine::step::{Record, Stage};
use crate::time::{Millis, Timestamp};

/// What became of each service, in the order of the plan.
pub(in crate::machine) fn achieved(graph: &Graph, state: &State) -> Vec<Achieved> {
    (0..graph.services.len()).map(|service| of_service(graph, state, service)).collect()
}

/// What became of one service.
pub(in crate::machine) fn of_service(graph: &Graph, state: &State, service: usize) -> Achieved {
    let plan = &graph.plan.services[service];
    let taken: Vec<Index> = graph.services[service]
        .counted
        .iter()
        .copied()
        .filter(|&step| graph.step(step).skip != Some(SkipReason::Phase))
        .collect();
    let mut achieved = Achieved {
        name: plan.name.clone(),
        rto_ms: plan.rto_ms,
        rta_ms: None,
        met_rto: None,
        rpo_ms: plan.rpo_ms,
        rpa_ms: None,
        met_rpo: None,
        reason: None,
    };
    if taken.is_empty() {
        achieved.reason = Some("no step of this run recovers it".to_owned());
        return achieved;
    }
    let mut reasons = Vec::new();
    match spoiled(graph, state, service, &taken) {
        Some(reason) => reasons.push(reason),
        None => achieved.rta_ms = rta(state, &taken),
    }
    achieved.met_rto =
        plan.rto_ms.map(|objective| achieved.rta_ms.is_some_and(|rta| rta <= objective));

    let incident = state.started.as_ref().map(|started| started.incident_at);
    let point = recovery_point(state, &taken);
    achieved.rpa_ms = incident
        .zip(point)
        .map(|(incident, point)| incident.as_millisecond() - point.as_millisecond());
    if let Some(objective) = plan.rpo_ms {
        let measures = taken.iter().any(|&step| graph.step(step).recovery_point.is_some());
        match achieved.rpa_ms {
            Some(rpa) => achieved.met_rpo = Some(rpa <= objective as i64),
            None if measures => {
                achieved.met_rpo = Some(false);
                reasons.push("its recovery point is not known".to_owned());
            }
            None => reasons.push("no step says what its data is from".to_owned()),
        }
    }
    if !reasons.is_empty() {
        achieved.reason = Some(reasons.join("; "));
    }
    achieved
}

/// Why the service cannot be said to have recovered.
fn spoiled(graph: &Graph, state: &State, service: usize, taken: &[Index]) -> Option<String> {
    let mut validated = !graph.plan.services[service].validated;
    for &position in taken {
        if is_spoken_for(graph, state, position) {
            validated |= graph.step(position).validates.is_some();
            continue;
        }
        let (step, record) = (graph.step(position), state.record(position));
        let id = &step.id;
        match record.stage {
            Stage::Over(StepState::Succeeded | StepState::Warned) => {
                validated |= step.validates.is_some();
            }
            Stage::Over(StepState::Skipped)
                if record.failed || record.skip == Some(SkipReason::Person) =>
            {
                return Some(format!("`{id}` was skipped by a person"));
            }
            Stage::Over(StepState::Skipped) => {}
            _ => return Some(format!("`{id}` is {}", record.state().as_str())),
        }
    }
    (!validated).then(|| "its validation did not run".to_owned())
}

/// From the declaration to the end of the last step, in milliseconds: the run's own clock, which
/// never jumps, shifted by what passed before the run began.
fn rta(state: &State, taken: &[Index]) -> Option<u64> {
    let last = taken.iter().filter_map(|&step| state.record(step).over).map(|(_, ms)| ms).max()?;
    let (began, ms) = state.began?;
    let declared = state.started.as_ref()?.declared_at;
    let before = began.as_millisecond() - ms as i64 - declared.as_millisecond();
    Some((last as i64 + before).max(0) as u64)
}

/// What the last step says that gives one.
fn recovery_point(state: &State, taken: &[Index]) -> Option<Timestamp> {
    let records = taken.iter().map(|&step| (step, state.record(step)));
    let known = records.filter_map(|(step, record)| {
        let over = is_done(record).then_some(record.over?.1)?;
        Some((over, step, record.recovery_point?))
    });
    known.max_by_key(|&(over, step, _)| (over, step)).map(|(_, _, point)| point)
}

fn is_done(record: &Record) -> bool {
    matches!(record.stage, Stage::Over(StepState::Succeeded | StepState::Warned))
}

/// How the session ended, and one sentence about it.
pub(in crate::machine) fn verdict(
    graph: &Graph,
    state: &State,
    achieved: &[Achieved],
    spans: &[SpanAchieved],
) -> (Verdict, String) {
    if let Some(reason) = stuck(graph, state) {
        return (Verdict::Stuck, reason);
    }
    let forward = || graph.own().map(|step| (step, state.record(step)));
    if is_unwound(graph, state) {
        let told = state.unwinding.as_ref().and_then(|unwinding| unwinding.cause);
        let cause = told.or_else(|| forward().find(|(_, r)| r.is_failed()).map(|(step, _)| step));
        let because = match cause {
            Some(cause) => failure(graph, state, cause),
            None => "the run was cancelled".to_owned(),
        };
        return (Verdict::Unwound, format!("{because}; what can be taken back was"));
    }
    let stopped = |record: &Record| {
        !record.stage.is_over() || record.stage == Stage::Over(StepState::Cancelled)
    };
    if let Some((by, reason)) = &state.cancelled_by
        && (state.is_unwinding() || forward().any(|(_, record)| stopped(record)))
    {
        let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        return (Verdict::Cancelled, format!("cancelled by {by}{why}"));
    }
    // What fails inside a group, the group answers for.
    let failed: Vec<Index> = forward()
        .filter(|&(step, record)| {
            let failed = record.is_failed() || (record.failed && !record.is_met());
            failed && !graph.step(step).fails_group
        })
        .map(|(step, _)| step)
        .collect();
    if let Some(&first) = failed.first() {
        let mut reason = failure(graph, state, first);
        if failed.len() > 1 {
            reason = format!("{reason}; and {} more", failed.len() - 1);
        }
        return (Verdict::Failed, reason);
    }
    let unmet =
        forward().find(|&(step, record)| !record.is_met() && !is_spoken_for(graph, state, step));
    if let Some((step, _)) = unmet {
        let state = state.record(step).state().as_str();
        return (Verdict::Failed, format!("`{}` is {state}", graph.step(step).id));
    }
    match achieved.iter().find_map(missed).or_else(|| spans.iter().find_map(too_long)) {
        Some(missed) => (Verdict::ObjectiveMissed, format!("everything is done, but {missed}")),
        None => (Verdict::Succeeded, "everything is done".to_owned()),
    }
}

/// What leaves something half done: a failed undo, closing or cleanup step.
fn stuck(graph: &Graph, state: &State) -> Option<String> {
    let half_done: Vec<Index> = (0..graph.len() as Index)
        .filter(|&step| match (graph.role(step), state.stage(step)) {
            // Of several steps that take one back, the last tells.
            (Role::Undo(_), _) if graph.undone_with(step).is_none() => false,
            (Role::Undo(_), Stage::Over(StepState::UndoFailed)) => true,
            (Role::Undo(_), Stage::Over(StepState::Skipped)) => left_as_it_is(state, step),
            (Role::Closing(_) | Role::Cleanup, _) => state.record(step).is_failed(),
            _ => false,
        })
        .collect();
    let first = failure(graph, state, *half_done.first()?);
    Some(match half_done.len() {
        1 => format!("something is half done: {first}"),
        more => format!("something is half done: {first}; and {} more", more - 1),
    })
}

/// Whether a person decided not to take the step back.
fn left_as_it_is(state: &State, undo: Index) -> bool {
    state.record(undo).skip == Some(SkipReason::Person)
}

/// Whether everything that was begun and can be taken back is taken back.
fn is_unwound(graph: &Graph, state: &State) -> bool {
    let undone = |step: Index| {
        state.stage(step) == Stage::Over(StepState::Undone)
            && !state.was_taken_back_alone(graph, step)
    };
    let over = [StepState::Undone, StepState::Warned, StepState::Skipped].map(Stage::Over);
    (state.is_unwinding() || graph.own().any(undone))
        && graph.own().all(|step| {
            let undo = graph.node(step).undo.filter(|_| state.record(step).begun);
            state.stage(step).is_over() && undo.is_none_or(|undo| over.contains(&state.stage(undo)))
        })
}

fn failure(graph: &Graph, state: &State, step: Index) -> String {
    let record = state.record(step);
    let id = &graph.step(step).id;
    let how = match record.stage {
        Stage::Over(StepState::TimedOut) => "ran out of time",
        Stage::Over(StepState::Skipped) if !record.failed => "was left out by a person",
        Stage::Over(StepState::Skipped) => "failed and was skipped",
        _ => "failed",
    };
    match &record.error {
        Some(error) => format!("`{id}` {how}: {}", error.message),
        None => format!("`{id}` {how}"),
    }
}

fn too_long(span: &SpanAchieved) -> Option<String> {
    if span.met != Some(false) {
        return None;
    }
    let objective = Millis(span.objective_ms?).short();
    Some(match span.took_ms {
        Some(took) => format!("`{}` took {} of {objective}", span.name, Millis(took).short()),
        None => format!("`{}` was not measured", span.name),
    })
}

fn missed(achieved: &Achieved) -> Option<String> {
    let name = &achieved.name;
    if achieved.met_rto == Some(false) {
        return Some(match (achieved.rta_ms, achieved.rto_ms) {
            (Some(rta), Some(rto)) => {
                format!("`{name}` took {} of {}", Millis(rta).short(), Millis(rto).short())
            }
            _ => format!(
                "`{name}` has no recovery time: {}",
                achieved.reason.as_deref().unwrap_or("not known")
            ),
        });
    }
    if achieved.met_rpo == Some(false) {
        return Some(match (achieved.rpa_ms, achieved.rpo_ms) {
            (Some(rpa), Some(rpo)) => format!(
                "`{name}` lost {} of data, more than {}",
                Millis(rpa.max(0) as u64).short(),
                Millis(rpo).short()
            ),
            _ => format!("how much data `{name}` lost is not known"),
        });
    }
    None
}
