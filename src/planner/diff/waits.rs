use std::collections::{HashMap, HashSet};

use super::compare::{by_id, is_join};
use crate::id::StepId;
use crate::plan::{EdgeReason, Plan, Step};

/// What the steps of a plan wait for: by name or not, at once or through others.
pub(super) struct Waits<'a> {
    steps: HashMap<&'a str, &'a Step>,
}

/// What a step waits for directly, seen through what only stands between.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    pub(super) on: &'a Step,
    /// Whether that must have succeeded; otherwise it must be over.
    pub(super) needs: bool,
}

impl<'a> Waits<'a> {
    pub(super) fn of(plan: Option<&'a Plan>) -> Self {
        Self { steps: by_id(plan) }
    }

    /// The step, if it is there and not passed over.
    pub(super) fn step(&self, id: &str) -> Option<&'a Step> {
        self.steps.get(id).copied().filter(|step| step.skip.is_none())
    }

    /// Whether it only stands between others.
    pub(super) fn passes_on(&self, id: &str) -> bool {
        self.steps.get(id).copied().is_some_and(is_join)
    }

    /// What a step waits for directly and in the other plan not at all, though it is there: with
    /// a step put between two others, the last still waits for the first.
    pub(super) fn only_here(&self, step: &Step, other: &Self) -> Vec<Wait<'a>> {
        let Some(there) = other.step(step.id.as_str()) else { return Vec::new() };
        if self.is_same(step, there, other) {
            return Vec::new();
        }
        let direct: Vec<Wait<'a>> = self
            .directly(step)
            .into_iter()
            .filter(|wait| other.step(wait.on.id.as_str()).is_some())
            .collect();
        if direct.iter().all(|wait| names(there, *wait)) {
            return Vec::new();
        }
        let (needed, awaited) = (other.all(there, true), other.all(there, false));
        let kept = |wait: &Wait<'a>| {
            let reached = if wait.needs { &needed } else { &awaited };
            reached.contains(wait.on.id.as_str())
        };
        direct.into_iter().filter(|wait| !kept(wait)).collect()
    }

    /// Whether a step waits for another through any chain.
    pub(super) fn awaits(&self, id: &str, other: &str) -> bool {
        self.step(id).is_some_and(|step| self.all(step, false).contains(other))
    }

    /// Whether the edges are the same, and those of what only stands between: the usual case, in
    /// large plans too.
    fn is_same(&self, step: &Step, there: &Step, other: &Self) -> bool {
        let same = |id: &StepId| match (self.steps.get(id.as_str()), other.steps.get(id.as_str())) {
            (Some(on), Some(_)) if on.opens.is_some() => true,
            (Some(on), Some(there)) if is_join(on) => self.is_same(on, there, other),
            (Some(on), Some(there)) => on.skip.is_none() && there.skip.is_none(),
            _ => false,
        };
        step.needs == there.needs
            && step.after == there.after
            && step.needs.iter().chain(&step.after).all(same)
    }

    fn directly(&self, step: &Step) -> Vec<Wait<'a>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut open: Vec<(&'a Step, bool)> = self.edges(step).collect();
        while let Some((on, needs)) = open.pop() {
            if !seen.insert((on.id.as_str(), needs)) || on.opens.is_some() {
                // What stands in a group waits for its beginning, which waits for itself.
            } else if is_join(on) || on.skip.is_some() {
                open.extend(self.edges(on).map(|(on, edge)| (on, edge && needs)));
            } else {
                found.push(Wait { on, needs });
            }
        }
        let order: HashMap<&str, usize> =
            step.needs.iter().chain(&step.after).map(StepId::as_str).zip(0..).collect();
        found.sort_by_key(|wait| {
            let id = wait.on.id.as_str();
            (order.get(id).copied().unwrap_or(usize::MAX), id)
        });
        found
    }

    /// Everything that a step waits for; or what it needs, through needs alone.
    fn all(&self, step: &Step, needs: bool) -> HashSet<&'a str> {
        let mut seen = HashSet::new();
        let mut open: Vec<&'a Step> = Vec::new();
        let next = |step: &Step, open: &mut Vec<&'a Step>| {
            open.extend(self.edges(step).filter(|(_, edge)| *edge || !needs).map(|(on, _)| on));
        };
        next(step, &mut open);
        while let Some(on) = open.pop() {
            if seen.insert(on.id.as_str()) {
                next(on, &mut open);
            }
        }
        seen
    }

    /// The end of a group waits for its steps to be over, and fails if one of them did.
    fn edges(&self, step: &Step) -> impl Iterator<Item = (&'a Step, bool)> {
        let within = |id| step.because.get(id) == Some(&EdgeReason::Group);
        let needs = step.needs.iter().map(|id| (id, true));
        let edges: Vec<_> = needs
            .chain(step.after.iter().map(|id| (id, within(id))))
            .filter_map(|(id, needs)| Some((*self.steps.get(id.as_str())?, needs)))
            .collect();
        edges.into_iter()
    }
}

/// A short way to an answer that is as usual.
fn names(step: &Step, wait: Wait<'_>) -> bool {
    step.needs.contains(&wait.on.id) || (!wait.needs && step.after.contains(&wait.on.id))
}
