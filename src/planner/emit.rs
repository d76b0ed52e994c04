//! From the graph of declarations to the steps of a plan: groups with their beginning and end, loops
//! with their elements.

use super::compound::Elements;
use super::select::Selection;
use super::steps::Maker;
use crate::event::SkipReason;
use crate::id::StepId;
use crate::plan::{
    ANY, EdgeReason, EstimateSource, Group, Items, Loop, Pool, Rounds, Step, WINDOW, begin_of,
};
use crate::runbook::{EdgeKind, Graph, NodeKind, Reason};

/// Elements of a loop, unless it says otherwise.
const MAX_ITEMS: u32 = 100;
/// Elements that are expected when nothing tells how many there will be.
const EXPECTED_ITEMS: u32 = 10;

/// Makes the steps of a plan in the order of the graph.
pub(super) struct Emitter<'m, 'a> {
    pub(super) maker: &'m mut Maker<'a>,
    pub(super) graph: &'m Graph,
    pub(super) selection: &'m Selection,
}

impl Emitter<'_, '_> {
    pub(super) fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.graph.len());
        self.range(0, self.graph.len(), &mut steps);
        steps
    }

    fn range(&mut self, start: usize, end: usize, steps: &mut Vec<Step>) {
        let mut position = start;
        while position < end {
            let node = self.graph.node(position);
            let skip = self.selection.skips[position];
            let mut step = match node.kind {
                NodeKind::Begin { step } => {
                    position = self.compound(position, step, steps) + 1;
                    continue;
                }
                NodeKind::Step { step } => self.maker.step(step, skip),
                NodeKind::Check { service, validation, check } => {
                    self.maker.validation_check(node.id.clone(), (service, validation, check), skip)
                }
                NodeKind::Tally { service, validation } => {
                    self.maker.validation_tally(node.id.clone(), (service, validation), skip)
                }
                NodeKind::Join { .. } => self.maker.blank(node.id.clone()),
            };
            self.add_edges(&mut step, position);
            steps.push(step);
            position += 1;
        }
    }

    /// A group or loop from its beginning; gives the position of its end.
    fn compound(&mut self, begin: usize, index: usize, steps: &mut Vec<Step>) -> usize {
        let end = self.end_of(index);
        let declared = *self.maker.outline.get(index);
        if declared.has_rounds() {
            self.rounds(begin, end, index, steps);
        } else if declared.is_repeated() {
            self.a_loop(begin, end, index, steps);
        } else {
            let id = self.maker.placed(&self.maker.outline.id(index));
            let mut first = self.maker.begin(index, &id);
            self.add_edges(&mut first, begin);
            self.group(first, (begin, end), index, id, steps);
        }
        end
    }

    fn end_of(&self, index: usize) -> usize {
        let id = self.maker.outline.id(index);
        self.graph.position(id.as_str()).unwrap_or(self.graph.len() - 1)
    }

    /// Everything of a group; its beginning has been made.
    fn group(
        &mut self,
        mut first: Step,
        (begin, end): (usize, usize),
        index: usize,
        id: StepId,
        steps: &mut Vec<Step>,
    ) {
        let skip = self.selection.skips[end];
        first.skip = skip.or(first.skip);
        let begin_id = first.id.clone();
        let passed_over = first.skip;
        let from = steps.len();
        let of = if self.maker.outline.get(index).included().is_some() {
            let before = self.maker.remember();
            let mut inside = Vec::new();
            let of = self.included(index, &id, &mut first, &mut inside);
            if passed_over.is_some() {
                self.maker.forget(before);
            }
            steps.push(first);
            steps.extend(inside);
            of
        } else {
            steps.push(first);
            self.range(begin + 1, end, steps);
            let of = self.maker.outline.inside(Some(index)).collect::<Vec<_>>();
            let of = of.into_iter().map(|inner| self.maker.outline.id(inner));
            of.map(|inner| self.maker.placed(&inner)).collect::<Vec<StepId>>()
        };
        if passed_over.is_some() {
            pass_over(&mut steps[from..], passed_over);
        }
        let mut last = self.group_end(index, id);
        last.skip = passed_over;
        last.needs.push(begin_id.clone());
        last.because.insert(begin_id, EdgeReason::Group);
        for inner in &of {
            last.after.push(inner.clone());
            last.because.insert(inner.clone(), EdgeReason::Group);
        }
        last.group = Some(Box::new(Group { of, undoing: Vec::new(), each: None }));
        steps.push(last);
    }

    /// The step that ends a group, or one element of a loop over a group.
    fn group_end(&mut self, index: usize, id: StepId) -> Step {
        let doc = self.maker.outline.get(index).doc;
        let at = self.maker.outline.path(index);
        let mut step = self.maker.outer(index, id);
        self.maker.inside = Some(index);
        self.maker.set_results(&mut step, doc, None, &at);
        // What the included runbook itself says about failures, unless it is said here.
        let included = self.maker.outline.get(index).included();
        let written = included.and_then(|uses| self.maker.runbook.part(uses)?.document.on_failure);
        if let Some(policy) = written.filter(|_| doc.on_failure.is_none()) {
            (step.on_failure, step.fails_group) = (policy, false);
        }
        step
    }

    /// The beginning of a loop, and its end without what it goes over.
    fn frame(&mut self, begin: usize, end: usize, index: usize, steps: &mut Vec<Step>) -> Step {
        let id = self.maker.placed(&self.maker.outline.id(index));
        let mut first = self.maker.begin(index, &id);
        first.skip = self.selection.skips[end].or(first.skip);
        self.add_edges(&mut first, begin);
        let mut last = self.maker.outer(index, id);
        last.skip = first.skip;
        last.needs.push(first.id.clone());
        last.because.insert(first.id.clone(), EdgeReason::Group);
        steps.push(first);
        last
    }

    /// How long a loop takes whose elements are made during the run: what is written, else `guess`.
    fn estimate(&mut self, last: &mut Step, guess: u64, written: Option<&str>, index: usize) {
        let at = self.maker.outline.path(index).field("estimate");
        (last.estimate_ms, last.estimate_source) = match self.maker.duration(written, &at) {
            Some(ms) => (ms, EstimateSource::Declared),
            None => (guess, EstimateSource::Typical),
        };
    }

    fn a_loop(&mut self, begin: usize, end: usize, index: usize, steps: &mut Vec<Step>) {
        let doc = self.maker.outline.get(index).doc;
        let mut last = self.frame(begin, end, index, steps);
        let (id, passed_over) = (last.id.clone(), last.skip);
        let before = self.maker.remember();
        let elements = self.maker.elements(index);
        let mut of = Vec::new();
        let mut items = None;
        if let Some(width) = doc.at_once() {
            self.maker.windows.insert(format!("{WINDOW}{id}"), Pool { capacity: width.max(1) });
        }
        let from = steps.len();
        match elements {
            Elements::Known(elements) => {
                for (key, value) in elements {
                    of.push(self.element(index, (begin, end), &key, Some(value), steps));
                }
                pass_over(&mut steps[from..], passed_over);
            }
            Elements::Unknown(from) => {
                let mut template = Vec::new();
                self.element(index, (begin, end), ANY, None, &mut template);
                pass_over(&mut template, passed_over);
                let max_items = doc.max_items.unwrap_or(MAX_ITEMS);
                let mut items_doc = Items {
                    from,
                    name: self.maker.outline.get(index).item().to_owned(),
                    estimate: EXPECTED_ITEMS.min(max_items),
                    max_items,
                    allow_empty: doc.allow_empty,
                    template,
                };
                // Of a loop over one action it is that of the action.
                let is_whole = doc.steps.is_some() || doc.uses.is_none();
                let written = doc.estimate.as_deref().filter(|_| is_whole);
                let guess = estimate(&mut items_doc, doc.at_once());
                self.estimate(&mut last, guess, written, index);
                items = Some(items_doc);
            }
        }
        if passed_over.is_some() {
            self.maker.forget(before);
        }
        for element in &of {
            last.after.push(element.clone());
            last.because.insert(element.clone(), EdgeReason::Group);
        }
        let each = Loop {
            max_parallel: doc.at_once(),
            max_failures: doc.max_failures.unwrap_or(0),
            items,
            rounds: None,
        };
        last.group = Some(Box::new(Group { of, undoing: Vec::new(), each: Some(each) }));
        steps.push(last);
    }

    /// A group that is repeated: a loop whose elements are its rounds.
    fn rounds(&mut self, begin: usize, end: usize, index: usize, steps: &mut Vec<Step>) {
        let doc = self.maker.outline.get(index).doc;
        let at = self.maker.outline.path(index);
        let mut last = self.frame(begin, end, index, steps);
        let passed_over = last.skip;
        let before = self.maker.remember();
        let mut template = Vec::new();
        self.element(index, (begin, end), ANY, None, &mut template);
        pass_over(&mut template, passed_over);
        self.maker.inside = Some(index);
        last.repeat = doc.repeat.as_ref().map(|repeat| self.maker.repeat(repeat, &at));
        if passed_over.is_some() {
            self.maker.forget(before);
        }
        // A round gives its outputs; what is expected of them is expected of the last one.
        if let Some(round) = template.last_mut() {
            last.expect = std::mem::take(&mut round.expect);
            last.recovery_point = round.recovery_point.take();
        }
        let (rounds, pause) = last.repeat.as_ref().map_or((1, 0), |repeat| {
            (u64::from(repeat.stable.max(repeat.at_least)), repeat.every_ms)
        });
        let guess = length(&mut template) * rounds + pause * rounds.saturating_sub(1);
        self.estimate(&mut last, guess, doc.estimate.as_deref(), index);
        let rounds = Some(Rounds { template });
        let each = Loop { max_parallel: None, max_failures: 0, items: None, rounds };
        last.group =
            Some(Box::new(Group { of: Vec::new(), undoing: Vec::new(), each: Some(each) }));
        steps.push(last);
    }

    /// What is done for one element; gives the step that ends it.
    fn element(
        &mut self,
        index: usize,
        (begin, end): (usize, usize),
        key: &str,
        value: Option<serde_json::Value>,
        steps: &mut Vec<Step>,
    ) -> StepId {
        let loop_id = self.maker.placed(&self.maker.outline.id(index));
        self.maker.enter(index, key, value);
        let id = self.maker.element_id(index);
        let window = self.maker.outline.get(index).doc.at_once().is_some();
        let window = window.then(|| format!("{WINDOW}{loop_id}"));
        let mut first = if self.maker.outline.get(index).is_group() {
            self.maker.begin(index, &id)
        } else {
            self.maker.step(index, None)
        };
        let outer_begin = begin_of(&loop_id);
        first.because.insert(outer_begin.clone(), EdgeReason::Group);
        first.needs.push(outer_begin);
        first.takes.extend(window.map(|pool| (pool, 1)));
        if self.maker.outline.get(index).is_group() {
            self.group(first, (begin, end), index, id.clone(), steps);
        } else {
            steps.push(first);
        }
        self.maker.around.pop();
        id
    }

    /// What the graph says that a node waits for, as ids of this plan.
    fn add_edges(&self, step: &mut Step, position: usize) {
        for (before, edge) in self.graph.incoming(position) {
            let node = self.graph.node(before);
            let mut id = self.maker.placed(&node.id);
            // Inside a loop, a step begins with its element.
            if let (NodeKind::Begin { step: group }, Reason::Group) = (node.kind, edge.reason)
                && self.maker.is_repeating(group)
            {
                id = begin_of(&self.maker.element_id(group));
            }
            let reason = match edge.reason {
                Reason::Written => None,
                Reason::Order => Some(EdgeReason::Order),
                Reason::Service { .. } => Some(EdgeReason::Service),
                Reason::Validation | Reason::Join => Some(EdgeReason::Validation),
                Reason::Closes => Some(EdgeReason::Closes),
                Reason::Group => Some(EdgeReason::Group),
            };
            if let Some(reason) = reason {
                step.because.insert(id.clone(), reason);
            }
            match edge.kind {
                EdgeKind::Needs => step.needs.push(id),
                EdgeKind::After => step.after.push(id),
            }
        }
    }
}

/// What is inside something that is passed over is passed over as well.
fn pass_over(steps: &mut [Step], skip: Option<SkipReason>) {
    if skip.is_some() {
        for step in steps {
            step.skip = step.skip.or(skip);
        }
    }
}

/// How long a loop of unknown elements is expected to take: one element, as often as they follow
/// each other.
fn estimate(items: &mut Items, max_parallel: Option<u32>) -> u64 {
    let width = max_parallel.unwrap_or(items.estimate).max(1);
    length(&mut items.template) * u64::from(items.estimate.div_ceil(width))
}

/// How long one element is expected to take, by its longest chain; its steps get their times, from
/// the start of the element.
fn length(template: &mut [Step]) -> u64 {
    let mut ends: std::collections::HashMap<StepId, u64> = std::collections::HashMap::new();
    // Templates stand in the order of the runbook: as often as there are steps reaches every chain.
    for _ in 0..template.len() {
        let mut changed = false;
        for step in &mut *template {
            let start = step.needs.iter().chain(&step.after);
            step.start_ms = start.filter_map(|id| ends.get(id)).max().copied().unwrap_or(0);
            step.finish_ms = step.start_ms + step.expected_ms();
            let end = step.finish_ms;
            changed |= ends.insert(step.id.clone(), end) != Some(end);
        }
        if !changed {
            break;
        }
    }
    ends.values().max().copied().unwrap_or(0)
}

/// Lets the elements of each loop start in the order of the list: among themselves, they take each
/// other's places in the order of dispatch.
pub(super) fn keep_item_order(steps: &mut [Step]) {
    let loops: Vec<Vec<StepId>> = steps
        .iter()
        .filter_map(|step| step.group.as_ref())
        .filter(|group| group.each.is_some() && group.of.len() > 1)
        .map(|group| group.of.clone())
        .collect();
    if loops.is_empty() {
        return;
    }
    let positions: std::collections::HashMap<StepId, usize> =
        steps.iter().enumerate().map(|(position, step)| (step.id.clone(), position)).collect();
    for of in loops {
        let firsts: Vec<usize> = of
            .iter()
            .filter_map(|id| {
                positions.get(begin_of(id).as_str()).or_else(|| positions.get(id.as_str())).copied()
            })
            .collect();
        let mut places: Vec<_> = firsts.iter().map(|first| steps[*first].urgency).collect();
        places.sort_unstable();
        for (first, urgency) in firsts.into_iter().zip(places) {
            steps[first].urgency = urgency;
        }
    }
}
