//! What must hold of every run that was played to its end.

use dr_plugin::ErrorClass;

use super::play::Played;
use crate::event::{
    Event, EventKind, Purpose, Question, Reopening, RequestKind, StepState, Verdict,
};
use crate::id::StepId;
use crate::plan::{Plan, Step};

/// How often people had a step done again of which nobody knew whether it had been done.
fn begun_again_by_people(journal: &[Event], id: &str) -> u32 {
    let mut is_unknown = false;
    let mut times = 0;
    for event in journal {
        match &event.kind {
            EventKind::StepFinished(finished) if finished.step.as_str() == id => {
                let error = finished.error.as_ref();
                is_unknown = error.is_some_and(|error| error.class == ErrorClass::Unknown);
            }
            EventKind::StepReset { step, .. } if step.as_str() == id && is_unknown => times += 1,
            _ => {}
        }
    }
    times
}

/// What must hold of every run that was played.
pub(crate) fn check_played(played: &Played) {
    let plan = &*played.plan;
    for step in &plan.steps {
        let id = step.id.as_str();
        let count = played.world.effects.get(id).copied().unwrap_or(0);
        if !step.effect.is_repeatable() {
            // What was closed is opened again on purpose.
            let opened = |event: &&Event| {
                matches!(&event.kind, EventKind::StepsReopened { steps, because: Reopening::Closed }
                    if steps.contains(&step.id))
            };
            let most = 1
                + played.journal.iter().filter(opened).count() as u32
                + begun_again_by_people(&played.journal, id)
                + u32::from(is_borne(&played.journal, id));
            assert!(count <= most, "`{id}` was done {count} times:\n{}", played.story(""));
        }
        let fails_well = step.expect_error.is_some();
        let acts = step.uses.is_some() && step.repeat.is_none() && !fails_well;
        let asked = played.journal.iter().any(|event| {
            matches!(
                &event.kind,
                EventKind::RequestAccepted { request }
                    if request.step.as_ref() == Some(&step.id)
                        && request.ask == RequestKind::AssumeDone
            )
        });
        let by_word = step.on_unknown == crate::words::OnUnknown::Done || asked;
        if played.states[id] == StepState::Succeeded && acts && !by_word {
            assert!(count >= 1, "`{id}` is said to be done and is not");
        }
        if !played.states[id].is_met() {
            continue;
        }
        for need in &step.needs {
            let reached = played.states[id] != StepState::Skipped;
            let state = played.states[need.as_str()];
            let met = state.is_met() || matches!(state, StepState::Undone | StepState::UndoFailed);
            // It stays done when what it needed begins anew after that.
            let ends = |event: &Event| matches!(&event.kind, EventKind::StepFinished(finished) if finished.step == step.id);
            let after = played.journal.iter().rposition(ends).unwrap_or(0);
            let anew = played.journal[after..].iter().any(|event| {
                matches!(&event.kind, EventKind::StepsReopened { steps, .. }
                    if steps.iter().any(|step| step == need || is_inside(plan, step, need)))
            });
            let met = met || anew;
            let story = || played.story(need.as_str());
            assert!(!reached || met, "`{id}` without `{need}`:\n    {}", story());
        }
    }
    check_end(plan, played);
    for event in &played.journal {
        if let EventKind::Expanded { step, items } = &event.kind {
            let found = crate::plan::elements(items).expect("elements").len();
            let of = plan.step(step.as_str()).and_then(|step| step.group.as_ref());
            assert_eq!(of.map(|group| group.of.len()), Some(found), "what `{step}` goes over");
        }
        if let EventKind::QuestionAsked { step, question: Question::OutcomeUnknown, .. } =
            &event.kind
        {
            let step = plan.step_or_undo(step.as_str()).expect("a step");
            assert!(!step.effect.is_repeatable(), "`{}` need not be asked about", step.id);
        }
    }
}

/// What was opened is closed, what is said to be taken back is, and the verdict says what is so.
fn check_end(plan: &Plan, played: &Played) {
    // What ran before it was put back is closed.
    let put_back_at = |id: &str| {
        let put_back = |event: &Event| {
            matches!(&event.kind, EventKind::StepsReopened { steps, .. }
                if steps.iter().any(|step| step.as_str() == id))
        };
        played.journal.iter().rposition(put_back).unwrap_or(0)
    };
    let ended = |id: &str| {
        let ends = |event: &Event| matches!(&event.kind, EventKind::StepFinished(finished) if finished.step.as_str() == id);
        played.journal.iter().rposition(ends)
    };
    let began = |id: &str| {
        let from = put_back_at(id);
        played.journal[from..].iter().any(|event| {
            matches!(&event.kind, EventKind::AttemptStarted { step, purpose, .. }
                if step.as_str() == id && *purpose != Purpose::Check)
        })
    };
    for step in &plan.steps {
        let id = step.id.as_str();
        let state = played.states[id];
        if let Some(opener) = &step.closes {
            let computed = plan.step(opener.as_str()).is_some_and(|step| step.uses.is_none());
            if !computed {
                let skipped = state == StepState::Skipped;
                // What was put back and then never ran was closed before that.
                let before = || ended(id).is_some_and(|at| at < put_back_at(opener.as_str()));
                assert!(
                    began(opener.as_str()) != skipped || (!skipped && before()),
                    "`{id}` closes `{opener}`: {state:?}"
                );
            }
            assert!(state.is_over(), "`{id}` is left open");
        }
        if state == StepState::Undone {
            let nothing = !played.world.is_done(id);
            let back = played.world.undone.contains(id) || is_borne(&played.journal, id);
            assert!(back || nothing, "`{id}` is not taken back:\n{}", played.story(id));
        }
        let verdict_fits = match played.verdict {
            Verdict::Unwound => {
                !(began(id) && step.undo.is_some() && state == StepState::Succeeded)
            }
            Verdict::Succeeded => state.is_met() || spoken_for(plan, played, step),
            _ => true,
        };
        assert!(verdict_fits, "{:?} with `{id}` {state:?}", played.verdict);
    }
}

/// Whether a part of what takes the step back failed, and the runbook bears that.
fn is_borne(journal: &[Event], id: &str) -> bool {
    let part = format!("{id}!undo/");
    journal.iter().any(|event| {
        matches!(&event.kind, EventKind::StepFinished(finished)
            if finished.state == StepState::Warned && finished.step.as_str().starts_with(&part))
    })
}

fn is_inside(plan: &Plan, step: &StepId, group: &StepId) -> bool {
    let around = |step: &StepId| plan.step(step.as_str())?.inside.clone();
    std::iter::successors(around(step), around).any(|end| end == *group)
}

/// Whether a group around the step came out well all the same.
fn spoken_for(plan: &Plan, played: &Played, step: &Step) -> bool {
    let around = |step: &Step| plan.step(step.inside.as_ref()?.as_str());
    std::iter::successors(around(step), |group| around(group))
        .any(|group| played.states[group.id.as_str()].is_met())
}
