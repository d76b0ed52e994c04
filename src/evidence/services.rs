use super::model::{Assurance, Loss, Objective, Proof, ServiceEvidence};
use crate::event::{Purpose, SkipReason, StepState};
use crate::plan::Service;
use crate::view::{ServiceView, StepView, View};

/// What the events alone give for a service.
pub(super) struct Figures {
    pub(super) rta_ms: Option<u64>,
    pub(super) last_step: Option<crate::id::StepId>,
    pub(super) rpa_ms: Option<i64>,
    pub(super) reason: Option<String>,
}

/// From the declaration to the end of the service's last step, if all of it went well; the loss at
/// the recovery point that was measured last.
pub(super) fn figures(view: &View, service: &Service) -> Figures {
    let steps = of_service(view, service);
    let latest = steps
        .iter()
        .filter(|step| step.state != StepState::Skipped)
        .max_by_key(|step| step.finished_ms);
    let reason = why_not(&steps, service);
    let time = match (&reason, latest.and_then(|step| step.finished_ms)) {
        (None, Some(finished)) => {
            u64::try_from(view.clock_offset_ms().saturating_add(finished as i64)).ok()
        }
        _ => None,
    };
    let lost = measured(&steps).and_then(|step| {
        let incident = view.started()?.incident_at.as_millisecond();
        Some(incident - step.recovery_point?.as_millisecond())
    });
    Figures { rta_ms: time, last_step: latest.map(|step| step.id.clone()), rpa_ms: lost, reason }
}

fn of_service<'a>(view: &'a View, service: &Service) -> Vec<&'a StepView> {
    view.steps()
        .iter()
        .filter(|step| step.service.as_ref() == Some(&service.name))
        .filter(|step| view.counts_for_service(step))
        .collect()
}

/// The step that measured the recovery point last: earlier ones looked before it was settled what
/// would be recovered.
fn measured<'a>(steps: &[&'a StepView]) -> Option<&'a StepView> {
    steps
        .iter()
        .filter(|step| step.recovery_point.is_some() && step.state.is_over() && step.meets_needs())
        .max_by_key(|step| step.finished_ms)
        .copied()
}

fn why_not(steps: &[&StepView], service: &Service) -> Option<String> {
    let Some(first) = steps
        .iter()
        .filter(|step| !step.state.is_over() || !step.meets_needs() || passed_over(step))
        .min_by_key(|step| (step.finished_ms.is_none(), step.finished_ms))
    else {
        return steps
            .iter()
            .all(|step| step.state == StepState::Skipped)
            .then(|| "none of its steps ran".to_owned());
    };
    let id = &first.id;
    Some(match first.state {
        StepState::Skipped => format!("{id} was passed over by a person"),
        StepState::Blocked => format!("{id} was blocked"),
        StepState::Cancelled => format!("{id} was cancelled"),
        state if state.is_over() => format!("{id} {}", state.as_str().replace('_', " ")),
        _ if service.validated => format!("{id} is not over, or validation did not run"),
        _ => format!("{id} is not over"),
    })
}

/// Whether a step was to say what the recovered data is from.
fn measures(view: &View, steps: &[&StepView]) -> bool {
    steps.iter().any(|step| {
        view.planned(step.id.as_str()).is_some_and(|planned| planned.recovery_point.is_some())
    })
}

fn passed_over(step: &StepView) -> bool {
    step.state == StepState::Skipped
        && step.skipped.as_ref().is_some_and(|skip| skip.reason == SkipReason::Person)
}

pub(super) fn service(view: &View, service: &Service, shown: &ServiceView) -> ServiceEvidence {
    let steps = of_service(view, service);
    let figures = figures(view, service);
    let achieved = shown.achieved.as_ref();
    let time = achieved.map_or(figures.rta_ms, |achieved| achieved.rta_ms);
    let lost = achieved.map_or(figures.rpa_ms, |achieved| achieved.rpa_ms);
    let over = steps.iter().all(|step| step.state.is_over());
    let in_time = match achieved {
        Some(achieved) => achieved.met_rto,
        // A service that still recovers has neither met nor missed it.
        None if time.is_none() && !over => None,
        None => service.rto_ms.map(|rto| time.is_some_and(|rta| rta <= rto)),
    };
    let in_bounds = match achieved {
        Some(achieved) => achieved.met_rpo,
        None => match (service.rpo_ms, lost) {
            (Some(rpo), Some(rpa)) => Some(rpa <= rpo as i64),
            (Some(_), None) if over && measures(view, &steps) => Some(false),
            _ => None,
        },
    };
    let measured = measured(&steps);
    ServiceEvidence {
        name: service.name.clone(),
        kind: service.kind.clone(),
        priority: service.priority,
        rto: Objective {
            objective_ms: service.rto_ms,
            achieved_ms: time,
            met: in_time,
            last_step: figures.last_step,
        },
        rpo: Loss {
            objective_ms: service.rpo_ms,
            achieved_ms: lost,
            met: in_bounds,
            recovery_point: measured.and_then(|step| step.recovery_point),
            measured_by: measured.map(|step| step.id.clone()),
        },
        predicted_ms: service.predicted_ms,
        decision_ms: union_ms(waits(steps.iter().copied(), view.elapsed_ms())),
        proof: proof(view, &steps),
        reason: achieved.and_then(|achieved| achieved.reason.clone()).or(figures.reason),
    }
}

fn proof(view: &View, steps: &[&StepView]) -> Proof {
    let mut verified_by = Vec::new();
    let mut not_passed = Vec::new();
    let counted: Vec<_> = view
        .plan()
        .steps
        .iter()
        .filter_map(|step| step.tally.as_ref())
        .flat_map(|tally| &tally.of)
        .collect();
    for step in steps {
        let validates =
            view.planned(step.id.as_str()).is_some_and(|planned| planned.validates.is_some());
        // The checks that a tally counts do not decide one by one.
        if !validates || counted.contains(&&step.id) {
            continue;
        }
        if assurance(view, step) == Assurance::Verified {
            verified_by.push(step.id.clone());
        } else {
            not_passed.push(step.id.clone());
        }
    }
    let assurance = if not_passed.is_empty() && !verified_by.is_empty() {
        Assurance::Verified
    } else if steps.iter().any(|step| step.finished_ms.is_some() && step.state.is_met()) {
        let broken = steps.iter().any(|step| step.state.is_over() && !step.meets_needs());
        if broken { Assurance::NotTested } else { Assurance::Asserted }
    } else {
        Assurance::NotTested
    };
    Proof { assurance, verified_by, not_passed }
}

/// How strongly the result of a step is known.
pub(super) fn assurance(view: &View, step: &StepView) -> Assurance {
    match step.state {
        StepState::Succeeded | StepState::Warned if step.by.is_some() => Assurance::Asserted,
        StepState::Succeeded => {
            let looked = view.planned(step.id.as_str()).is_some_and(|planned| {
                planned.validates.is_some()
                    || planned.tally.is_some()
                    || !planned.expect.is_empty()
                    || planned.repeat.is_some()
            });
            let checked = step.attempts.iter().any(|attempt| attempt.purpose == Purpose::Check);
            if looked || checked { Assurance::Verified } else { Assurance::Asserted }
        }
        StepState::Warned | StepState::Undone => Assurance::Asserted,
        _ => Assurance::NotTested,
    }
}

/// Intervals during which steps waited for people, in milliseconds since the start of the run.
pub(super) fn waits<'a>(
    steps: impl Iterator<Item = &'a StepView>,
    until_ms: u64,
) -> Vec<(u64, u64)> {
    steps
        .flat_map(|step| {
            let gates = step
                .gates
                .iter()
                .map(move |gate| (gate.asked_ms, gate.closed_ms().unwrap_or(until_ms)));
            let questions = step
                .questions
                .iter()
                .map(move |question| (question.asked_ms, question.closed_ms.unwrap_or(until_ms)));
            gates.chain(questions)
        })
        .collect()
}

/// Length of the union of intervals.
pub(super) fn union_ms(mut intervals: Vec<(u64, u64)>) -> u64 {
    intervals.sort_unstable();
    let (mut total, mut reached) = (0, 0);
    for (from, to) in intervals {
        let from = from.max(reached);
        total += to.saturating_sub(from);
        reached = reached.max(to);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::union_ms;

    #[test]
    fn overlaps_count_once() {
        for (intervals, total) in [
            (vec![], 0),
            (vec![(0, 10)], 10),
            (vec![(5, 15), (0, 10)], 15),
            (vec![(0, 100), (10, 20), (90, 110)], 110),
            (vec![(0, 1), (5, 6)], 2),
        ] {
            assert_eq!(union_ms(intervals), total);
        }
    }
}
