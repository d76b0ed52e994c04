//! Groups that are repeated: when a round is over, another one begins, or the group ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use dr_plugin::{CallError, ErrorClass};

use super::graph::Index;
use super::groups::went_wrong;
use super::machine::Machine;
use super::names::Scope;
use super::rules::finish::{self, not_evaluated};
use super::rules::repeat::gave_up;
use crate::event::EventKind;
use crate::plan::Repeat;
use crate::time::Millis;

impl Machine {
    /// Leaves out of the failed rounds those whose failure only means "not yet".
    pub(super) fn bear_rounds(
        &self,
        step: Index,
        failed: &mut Vec<Index>,
    ) -> Result<(), CallError> {
        let Some(repeat) = &self.graph.step(step).repeat else { return Ok(()) };
        let mut wrong = None;
        failed.retain(|&round| {
            let first = self.failed_inside(round).first().copied().unwrap_or(round);
            let Some(error) = self.state.record(first).error.as_deref() else { return true };
            let Some(tolerate) = &repeat.tolerate else {
                return error.class != ErrorClass::Transient;
            };
            let scope = Scope::new(&self.graph, &self.state, self.now, round).error(error);
            match tolerate.decide(&scope) {
                Ok(tolerated) => !tolerated,
                Err(why) => {
                    wrong = Some(not_evaluated("condition", tolerate.source(), &why));
                    true
                }
            }
        });
        wrong.map_or(Ok(()), Err)
    }

    /// The last round went as well as it must: is it the last one?
    pub(super) fn round_over(&mut self, step: Index) {
        let graph = Arc::clone(&self.graph);
        let plan = graph.step(step);
        let (Some(repeat), rounds) = (&plan.repeat, graph.inside(step)) else { return };
        let Some(&last) = rounds.last() else { return };
        let round = u32::try_from(rounds.len()).unwrap_or(u32::MAX);
        let outputs = self.state.record(last).outputs.clone();
        let held = if self.state.record(last).is_met() {
            match self.holds(repeat, rounds, &outputs) {
                Ok(true) => self.state.record(step).held + 1,
                Ok(false) => 0,
                Err(error) => return self.fail(step, error),
            }
        } else {
            // It failed, which only means "not yet".
            0
        };
        if held >= repeat.stable && round >= repeat.at_least {
            let scope = Scope::new(&graph, &self.state, self.now, step);
            let finish = finish::judge(plan, outputs, &scope);
            return self.finish(step, finish);
        }
        if self.is_stopping(step) {
            self.emit(EventKind::StepCancelled { step: plan.id.clone() });
            return;
        }
        if let Some(error) = self.gave_up_rounds(step, last, repeat, round) {
            return self.fail(step, error);
        }
        self.next_round(step, step, round + 1, held);
    }

    /// Whether the group can only fail, because of what its rounds have come to: `failing` tells of
    /// each of them whether it will.
    pub(super) fn fails_by_rounds(&self, end: Index, failing: &[bool]) -> bool {
        let graph = &self.graph;
        let (Some(repeat), rounds) = (&graph.step(end).repeat, graph.inside(end)) else {
            return false;
        };
        let Some(&last) = rounds.last() else { return false };
        let fails =
            |round: &Index| went_wrong(self.state.record(*round)) || failing[*round as usize];
        let mut failed: Vec<Index> = rounds.iter().copied().filter(fails).collect();
        if self.bear_rounds(end, &mut failed).is_err() || !failed.is_empty() {
            return true;
        }
        let round = u32::try_from(rounds.len()).unwrap_or(u32::MAX);
        fails(&last) && self.gave_up_rounds(end, last, repeat, round).is_some()
    }

    /// Whether the condition holds after the last of these rounds.
    fn holds(
        &self,
        repeat: &Repeat,
        rounds: &[Index],
        outputs: &BTreeMap<String, serde_json::Value>,
    ) -> Result<bool, CallError> {
        let Some(&last) = rounds.last() else { return Ok(false) };
        let Some(until) = &repeat.until else { return Ok(true) };
        let scope = Scope::new(&self.graph, &self.state, self.now, last);
        let scope = self.after_round(rounds, outputs, scope);
        until.decide(&scope).map_err(|why| not_evaluated("condition", until.source(), &why))
    }

    /// What the condition reads after the last of these rounds, beside what `scope` has.
    pub(super) fn after_round<'a>(
        &'a self,
        rounds: &[Index],
        outputs: &'a BTreeMap<String, serde_json::Value>,
        scope: Scope<'a>,
    ) -> Scope<'a> {
        let before = rounds.split_last().map_or(rounds, |(_, before)| before);
        // A round that failed says nothing about what it read.
        let previous = before.iter().rfind(|&&round| self.state.record(round).is_met());
        Scope {
            outputs: Some(outputs),
            iteration: Some(u32::try_from(rounds.len()).unwrap_or(u32::MAX)),
            previous: previous.map(|&round| &self.state.record(round).outputs),
            ..scope
        }
    }

    /// Why no further round begins, if none may.
    fn gave_up_rounds(
        &self,
        step: Index,
        last: Index,
        repeat: &Repeat,
        round: u32,
    ) -> Option<CallError> {
        let condition = repeat.until.as_ref().map_or("it", |until| until.source());
        let said = self.state.record(last).error.is_some().then(|| self.said(last));
        let told = said.map(|said| CallError::permanent("not_yet", said));
        let begin = self.graph.begin_of_end(step)?;
        let since = self.state.record(begin).over.map(|(at, _)| at);
        if let (Some(limit), Some(since)) = (repeat.timeout_ms, since) {
            let gone = self.now.at.as_millisecond() - since.as_millisecond();
            if u64::try_from(gone).unwrap_or(0) >= limit {
                let limit = Millis(limit).short();
                let why = format!("`{condition}` did not come true within {limit}");
                return Some(gave_up(&why, "repeat_timeout", told));
            }
        }
        if repeat.at_most.is_some_and(|most| round >= most) {
            let why = format!("`{condition}` did not come true within {round} rounds");
            return Some(gave_up(&why, "repeat_exhausted", told));
        }
        None
    }
}
