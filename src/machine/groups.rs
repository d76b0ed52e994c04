//! Groups and loops: what begins, ends, passes over or stops what is inside them.

use dr_plugin::CallError;

use super::graph::{Graph, Index};
use super::machine::Machine;
use super::names::Scope;
use super::rules::finish;
use super::state::State;
use super::step::{Record, Stage};
use crate::event::{EventKind, Request, RequestKind, SkipReason, StepState};
use crate::id::RequestId;
use crate::plan::{FAILED_INSIDE, Step};

/// What of a group or loop is over and did not go well.
#[derive(Debug, Default)]
struct Children {
    failed: Vec<Index>,
    cancelled: bool,
    blocked: Vec<Index>,
    warned: Vec<Index>,
}

/// Whether a step failed, also if a person then passed it over.
pub(super) fn went_wrong(record: &Record) -> bool {
    record.is_failed() || (record.failed && record.stage.is_over() && !record.is_met())
}

fn children(graph: &Graph, state: &State, end: Index) -> Children {
    let mut children = Children::default();
    let mut undone = Vec::new();
    for &child in graph.inside(end) {
        let record = state.record(child);
        match record.stage {
            _ if went_wrong(record) => children.failed.push(child),
            Stage::Over(StepState::Cancelled) => children.cancelled = true,
            Stage::Over(StepState::Blocked) => children.blocked.push(child),
            Stage::Over(StepState::Warned) => children.warned.push(child),
            Stage::Over(StepState::Undone | StepState::UndoFailed) => undone.push(child),
            _ => {}
        }
    }
    // What was taken back is told only where nothing else says why.
    if children.failed.is_empty() {
        children.failed = undone;
    }
    children
}

/// The failed elements of a loop, if they are more than it bears.
fn exceeded(graph: &Graph, state: &State, end: Index) -> Option<Vec<Index>> {
    // Whether a round that failed is borne is decided when it is over.
    let each = graph.step(end).each().filter(|each| each.rounds.is_none())?;
    let failed: Vec<Index> = graph
        .inside(end)
        .iter()
        .copied()
        .filter(|child| went_wrong(state.record(*child)))
        .collect();
    (failed.len() > each.max_failures as usize).then_some(failed)
}

/// Whether a failure inside a group is the group's to answer for: it leaves the rest to the policy
/// that stands with the step itself.
pub(super) fn answers(graph: &Graph, state: &State, end: Index) -> bool {
    let inside = graph.inside(end);
    inside.is_empty()
        || inside
            .iter()
            .any(|&child| went_wrong(state.record(child)) && graph.step(child).fails_group)
        || !inside.iter().any(|&child| went_wrong(state.record(child)))
}

/// Whether the end of a group around a step speaks for it.
pub(super) fn is_spoken_for(graph: &Graph, state: &State, step: Index) -> bool {
    let around = std::iter::successors(graph.node(step).inside, |end| graph.node(*end).inside);
    let undone = Stage::Over(StepState::Undone);
    around.into_iter().any(|end| state.record(end).is_met() || state.stage(end) == undone)
}

/// Whether a step is where an element of a loop begins.
fn begins_element(graph: &Graph, step: Index) -> bool {
    let in_loop = graph.node(step).inside.is_some_and(|end| is_loop(graph.step(end)));
    in_loop && graph.step(step).group.is_none()
}

fn is_loop(step: &Step) -> bool {
    step.each().is_some()
}

/// The error of a group or loop, from what is said about what failed inside it.
pub(super) fn failure(said: &[String], is_loop: bool) -> CallError {
    let message = match (is_loop, said.len()) {
        (_, 1) => said[0].clone(),
        (true, count) => format!("{count} elements failed; {}", said[0]),
        (false, count) => format!("{}; and {} more", said[0], count - 1),
    };
    let mut error = CallError::permanent(FAILED_INSIDE, message);
    error.causes = said.iter().skip(1).cloned().collect();
    error
}

impl Machine {
    /// Why the group around the step was passed over, if it was.
    pub(super) fn passed_over(&self, step: Index) -> Option<SkipReason> {
        let begin = self.graph.node(step).begin?;
        let record = self.state.record(begin);
        let skipped = record.stage == Stage::Over(StepState::Skipped) && record.is_met();
        skipped.then(|| record.skip.unwrap_or(SkipReason::When))
    }

    /// The elements that keep another one from beginning, if it is one.
    pub(super) fn stopped_by_failures(&self, step: Index) -> Option<Vec<Index>> {
        let end = self.graph.node(step).inside?;
        if !begins_element(&self.graph, step) {
            return None;
        }
        exceeded(&self.graph, &self.state, end)
    }

    /// An element of a loop failed: others may not begin any more.
    pub(super) fn stop_elements(&mut self, step: Index) {
        let Some(end) = self.graph.node(step).inside else { return };
        if !went_wrong(self.state.record(step)) || exceeded(&self.graph, &self.state, end).is_none()
        {
            return;
        }
        let graph = std::sync::Arc::clone(&self.graph);
        for &element in graph.inside(end) {
            let first = graph.node(element).begin.filter(|begin| graph.opens(*begin, element));
            let first = first.unwrap_or(element);
            if matches!(self.state.stage(first), Stage::Idle | Stage::Gate) {
                self.later(first);
            }
        }
    }

    /// Whether the step holds its slots although it is over: an element that is under way.
    pub(super) fn holds_on(&self, step: Index) -> bool {
        self.graph.node(step).opened.is_some_and(|end| {
            !self.graph.step(step).takes.is_empty()
                && self.graph.undone_with(end).is_none()
                && matches!(
                    self.state.stage(step),
                    Stage::Over(StepState::Succeeded | StepState::Warned)
                )
                && !self.state.stage(end).is_over()
        })
    }

    /// Whether the step ends a group or loop that has begun.
    pub(super) fn has_begun(&self, step: Index) -> bool {
        self.state.has_begun(&self.graph, step)
    }

    /// Everything inside a group or loop is over: what does that make of it?
    pub(super) fn sum_up(&mut self, step: Index) {
        let graph = std::sync::Arc::clone(&self.graph);
        if !self.go_back(step) {
            return;
        }
        let plan = graph.step(step);
        let mut children = children(&graph, &self.state, step);
        if plan.rounds().is_some() {
            if let Err(error) = self.bear_rounds(step, &mut children.failed) {
                return self.fail(step, error);
            }
            if children.failed.is_empty() && !children.cancelled && children.blocked.is_empty() {
                return self.round_over(step);
            }
        }
        let bears = plan.each().map_or(0, |each| each.max_failures as usize);
        if children.failed.len() > bears {
            let error = self.failure_inside(step, &children.failed);
            self.fail(step, error);
        } else if children.cancelled {
            self.emit(EventKind::StepCancelled { step: plan.id.clone() });
        } else if !children.blocked.is_empty() {
            let by = children.blocked.iter().map(|&child| graph.id(child)).collect();
            self.emit(EventKind::StepBlocked { step: plan.id.clone(), by });
        } else {
            let scope = Scope::new(&graph, &self.state, self.now, step);
            let mut finish = finish::finish(plan, &scope);
            for &child in &children.failed {
                finish.warnings.push(self.said(child));
            }
            if !children.warned.is_empty() {
                let names: Vec<String> =
                    children.warned.iter().map(|&child| format!("`{}`", graph.id(child))).collect();
                finish.warnings.push(format!("inside: {}", names.join(", ")));
            }
            self.finish(step, finish);
        }
    }

    pub(super) fn said(&self, child: Index) -> String {
        let id = &self.graph.step(child).id;
        match &self.state.record(child).error {
            // What is inside it has said its name already.
            Some(error) if error.code == FAILED_INSIDE => error.message.clone(),
            Some(error) => format!("`{id}` failed: {}", error.message),
            None => format!("`{id}` failed"),
        }
    }

    fn failure_inside(&self, step: Index, failed: &[Index]) -> CallError {
        let said: Vec<String> = failed.iter().map(|&child| self.said(child)).collect();
        failure(&said, is_loop(self.graph.step(step)))
    }

    /// What a request about a group is about: its beginning, or what failed inside it. Nothing if
    /// it is about the step itself.
    pub(super) fn about_group(&self, step: Index, request: &Request) -> Option<Vec<Request>> {
        let begin = self.graph.begin_of_end(step)?;
        if self.graph.undone_with(step).is_some() {
            return self.about_undo(step, request);
        }
        let on = |target: Index| Request {
            id: RequestId::from(format!("{}/{}", request.id, self.graph.id(target))),
            step: Some(self.graph.id(target)),
            ..request.clone()
        };
        match request.ask {
            RequestKind::Approve | RequestKind::Reject => Some(vec![on(begin)]),
            RequestKind::Skip | RequestKind::AssumeDone if !self.state.stage(begin).is_over() => {
                Some(vec![on(begin)])
            }
            RequestKind::Retry | RequestKind::Redo => {
                let failed = self.failed_inside(step);
                (!failed.is_empty()).then(|| failed.into_iter().map(on).collect())
            }
            _ => None,
        }
    }

    pub(super) fn failed_inside(&self, end: Index) -> Vec<Index> {
        let mut found = Vec::new();
        for &child in self.graph.inside(end) {
            let deeper = self.failed_inside(child);
            if deeper.is_empty() && went_wrong(self.state.record(child)) {
                found.push(child);
            }
            found.extend(deeper);
        }
        found
    }
}

impl State {
    /// What is inside a group is no longer as it was: neither is the group.
    pub(super) fn regroup(&mut self, graph: &Graph, changed: Index, reopened: &mut Vec<Index>) {
        let mut next = graph.node(changed).inside;
        while let Some(end) = next {
            next = graph.node(end).inside;
            let stage = self.stage(end);
            if !stage.is_over() && !matches!(stage, Stage::Asked(_)) {
                continue;
            }
            if stage == Stage::Over(StepState::Skipped) && self.record(end).is_met() {
                continue;
            }
            self.records[end as usize].regroup();
            if stage.is_over() {
                self.records[end as usize].left = true;
                reopened.push(end);
                self.withdraw(graph, end);
                self.unblock(graph, end, reopened);
            }
        }
    }
}
