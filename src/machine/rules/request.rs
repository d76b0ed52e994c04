//! Which requests of people can be followed, and what to do about those that cannot.

use crate::event::{Question, Request, RequestKind, SkipReason, StepState};
use crate::machine::graph::{Graph, Index, Role};
use crate::machine::rules::unknown;
use crate::machine::state::State;
use crate::machine::step::Stage;

/// Why the request cannot be followed now; nothing if it can. `busy`: an attempt is under way.
#[expect(clippy::match_same_arms, reason = "a table, read by what is asked")]
pub(in crate::machine) fn refuse(
    graph: &Graph,
    state: &State,
    step: Index,
    busy: bool,
    request: &Request,
) -> Option<String> {
    use RequestKind as Ask;
    let record = state.record(step);
    let id = &graph.step(step).id;
    let word = record.state().as_str();
    if matches!(request.ask, Ask::Approve | Ask::Reject) {
        return gate(graph, state, step);
    }
    if state.is_unwinding() && graph.role(step) == Role::Forward {
        return Some(format!("what was done is being taken back, and `{id}` with it"));
    }
    if matches!(request.ask, Ask::Retry | Ask::Redo)
        && graph.role(step) == Role::Forward
        && let Some(end) = state.unwinding_around(graph, step)
        && !state.is_taken_back(graph, end)
    {
        let group = &graph.step(end).id;
        return Some(format!(
            "what was done in `{group}` is being taken back: ask again after that"
        ));
    }
    if busy {
        return Some(format!(
            "an attempt of `{id}` is under way: wait for its end, or cancel the run"
        ));
    }
    let stopping = state.cancel.is_some();
    if stopping && matches!(request.ask, Ask::Retry | Ask::Redo | Ask::AssumeNotDone) {
        return Some("the run is stopping: ask again when it is resumed".to_owned());
    }
    let refused = |text: String| Some(text);
    let by_hand = request.ask == Ask::AssumeDone
        && graph.undone_with(step).is_some()
        && !state.is_undoing(graph, step);
    if !graph.inside(step).is_empty()
        && !by_hand
        && !record.stage.is_over()
        && !matches!(record.stage, Stage::Asked(_))
        && matches!(request.ask, Ask::Skip | Ask::AssumeDone | Ask::Fail)
    {
        return refused(format!("`{id}` is under way: decide about the steps inside it"));
    }
    match (request.ask, record.stage) {
        (Ask::Retry | Ask::Redo, Stage::Idle | Stage::Gate) => {
            refused(format!("`{id}` has not run yet"))
        }
        (Ask::Retry, Stage::Asked(Question::OutcomeUnknown))
            if unknown::ways(graph.step(step)).next().is_none() =>
        {
            refused(format!(
                "nothing can tell what became of `{id}`: look, then say `done` or `not-done`"
            ))
        }
        (Ask::Retry | Ask::Redo, Stage::Asked(_)) => None,
        (
            Ask::Retry | Ask::Redo,
            Stage::Over(StepState::Failed | StepState::TimedOut | StepState::UndoFailed),
        ) if !is_taken_back(graph, step, record.stage) => None,
        (Ask::Retry | Ask::Redo, Stage::Over(StepState::UndoFailed)) => {
            refused(format!("retry what takes it back: `{id}!undo`"))
        }
        (Ask::Retry | Ask::Redo, Stage::Over(StepState::Warned)) if record.error.is_some() => None,
        (Ask::Retry | Ask::Redo, Stage::Over(StepState::Skipped)) if record.failed => None,
        (Ask::Redo, Stage::Over(StepState::Succeeded | StepState::Warned)) => None,
        (Ask::Retry, Stage::Over(StepState::Succeeded | StepState::Warned)) => {
            refused(format!("`{id}` has {word}: to run it once more, redo it"))
        }
        (Ask::Retry | Ask::Redo, Stage::Over(StepState::Blocked)) => {
            refused(format!("`{id}` is blocked by {}: retry that", blockers(graph, state, step)))
        }
        (Ask::Retry | Ask::Redo, Stage::Over(_)) => refused(format!("`{id}` is {word}")),
        (Ask::Retry | Ask::Redo, _) => refused(format!("`{id}` goes on by itself")),

        (Ask::Skip, Stage::Over(StepState::Failed | StepState::TimedOut)) => None,
        (Ask::Skip, Stage::Over(StepState::Blocked)) => refused(format!(
            "`{id}` is blocked by {}: decide about that",
            blockers(graph, state, step)
        )),
        (Ask::Skip, Stage::Over(_)) => refused(format!("`{id}` is already {word}")),
        (Ask::Skip, Stage::Idle | Stage::Gate) => {
            let needs = &graph.node(step).needs;
            let unmet = needs.iter().find(|&&need| {
                let record = state.record(need);
                let over = record.stage.is_over() && record.decision.is_none();
                over && !state.is_met(graph, need)
            });
            unmet.map(|&need| {
                let other = &graph.step(need).id;
                format!("`{id}` needs `{other}`, which has not succeeded: decide about that")
            })
        }
        (Ask::Skip, _) => None,

        (Ask::AssumeDone, Stage::Over(StepState::Succeeded | StepState::Warned)) => {
            refused(format!("`{id}` has already {word}"))
        }
        (Ask::AssumeDone, _) if record.failed && request.reason.is_none() => {
            refused(format!("`{id}` has failed: say why it counts as done, with a reason"))
        }
        (Ask::AssumeDone, _) => None,

        (Ask::AssumeNotDone, Stage::Asked(Question::OutcomeUnknown) | Stage::Check) => None,
        (Ask::AssumeNotDone, Stage::Running(_) | Stage::Wait(..)) => None,
        (Ask::AssumeNotDone, _) => {
            refused(format!("what became of `{id}` is not in question: it is {word}"))
        }

        (Ask::Fail, Stage::Idle) => {
            refused(format!("`{id}` has not run: skip it, or cancel the run"))
        }
        (Ask::Fail, Stage::Over(_)) => refused(format!("`{id}` is already {word}")),
        (Ask::Fail, _) => None,

        (Ask::Undo, Stage::Asked(Question::Failed)) => None,
        (Ask::Undo, _) => refused(format!("`{id}` does not ask what to do about its failure")),

        (
            Ask::Approve
            | Ask::Reject
            | Ask::Cancel
            | Ask::CancelNow
            | Ask::CancelUndo
            | Ask::Pause,
            _,
        ) => None,
    }
}

/// Whether the step itself, not the one that takes it back, bears the mark of it.
fn is_taken_back(graph: &Graph, step: Index, stage: Stage) -> bool {
    stage == Stage::Over(StepState::UndoFailed) && !matches!(graph.role(step), Role::Undo(_))
}

fn gate(graph: &Graph, state: &State, step: Index) -> Option<String> {
    let id = &graph.step(step).id;
    let record = state.record(step);
    if graph.step(step).approve.is_none() {
        return Some(format!("`{id}` asks for no approval"));
    }
    match record.stage {
        Stage::Gate => None,
        Stage::Idle if record.gate.as_ref().is_none_or(|gate| gate.settled.is_none()) => {
            let waits = graph.node(step).waits.iter();
            let open = waits.filter(|&&on| !state.stage(on).is_over());
            let names: Vec<_> = open.map(|&on| format!("`{}`", graph.step(on).id)).collect();
            Some(format!("`{id}` does not ask yet: it waits for {}", names.join(", ")))
        }
        Stage::Over(StepState::Skipped) if record.skip == Some(SkipReason::Rejected) => {
            Some(format!("the gate of `{id}` was rejected"))
        }
        _ => {
            Some(format!("the gate of `{id}` is no longer open: it is {}", record.state().as_str()))
        }
    }
}

fn blockers(graph: &Graph, state: &State, step: Index) -> String {
    let by = state.record(step).blocked_by.iter();
    by.map(|&other| format!("`{}`", graph.step(other).id)).collect::<Vec<_>>().join(", ")
}

/// What may be answered to a question.
pub(in crate::machine) fn options(
    graph: &Graph,
    step: Index,
    question: Question,
) -> Vec<RequestKind> {
    use RequestKind as Ask;
    match question {
        Question::Failed => {
            vec![Ask::Retry, Ask::Redo, Ask::Skip, Ask::AssumeDone, Ask::Undo, Ask::Fail]
        }
        Question::OutcomeUnknown => {
            let mut options = vec![Ask::AssumeDone, Ask::AssumeNotDone];
            if unknown::ways(graph.step(step)).next().is_some() {
                options.push(Ask::Retry);
            }
            options.extend([Ask::Skip, Ask::Fail]);
            options
        }
    }
}
