use std::collections::BTreeMap;
use std::sync::Arc;

use super::deviations::deviations;
use super::model::{
    AttemptEvidence, Clocks, Decision, Evidence, FORMAT, JournalEvidence, Participant,
    PreflightEvidence, RunIdentity, RunResult, SealEvidence, SessionEvidence, SpanEvidence,
    StepEvidence,
};
use super::services::{assurance, service, union_ms, waits};
use crate::event::{Actor, EventKind, Record, RequestKind, StepState};
use crate::markup;
use crate::plan::Plan;
use crate::view::{Phase, StepView, View};

/// How the achieved recovery time is defined.
const RTA: &str = "From the declaration to the end of the service's last step, its validation \
                   included, on the monotonic clock. Time spent waiting for people counts. \
                   Closing, undo and cleanup steps do not.";
/// How the achieved recovery point is defined.
const RPA: &str = "The incident less the moment that the recovered data is from, as the step that \
                   measured it says. Of several, the one that was over last.";

/// The end of the journal, as its reader found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalHead {
    /// How many records it has.
    pub count: u64,
    /// Sum of its last record.
    pub sum: String,
}

/// Takes the records of a run in, to say at their end what it proves.
pub struct Gathering {
    plan: Arc<Plan>,
    view: View,
    /// Number of the last record and what it counts, if that is a close record.
    close: Option<(u64, u64)>,
}

impl Gathering {
    /// Before the first record.
    #[must_use]
    pub fn new(plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::clone(plan), view: View::new(plan), close: None }
    }

    /// Takes the next record in.
    pub fn take(&mut self, record: &Record) {
        self.view.apply_record(record);
        self.close = match &record.event.kind {
            EventKind::RunFinished(finished) => Some((record.seq, finished.count)),
            _ => None,
        };
    }

    /// What the run proves; `None` before its first record.
    #[must_use]
    pub fn evidence(self, head: &JournalHead) -> Option<Evidence> {
        let closed = self.close.is_some_and(|(seq, count)| count == seq && count == head.count);
        evidence(&self.plan, &self.view, closed, head)
    }
}

/// What the run proves; `None` before its first record.
#[must_use]
pub fn build(plan: &Arc<Plan>, records: &[Record], head: &JournalHead) -> Option<Evidence> {
    let mut gathering = Gathering::new(plan);
    for record in records {
        gathering.take(record);
    }
    gathering.evidence(head)
}

fn evidence(plan: &Plan, view: &View, closed: bool, head: &JournalHead) -> Option<Evidence> {
    let started = view.started()?.clone();
    let started_at = view.started_at()?;
    let finished_at = view.at()?;
    let (result, reason) = result(view);
    let shown = view.services();
    let services =
        plan.services.iter().zip(&shown).map(|(planned, shown)| service(view, planned, shown));
    Some(Evidence {
        format: FORMAT,
        run: RunIdentity {
            id: started.run.clone(),
            runbook: started.runbook.clone(),
            description: plan.description.clone(),
            owner: plan.owner.clone(),
            environment: started.environment.clone(),
            protected: plan.protected,
            mode: started.mode,
            style: started.style,
            phases: plan.phases.clone(),
            plan_digest: started.plan_digest.clone(),
            seal: started.seal.as_ref().map(|used| {
                let seal = plan.seal.as_ref().filter(|seal| seal.id == used.id);
                SealEvidence {
                    id: used.id.clone(),
                    by: seal.map(|seal| seal.by.clone()),
                    created_at: seal.map(|seal| seal.created_at),
                    again: used.again.clone(),
                }
            }),
            predicted_ms: plan.makespan_ms,
            dr_version: started.version.clone(),
            plugins: plan
                .plugins
                .iter()
                .map(|(name, plugin)| (name.clone(), plugin.version.clone()))
                .collect(),
        },
        result,
        reason,
        participants: participants(view),
        clocks: Clocks {
            declared_at: started.declared_at,
            incident_at: started.incident_at,
            started_by: plan
                .steps
                .iter()
                .filter(|step| step.incident)
                .filter_map(|step| view.step(step.id.as_str()))
                .filter(|step| step.state.is_met() && step.state != StepState::Skipped)
                .max_by_key(|step| step.finished_ms)
                .map(|step| step.id.clone()),
            started_at,
            finished_at,
            elapsed_ms: view.elapsed_ms(),
            declared_before_start_ms: view.clock_offset_ms(),
            decision_ms: union_ms(waits(view.steps().iter(), view.elapsed_ms())),
            clock_moves_ms: view.clock_moves().iter().map(|(_, by_ms)| *by_ms).collect(),
            rta_definition: RTA.to_owned(),
            rpa_definition: RPA.to_owned(),
        },
        services: services.collect(),
        spans: spans(view),
        steps: steps(view),
        deviations: deviations(view),
        decisions: decisions(view),
        preflight: view
            .findings()
            .iter()
            .map(|finding| PreflightEvidence {
                step: finding.step.clone(),
                status: finding.status.clone(),
                lines: finding.lines.clone(),
            })
            .collect(),
        sessions: view
            .sessions()
            .iter()
            .map(|session| SessionEvidence {
                number: session.number,
                by: session.by.clone(),
                attended: session.attended,
                reason: session.reason.clone(),
                started_at: session.started_at,
                ended_at: session.ended_at,
                verdict: session.verdict,
            })
            .collect(),
        journal: JournalEvidence { count: head.count, head: head.sum.clone(), closed },
    })
}

fn steps(view: &View) -> Vec<StepEvidence> {
    // With room for all of them at once: what grows holds half as much again in reserve.
    let mut steps = Vec::with_capacity(view.steps().len());
    let shown = view.steps().iter().filter(|shown| !is_quiet_begin(view, shown));
    steps.extend(shown.map(|shown| step(view, shown)));
    steps
}

fn spans(view: &View) -> Vec<SpanEvidence> {
    let measured = view.plan().spans.iter().zip(view.spans());
    measured
        .map(|(planned, shown)| SpanEvidence {
            description: planned.description.clone(),
            predicted_ms: planned.predicted_ms,
            achieved: shown.achieved,
        })
        .collect()
}

fn result(view: &View) -> (RunResult, String) {
    match view.phase() {
        Phase::Finished(finished) => (finished.verdict.into(), finished.reason.clone()),
        Phase::Paused(waiting) => {
            let steps: Vec<&str> = waiting.iter().map(crate::id::StepId::as_str).collect();
            let why = match &steps[..] {
                [] => "somebody wanted it; nothing waits for a person".to_owned(),
                steps => format!("waits for a person at {}", steps.join(", ")),
            };
            (RunResult::Paused, why)
        }
        Phase::New | Phase::Open => {
            (RunResult::Open, "the journal has no close record: this is not complete".to_owned())
        }
    }
}

/// Where a group begins is only worth a word if something was the matter there.
fn is_quiet_begin(view: &View, shown: &StepView) -> bool {
    let joint = |step: &crate::plan::Step| step.opens.is_some() && step.is_joint();
    shown.error.is_none() && view.planned(shown.id.as_str()).is_some_and(joint)
}

fn step(view: &View, shown: &StepView) -> StepEvidence {
    let planned = view.planned(shown.id.as_str());
    let (by, why) = match &shown.skipped {
        Some(skip) if shown.state == StepState::Skipped => (skip.by.clone(), skip.note.clone()),
        _ => (shown.by.clone(), shown.reason.clone()),
    };
    StepEvidence {
        id: shown.id.clone(),
        description: planned.and_then(|step| step.description.clone()),
        source: planned.map(|step| step.source.clone()).unwrap_or_default(),
        service: shown.service.clone(),
        phase: planned.and_then(|step| step.phase),
        uses: shown.uses.clone(),
        host: shown.host.clone(),
        effect: planned.filter(|step| step.uses.is_some()).map(|step| step.effect),
        place: planned.and_then(|step| step.place.clone()),
        state: view.state(shown),
        assurance: assurance(view, shown),
        planned_start_ms: planned.map(|step| step.start_ms),
        planned_ms: planned.map(|step| step.estimate_ms),
        planned_from: planned.map(|step| step.estimate_source),
        started_at: shown.started_at,
        started_ms: shown.started_ms,
        finished_at: shown.finished_at,
        finished_ms: shown.finished_ms,
        took_ms: shown
            .started_ms
            .zip(shown.finished_ms)
            .map(|(started, finished)| finished.saturating_sub(started)),
        decision_ms: union_ms(waits(std::iter::once(shown), view.elapsed_ms())),
        attempts: shown
            .attempts
            .iter()
            .map(|attempt| AttemptEvidence {
                number: attempt.number,
                purpose: attempt.purpose,
                launches: attempt.launches,
                started_at: attempt.started_at,
                outcome: attempt.outcome,
                duration_ms: attempt.duration_ms,
                error: attempt.error.clone(),
                expected: attempt.expected.clone(),
            })
            .collect(),
        skipped: shown
            .skipped
            .as_ref()
            .filter(|_| shown.state == StepState::Skipped)
            .map(|skip| skip.reason),
        blocked_by: shown.blocked_by.clone(),
        by,
        why,
        warnings: shown.warnings.clone(),
        error: shown.error.clone().filter(|_| shown.state != StepState::Succeeded),
        outputs: shown
            .outputs
            .iter()
            .map(|(name, value)| (name.clone(), markup::shown(value)))
            .collect(),
        recovery_point: shown.recovery_point,
    }
}

fn participants(view: &View) -> Vec<Participant> {
    let mut acts: Vec<(u64, &Actor, &str)> = Vec::new();
    for session in view.sessions() {
        let role = if session.number == 1 { "started" } else { "resumed" };
        acts.push((session.started_ms, &session.by, role));
    }
    for step in view.steps() {
        for answer in step.gates.iter().flat_map(|gate| &gate.answers) {
            let role = if answer.approved { "approved" } else { "rejected" };
            acts.extend(answer.by.as_ref().map(|by| (answer.at_ms, by, role)));
        }
        for (_, by, at_ms) in step.questions.iter().filter_map(|asked| asked.answer.as_ref()) {
            acts.push((*at_ms, by, "decided"));
        }
        for reset in &step.resets {
            acts.push((reset.at_ms, &reset.by, "decided"));
        }
        let end = step.finished_ms.unwrap_or(u64::MAX);
        acts.extend(step.by.as_ref().map(|by| (end, by, "decided")));
        let skipped = step.skipped.as_ref().and_then(|skip| skip.by.as_ref());
        acts.extend(skipped.map(|by| (end, by, "decided")));
    }
    if let Some(cancel) = view.cancel() {
        acts.push((cancel.at_ms, &cancel.by, "cancelled"));
    }
    acts.extend(view.pause().map(|pause| (pause.at_ms, &pause.by, "paused")));
    for unwinding in view.unwindings() {
        acts.extend(unwinding.by.as_ref().map(|by| (unwinding.at_ms, by, "decided")));
        acts.extend(unwinding.answer.as_ref().map(|(_, by, _, at_ms)| (*at_ms, by, "decided")));
    }
    acts.sort_by_key(|(at_ms, ..)| *at_ms);
    let mut people: Vec<Participant> = Vec::new();
    for (_, by, role) in acts {
        let known = people.iter_mut().find(|one| one.user == by.user && one.host == by.host);
        match known {
            Some(one) if one.roles.iter().any(|known| known == role) => {}
            Some(one) => one.roles.push(role.to_owned()),
            None => people.push(Participant {
                user: by.user.clone(),
                host: by.host.clone(),
                roles: vec![role.to_owned()],
            }),
        }
    }
    people
}

fn decisions(view: &View) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for step in view.steps() {
        for gate in &step.gates {
            if gate.answers.is_empty() {
                decisions.push(Decision {
                    step: step.id.clone(),
                    asked: gate.message.clone(),
                    asked_at: gate.asked_at,
                    decided: None,
                    by: None,
                    reason: None,
                    inputs: BTreeMap::new(),
                    signed: None,
                    waited_ms: None,
                });
            }
            for answer in &gate.answers {
                let word = if answer.approved { "approved" } else { "rejected" };
                decisions.push(Decision {
                    step: step.id.clone(),
                    asked: gate.message.clone(),
                    asked_at: gate.asked_at,
                    decided: Some(word.to_owned()),
                    by: answer.by.clone(),
                    reason: answer.reason.clone(),
                    inputs: answer.inputs.clone(),
                    signed: answer.signed.clone(),
                    waited_ms: Some(answer.at_ms.saturating_sub(gate.asked_ms)),
                });
            }
        }
        for question in &step.questions {
            let answer = question.answer.as_ref();
            let reason = answer.and_then(|(ask, ..)| {
                step.requests.iter().rfind(|request| request.ask == *ask)?.reason.clone()
            });
            decisions.push(Decision {
                step: step.id.clone(),
                asked: question.message.clone(),
                asked_at: question.asked_at,
                decided: answer.map(|(ask, ..)| request_word(*ask).to_owned()),
                by: answer.map(|(_, by, _)| by.clone()),
                reason,
                inputs: BTreeMap::new(),
                signed: None,
                waited_ms: answer.map(|(_, _, at)| at.saturating_sub(question.asked_ms)),
            });
        }
    }
    for unwinding in view.unwindings() {
        let (Some(step), Some((asked_ms, asked_at))) = (unwinding.past.first(), unwinding.asked)
        else {
            continue;
        };
        let answer = unwinding.answer.as_ref();
        let word = |go_on: bool| if go_on { "undo" } else { "leave it as it is" };
        decisions.push(Decision {
            step: step.clone(),
            asked: unwinding.question(),
            asked_at,
            decided: answer.map(|(go_on, ..)| word(*go_on).to_owned()),
            by: answer.map(|(_, by, ..)| by.clone()),
            reason: answer.and_then(|(_, _, reason, _)| reason.clone()),
            inputs: BTreeMap::new(),
            signed: None,
            waited_ms: answer.map(|(.., at_ms)| at_ms.saturating_sub(asked_ms)),
        });
    }
    decisions.sort_by_key(|decision| decision.asked_at);
    decisions
}

/// The word for what a person asks.
pub(super) fn request_word(ask: RequestKind) -> &'static str {
    match ask {
        RequestKind::Approve => "approved",
        RequestKind::Reject => "rejected",
        RequestKind::Retry => "retry",
        RequestKind::Redo => "redo",
        RequestKind::Skip => "pass over",
        RequestKind::AssumeDone => "it was done",
        RequestKind::AssumeNotDone => "it was not done",
        RequestKind::Fail => "it failed",
        RequestKind::Cancel => "stop the run",
        RequestKind::CancelNow => "stop the run now",
        RequestKind::Undo => "take back what was done",
        RequestKind::CancelUndo => "stop the run and take back what was done",
        RequestKind::Pause => "pause the run",
    }
}
