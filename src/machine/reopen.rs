//! What has to run once more when a run goes on: what was taken back, and what was closed although
//! the work that it was opened for is not done.

use dr_plugin::Effect;

use super::graph::{Graph, Index, Role};
use super::groups;
use super::machine::Machine;
use super::state::State;
use super::step::Stage;
use crate::event::{EventKind, Reopening, SkipReason, StepState};
use crate::words::OnFailure;

impl Machine {
    /// Follows up on steps that are pending again.
    pub(super) fn reopen_more(&mut self) {
        while std::mem::take(&mut self.session.reopened) {
            let failing = self.failing_groups();
            let state = &self.state;
            for (steps, because) in [
                (state.taken_back_to_run(&self.graph), Reopening::TakenBack),
                (state.closed_too_early(&self.graph, &failing), Reopening::Closed),
            ] {
                if !steps.is_empty() {
                    let steps = steps.into_iter().map(|step| self.graph.id(step)).collect();
                    self.emit(EventKind::StepsReopened { steps, because });
                    break;
                }
            }
        }
    }

    /// For each step, whether it is the end of a group or loop that goes on and can only fail: enough
    /// inside it has failed already.
    fn failing_groups(&self) -> Vec<bool> {
        let (graph, state) = (&self.graph, &self.state);
        if graph.closings.is_empty() || state.is_unwinding() {
            return Vec::new();
        }
        let mut failing = vec![false; graph.len()];
        for &end in &graph.order {
            let Some(group) = &graph.step(end).group else { continue };
            if state.stage(end).is_over() || !state.has_begun(graph, end) {
                continue;
            }
            if graph.step(end).rounds().is_some() {
                failing[end as usize] = self.fails_by_rounds(end, &failing);
                continue;
            }
            let bears = group.each.as_ref().map_or(0, |each| each.max_failures as usize);
            let failed = |child: &&Index| {
                groups::went_wrong(state.record(**child)) || failing[**child as usize]
            };
            failing[end as usize] = graph.inside(end).iter().filter(failed).count() > bears;
        }
        failing
    }
}

impl State {
    /// A run that was taken back begins anew once nothing of it stands failed. What only looked,
    /// asked or decided did so before that, and does it again.
    fn taken_back_to_run(&self, graph: &Graph) -> Vec<Index> {
        let undone = Stage::Over(StepState::Undone);
        let of_undo = |step: Index| match graph.role(step) {
            Role::Undo(of) => Some(of),
            _ => None,
        };
        let mut undos = (0..graph.len() as Index).filter(|step| of_undo(*step).is_some());
        if self.unwinding.is_some() || !undos.any(|undo| self.stage(undo).is_over()) {
            return Vec::new();
        }
        let all = !(0..graph.len() as Index).any(|step| self.stands_in_the_way(graph, step));
        let groups = if all { Vec::new() } else { self.groups_to_run_again(graph) };
        let is_concerned = |step: Index| {
            let step = of_undo(step).unwrap_or(step);
            // A step that a person puts back is not taken back any more, whatever else stands.
            let runs_again = || !self.stage(step).is_over();
            let mut around = std::iter::successors(Some(step), |&step| graph.node(step).inside);
            all || runs_again() || around.any(|end| groups.contains(&end))
        };
        let again = |step: &Index| {
            let record = self.record(*step);
            let taken_back = graph.node(*step).undo.is_some_and(|undo| self.stage(undo).is_over());
            match (graph.role(*step), record.stage) {
                // What took a failed step back is as it was until a person puts the step back.
                (Role::Undo(of), stage) => stage.is_over() && !self.record(of).is_failed(),
                (_, stage) if stage == undone => true,
                (Role::Forward, Stage::Over(StepState::Succeeded | StepState::Warned))
                    if graph.node(*step).undo.is_some_and(|undo| self.stage(undo) == undone) =>
                {
                    true
                }
                (_, stage) if !stage.is_over() => taken_back && record.begun,
                (Role::Forward, Stage::Over(StepState::Succeeded | StepState::Warned)) => {
                    let plan = graph.step(*step);
                    (plan.effect == Effect::Pure || plan.uses.is_none()) && !record.assumed
                }
                (Role::Forward, Stage::Over(StepState::Skipped)) => {
                    matches!(record.skip, Some(SkipReason::When | SkipReason::Rejected))
                        && graph.step(*step).skip.is_none()
                }
                _ => false,
            }
        };
        (0..graph.len() as Index).filter(|step| is_concerned(*step) && again(step)).collect()
    }

    /// Whether a run that was taken back does not begin anew because of what became of this step: it failed, and
    /// that stops others or is why all was taken back.
    fn stands_in_the_way(&self, graph: &Graph, step: Index) -> bool {
        let record = self.record(step);
        match graph.role(step) {
            Role::Forward => record.stands_failed() && (record.undid || self.halts(graph, step)),
            Role::Closing(_) | Role::Cleanup => record.is_failed(),
            Role::Undo(_) => false,
        }
    }

    /// Groups that were taken back by themselves, and whose failed steps are to run once more.
    fn groups_to_run_again(&self, graph: &Graph) -> Vec<Index> {
        let by_run = |step: Index| {
            let record = self.record(step);
            record.undid && record.is_failed() && graph.scope_of(step).is_none()
        };
        if graph.own().any(by_run) {
            return Vec::new();
        }
        let is_open = |&end: &Index| {
            if graph.inside(end).is_empty() || graph.is_loop(end) || self.stage(end).is_over() {
                return false;
            }
            // A group around it is still being taken back, and this one with it.
            if self.unwinding_around(graph, end).is_some() {
                return false;
            }
            let inside = graph.all_inside(end);
            let undo = |&step: &Index| graph.node(step).undo;
            inside.iter().filter_map(undo).any(|undo| self.has_undone_some(graph, undo))
                && !inside.iter().any(|&step| self.record(step).stands_failed())
        };
        graph.own().filter(is_open).collect()
    }

    /// What was closed, or put away, although what it was opened for goes on, and who opened it.
    fn closed_too_early(&self, graph: &Graph, failing: &[bool]) -> Vec<Index> {
        if graph.closings.is_empty() || self.is_unwinding() {
            return Vec::new();
        }
        let doomed = self.doomed(graph, failing);
        let open = |step: Index| !self.stage(step).is_over() && !doomed[step as usize];
        let mut found = Vec::new();
        for &closing in &graph.closings {
            let Stage::Over(state) = self.stage(closing) else { continue };
            if matches!(state, StepState::Failed | StepState::TimedOut) {
                continue;
            }
            let closed = matches!(state, StepState::Succeeded | StepState::Warned);
            match graph.role(closing) {
                Role::Closing(opener) => {
                    if !(open(opener) || graph.scope(closing).iter().copied().any(open)) {
                        continue;
                    }
                    if closed && self.stage(opener).is_over() && self.record(opener).is_met() {
                        found.push(opener);
                    }
                    found.push(closing);
                }
                Role::Cleanup => {
                    let forward = |step: &Index| graph.role(*step) == Role::Forward;
                    let mut steps = graph.own().filter(forward);
                    if steps.any(open) {
                        found.push(closing);
                    }
                }
                Role::Forward | Role::Undo(_) => {}
            }
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|&step| graph.step(step).skip.is_none());
        found
    }

    /// For each step, whether it can never run as things stand: what it needs has failed, or a
    /// failed step stops it, or a group will that is about to fail.
    fn doomed(&self, graph: &Graph, failing: &[bool]) -> Vec<bool> {
        let mut halts: Vec<Vec<u32>> =
            graph.own().filter_map(|step| self.halted_by(graph, step)).collect();
        let mut ending: Vec<Index> = graph.own().filter(|end| failing[*end as usize]).collect();
        loop {
            let doomed = self.doomed_by(graph, failing, &halts);
            // A group fails once nothing inside it goes on. Until then whatever is ready may begin.
            let goes_on = |step: &Index| !self.stage(*step).is_over() && !doomed[*step as usize];
            let known = ending.len();
            ending.retain(|&end| {
                let goes_on = graph.all_inside(end).iter().any(goes_on);
                if !goes_on {
                    halts.extend(self.will_halt(graph, end, failing));
                }
                goes_on
            });
            if ending.len() == known {
                return doomed;
            }
        }
    }

    fn doomed_by(&self, graph: &Graph, failing: &[bool], halts: &[Vec<u32>]) -> Vec<bool> {
        let all = halts.iter().any(Vec::is_empty);
        let mut stopped = vec![false; graph.services.len()];
        for &service in halts.iter().flatten() {
            stopped[service as usize] = true;
        }
        let mut doomed = vec![false; graph.len()];
        for &step in &graph.order {
            let node = graph.node(step);
            doomed[step as usize] = if self.stage(step).is_over() {
                !self.record(step).is_met()
            } else {
                let halted = all || node.service.is_some_and(|service| stopped[service as usize]);
                let given_up = || self.unwinding_around(graph, step).is_some();
                failing[step as usize]
                    || (node.role == Role::Forward && (halted || given_up()))
                    || node.needs.iter().any(|&need| doomed[need as usize])
            };
        }
        doomed
    }

    /// The services that this group stops once it has failed; none of them: all that there is.
    fn will_halt(&self, graph: &Graph, end: Index, failing: &[bool]) -> Option<Vec<u32>> {
        let plan = graph.step(end);
        let answers = graph.inside(end).iter().any(|&child| {
            let failed = groups::went_wrong(self.record(child)) || failing[child as usize];
            failed && graph.step(child).fails_group
        });
        let stops = match plan.on_failure {
            OnFailure::Halt => true,
            OnFailure::Undo => !(plan.fails_group && graph.scope_of(end).is_some()),
            // Whoever is asked may say otherwise.
            OnFailure::Ask | OnFailure::Warn | OnFailure::Continue => false,
        };
        if !(answers && stops) {
            return None;
        }
        let service = graph.node(end).service.filter(|_| plan.on_failure == OnFailure::Halt);
        Some(service.map(|service| graph.downstream(service)).unwrap_or_default())
    }

    /// Whether the step ends a group or loop that has begun.
    pub(super) fn has_begun(&self, graph: &Graph, end: Index) -> bool {
        graph.begin_of_end(end).is_some_and(|begin| self.stage(begin).is_over())
    }
}
