use super::model::{Deviation, DeviationKind};
use super::services::figures;
use crate::event::{Actor, CancelRequest, Outcome, Purpose, SkipReason, StepState};
use crate::time::Millis;
use crate::view::{GateView, StepView, View, clean_line};

/// A step overran if it took half as long again as planned, and this much longer at least.
const OVERRUN_MS: u64 = 10_000;
/// Two figures are the same up to this.
const SAME_MS: u64 = 1_000;

/// Everything that did not go as planned, in order of time.
pub(super) fn deviations(view: &View) -> Vec<Deviation> {
    let mut found = Found::default();
    of_run(view, &mut found);
    for step in view.steps() {
        of_step(view, step, &mut found);
    }
    of_figures(view, &mut found);
    // Stable: what has no moment comes first, in the order in which it was found.
    found.0.sort_by_key(|deviation| deviation.at_ms);
    found.0
}

#[derive(Default)]
struct Found(Vec<Deviation>);

impl Found {
    fn run(&mut self, at_ms: Option<u64>, kind: DeviationKind, by: Option<&Actor>, text: String) {
        self.0.push(Deviation { at_ms, kind, step: None, service: None, text, by: by.cloned() });
    }

    fn step(
        &mut self,
        step: &StepView,
        at_ms: Option<u64>,
        kind: DeviationKind,
        by: Option<&Actor>,
        text: String,
    ) {
        self.0.push(Deviation {
            at_ms,
            kind,
            step: Some(step.id.clone()),
            service: step.service.clone(),
            text,
            by: by.cloned(),
        });
    }
}

/// When a service was expected too late, and in time again.
fn of_risks(view: &View, found: &mut Found) {
    for risk in view.risks() {
        let expected = Millis(risk.expected_ms).short();
        let planned = view.plan().service(risk.service.as_str());
        let rto = planned.and_then(|service| service.rto_ms).unwrap_or(0);
        let text = if risk.late {
            let late = Millis(risk.expected_ms.saturating_sub(rto)).short();
            format!("expected {expected} after the declaration, {late} later than its RTO allows")
        } else {
            format!("expected in time again, {expected} after the declaration")
        };
        found.0.push(Deviation {
            at_ms: Some(risk.at_ms),
            kind: DeviationKind::RtoAtRisk,
            step: None,
            service: Some(risk.service.clone()),
            text,
            by: None,
        });
    }
}

fn of_run(view: &View, found: &mut Found) {
    if let Some(started) = view.started()
        && started.plan_digest != view.plan().digest
    {
        found.run(
            None,
            DeviationKind::PlanDiffers,
            None,
            format!(
                "the run recorded plan {}, the plan beside it is {}",
                started.plan_digest,
                view.plan().digest
            ),
        );
    }
    if let Some(started) = view.started()
        && let Some(again) = started.seal.as_ref().and_then(|seal| seal.again.as_deref())
    {
        found.run(
            Some(0),
            DeviationKind::ExecutedAgain,
            Some(&started.by),
            format!("{} executed the sealed plan once more{}", started.by, because(Some(again))),
        );
    }
    for session in view.sessions().iter().skip(1) {
        let why = because(session.reason.as_deref());
        found.run(
            Some(session.started_ms),
            DeviationKind::Resumed,
            Some(&session.by),
            format!("session {} was started by {}{why}", session.number, session.by),
        );
    }
    if let Some(cancel) = view.cancel() {
        let how = match cancel.level {
            CancelRequest::Drain => "after its running steps",
            CancelRequest::Stop => "at once",
        };
        let why = because(cancel.reason.as_deref());
        found.run(
            Some(cancel.at_ms),
            DeviationKind::CancelRequested,
            Some(&cancel.by),
            format!("{} asked the run to stop {how}{why}", cancel.by),
        );
    }
    for unwinding in view.unwindings() {
        let cause = unwinding.cause.as_ref().map(|step| format!("{step} failed"));
        let wanted = unwinding.by.as_ref().map(|by| format!("{by} wanted it"));
        let why = [cause, wanted].into_iter().flatten().collect::<Vec<_>>().join(", and ");
        let why = if why.is_empty() { "the run was cancelled".to_owned() } else { why };
        let reason = because(unwinding.reason.as_deref());
        found.run(
            Some(unwinding.at_ms),
            DeviationKind::TakenBack,
            unwinding.by.as_ref(),
            format!("what was done was to be taken back: {why}{reason}"),
        );
        if let Some((go_on, by, reason, at_ms)) = &unwinding.answer {
            let what = if *go_on { "undo" } else { "leave it as it is" };
            found.run(
                Some(*at_ms),
                DeviationKind::TakenBack,
                Some(by),
                format!(
                    "asked whether to {} {by} said: {what}{}",
                    unwinding.question(),
                    because(reason.as_deref())
                ),
            );
        }
    }
    of_risks(view, found);
    for (at_ms, lost) in view.losses() {
        found.run(
            Some(*at_ms),
            DeviationKind::JournalLost,
            Some(&lost.by),
            format!(
                "{} went on although the journal was damaged from record {} on: {} bytes are lost",
                lost.by, lost.record, lost.bytes
            ),
        );
    }
    for (at_ms, by_ms) in view.clock_moves() {
        let way = if *by_ms < 0 { "back" } else { "forward" };
        found.run(
            Some(*at_ms),
            DeviationKind::ClockMoved,
            None,
            format!("the wall clock was moved {way} by {}", Millis(by_ms.unsigned_abs())),
        );
    }
}

fn of_step(view: &View, step: &StepView, found: &mut Found) {
    for reset in &step.resets {
        let what = if reset.redo { "its action repeated" } else { "tried again" };
        let was = reset.was.as_str().replace('_', " ");
        found.step(
            step,
            Some(reset.at_ms),
            DeviationKind::Reset,
            Some(&reset.by),
            format!(
                "was {was}; {what} on request of {}{}",
                reset.by,
                because(reset.reason.as_deref())
            ),
        );
    }
    for gate in &step.gates {
        of_gate(view, step, gate, found);
    }
    of_attempts(step, found);
    of_state(step, found);
    let Some(planned) = view.planned(step.id.as_str()) else { return };
    // It matters only where something was in fact repeated or looked up because of it.
    let relied = step.attempts_of(Purpose::Apply) as usize > 1 + step.resets.len()
        || step
            .attempts
            .iter()
            .any(|attempt| attempt.launches > 1 || attempt.outcome == Some(Outcome::Unknown));
    if let Some(action) = planned.action_effect.filter(|action| planned.effect < *action)
        && relied
    {
        found.step(
            step,
            None,
            DeviationKind::LaxerEffect,
            None,
            format!(
                "repeated or checked as {}, as the step says; its action is {action}",
                planned.effect
            ),
        );
    }
    // Time waiting for people is not planned, so it is no overrun.
    if let (Some(started), Some(finished)) = (step.started_ms, step.finished_ms) {
        let took = finished.saturating_sub(started).saturating_sub(step.gate_ms);
        if took > planned.estimate_ms.saturating_mul(3) / 2
            && took - planned.estimate_ms >= OVERRUN_MS
        {
            let text = format!(
                "took {}, planned {}",
                Millis(took).short(),
                Millis(planned.estimate_ms).short()
            );
            found.step(step, Some(finished), DeviationKind::Overran, None, text);
        }
    }
}

fn of_gate(view: &View, step: &StepView, gate: &GateView, found: &mut Found) {
    match gate.settled {
        Some((false, at_ms)) => {
            let answer = gate.answers.iter().rfind(|answer| !answer.approved);
            let by = answer.and_then(|answer| answer.by.as_ref());
            let why = because(answer.and_then(|answer| answer.reason.as_deref()));
            let text = match by {
                Some(by) => format!("{by} rejected it{why}"),
                None => "nobody answered in time".to_owned(),
            };
            found.step(step, Some(at_ms), DeviationKind::Rejected, by, text);
        }
        Some((true, at_ms)) => {
            let operator = view
                .sessions()
                .iter()
                .rfind(|session| session.started_ms <= at_ms)
                .map(|session| &session.by.user);
            let operates = |by: &Actor| operator == Some(&by.user);
            let approvers: Vec<&Actor> = gate
                .answers
                .iter()
                .filter(|answer| answer.approved)
                .filter_map(|answer| answer.by.as_ref())
                .collect();
            if let [first, ..] = approvers[..]
                && approvers.iter().all(|by| operates(by))
            {
                found.step(
                    step,
                    Some(at_ms),
                    DeviationKind::SelfApproved,
                    Some(first),
                    format!("{first} both operates the run and approved it"),
                );
            }
        }
        None => {}
    }
}

fn of_attempts(step: &StepView, found: &mut Found) {
    let applies = step.attempts_of(Purpose::Apply);
    // Each time that a person put the step back gives it one more.
    if applies as usize > 1 + step.resets.len() {
        let first = step.attempts.iter().find(|attempt| attempt.error.is_some());
        let why = first
            .and_then(|attempt| attempt.error.as_ref())
            .map(|error| format!("; first: {}", clean_line(&error.message)))
            .unwrap_or_default();
        let at_ms = step.attempts.iter().find(|attempt| attempt.number == 2);
        found.step(
            step,
            at_ms.map(|attempt| attempt.started_ms),
            DeviationKind::Retried,
            None,
            format!("{applies} attempts{why}"),
        );
    }
    for attempt in &step.attempts {
        if attempt.outcome == Some(Outcome::Unknown) {
            found.step(
                step,
                Some(attempt.started_ms + attempt.duration_ms.unwrap_or(0)),
                DeviationKind::OutcomeUnknown,
                None,
                format!(
                    "attempt {} may or may not have been applied; {}",
                    attempt.number,
                    how_settled(step)
                ),
            );
        }
        if attempt.launches > 1 {
            found.step(
                step,
                Some(attempt.started_ms),
                DeviationKind::Relaunched,
                None,
                format!("attempt {} was launched {} times", attempt.number, attempt.launches),
            );
        }
    }
}

fn how_settled(step: &StepView) -> String {
    if let Some((answer, by, _)) =
        step.questions.iter().rev().find_map(|question| question.answer.as_ref())
    {
        let answer = super::build::request_word(*answer);
        return format!("{by} answered: {answer}");
    }
    if step.attempts.iter().any(|attempt| attempt.purpose == Purpose::Check) {
        return "a check told".to_owned();
    }
    if step.state.is_over() {
        "it was run again".to_owned()
    } else {
        "it is not settled".to_owned()
    }
}

fn of_state(step: &StepView, found: &mut Found) {
    let at_ms = step.finished_ms;
    match step.state {
        StepState::Failed | StepState::TimedOut | StepState::UndoFailed => {
            let why = step.error.as_ref().map_or_else(
                || step.state.as_str().replace('_', " "),
                |error| clean_line(&error.message),
            );
            let who = step.by.as_ref().map(|by| format!(", as {by} says")).unwrap_or_default();
            found.step(
                step,
                at_ms,
                DeviationKind::Failed,
                step.by.as_ref(),
                format!("{why}{who}{}", because(step.reason.as_deref())),
            );
        }
        StepState::Blocked => {
            let by: Vec<&str> = step.blocked_by.iter().map(crate::id::StepId::as_str).collect();
            let text = format!("did not run because of {}", by.join(", "));
            found.step(step, at_ms, DeviationKind::Blocked, None, text);
        }
        StepState::Cancelled => {
            let text = if step.attempts.is_empty() { "was not started" } else { "was stopped" };
            found.step(step, at_ms, DeviationKind::Cancelled, None, text.to_owned());
        }
        StepState::Skipped => {
            let Some(skip) = &step.skipped else { return };
            if skip.reason == SkipReason::Person {
                let who = skip
                    .by
                    .as_ref()
                    .map_or_else(|| "passed over".to_owned(), |by| format!("passed over by {by}"));
                let text = format!("{who}{}", because(skip.note.as_deref()));
                found.step(step, at_ms, DeviationKind::Skipped, skip.by.as_ref(), text);
            }
        }
        StepState::Succeeded | StepState::Warned => {
            if let Some(by) = &step.by {
                let text = format!("done, as {by} says{}", because(step.reason.as_deref()));
                found.step(step, at_ms, DeviationKind::Assumed, Some(by), text);
            }
            if step.state == StepState::Warned {
                let text = match (&step.warnings[..], &step.error) {
                    ([], None) => "succeeded with a remark".to_owned(),
                    ([], Some(error)) => clean_line(&error.message),
                    (warnings, _) => clean_line(&warnings.join("; ")),
                };
                found.step(step, at_ms, DeviationKind::Warned, None, text);
            }
        }
        // What people are asked about is told with the attempt.
        StepState::Unknown if step.open_question().is_none() => {
            let text = "was left under way: whether it was done is not known".to_owned();
            found.step(step, step.started_ms, DeviationKind::OutcomeUnknown, None, text);
        }
        StepState::Undone => {
            let who = step.by.as_ref().map(|by| format!(", as {by} says")).unwrap_or_default();
            let text = format!("was taken back{who}{}", because(step.reason.as_deref()));
            let undoes = crate::plan::undone_by(step.id.as_str()).is_some();
            if !undoes || step.by.is_some() {
                found.step(step, at_ms, DeviationKind::TakenBack, step.by.as_ref(), text);
            }
        }
        _ => {}
    }
}

/// The close record's figures against what the events give.
fn of_figures(view: &View, found: &mut Found) {
    for (service, shown) in view.plan().services.iter().zip(view.services()) {
        let Some(achieved) = shown.achieved else { continue };
        let figures = figures(view, service);
        let rta =
            |ms: Option<u64>| ms.map_or_else(|| "none".to_owned(), |ms| Millis(ms).to_string());
        if differs(achieved.rta_ms.map(|ms| ms as i64), figures.rta_ms.map(|ms| ms as i64)) {
            found.0.push(Deviation {
                at_ms: None,
                kind: DeviationKind::FigureDiffers,
                step: None,
                service: Some(service.name.clone()),
                text: format!(
                    "the close record has an RTA of {}, the events give {}",
                    rta(achieved.rta_ms),
                    rta(figures.rta_ms)
                ),
                by: None,
            });
        }
        if differs(achieved.rpa_ms, figures.rpa_ms) {
            let rpa =
                |ms: Option<i64>| ms.map_or_else(|| "none".to_owned(), |ms| format!("{ms} ms"));
            found.0.push(Deviation {
                at_ms: None,
                kind: DeviationKind::FigureDiffers,
                step: None,
                service: Some(service.name.clone()),
                text: format!(
                    "the close record has an RPA of {}, the events give {}",
                    rpa(achieved.rpa_ms),
                    rpa(figures.rpa_ms)
                ),
                by: None,
            });
        }
    }
}

fn differs(one: Option<i64>, other: Option<i64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) > SAME_MS,
        (one, other) => one.is_some() != other.is_some(),
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {}", clean_line(reason))).unwrap_or_default()
}
