use std::collections::HashMap;

use super::{DocPath, Document, StepDoc, is_path};
use crate::id::StepId;
use crate::words::Phase;

/// Every declared step, those inside groups included, in the order of the runbook: a group comes
/// before its steps.
#[derive(Debug, Clone)]
pub struct Outline<'a> {
    steps: Vec<Declared<'a>>,
    /// Full id of each step.
    ids: Vec<StepId>,
    /// Step of each name, by the group that it is declared in.
    by_name: HashMap<(Option<u32>, &'a str), usize>,
    in_order: bool,
}

/// One declared step and its place among the others.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// What is written.
    pub doc: &'a StepDoc,
    /// The group that it belongs to, as a position in the outline.
    pub parent: Option<u32>,
    /// Its position among its siblings, from 0.
    pub sibling: u32,
    /// The position after its last inner step; the next one for a step that is no group.
    pub end: u32,
    /// Its service: its own, else that of the group.
    pub service: Option<&'a str>,
    /// Its phase: its own, else that of the group.
    pub phase: Option<Phase>,
}

impl<'a> Outline<'a> {
    /// The outline of a document.
    #[must_use]
    pub fn new(document: &'a Document) -> Self {
        let mut outline = Self {
            steps: Vec::with_capacity(document.steps.len()),
            ids: Vec::with_capacity(document.steps.len()),
            by_name: HashMap::with_capacity(document.steps.len()),
            in_order: document.in_order,
        };
        outline.add(&document.steps, None);
        outline
    }

    fn add(&mut self, steps: &'a [StepDoc], parent: Option<u32>) {
        let group = parent.map(|parent| self.steps[parent as usize]);
        for (sibling, doc) in steps.iter().enumerate() {
            let position = self.steps.len();
            self.by_name.entry((parent, doc.id.value.as_str())).or_insert(position);
            let own = doc.id.value.as_str();
            self.ids.push(match parent {
                None => StepId::from(own),
                Some(parent) => StepId::from(format!("{}/{own}", self.ids[parent as usize])),
            });
            self.steps.push(Declared {
                doc,
                parent,
                sibling: sibling as u32,
                end: 0,
                service: doc.service.as_deref().or_else(|| group.and_then(|group| group.service)),
                phase: doc.phase.or_else(|| group.and_then(|group| group.phase)),
            });
            if let Some(inner) = &doc.steps {
                self.add(inner, Some(position as u32));
            }
            self.steps[position].end = self.steps.len() as u32;
        }
    }

    /// All steps in order.
    #[must_use]
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &Declared<'a>> {
        self.steps.iter()
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The step at a position.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    pub fn get(&self, step: usize) -> &Declared<'a> {
        &self.steps[step]
    }

    /// Where the step is written.
    #[must_use]
    pub fn path(&self, step: usize) -> DocPath {
        let declared = &self.steps[step];
        match declared.parent {
            None => DocPath::step(declared.sibling as usize),
            Some(parent) => {
                self.path(parent as usize).field("steps").index(declared.sibling as usize)
            }
        }
    }

    /// Full id of the step, without elements of loops: `restart_web/stop`.
    #[must_use]
    pub fn id(&self, step: usize) -> StepId {
        self.ids[step].clone()
    }

    /// Positions of the steps directly inside a group; of the runbook for `None`.
    pub fn inside(&self, group: Option<usize>) -> impl Iterator<Item = usize> {
        let (mut next, end) = match group {
            None => (0, self.steps.len()),
            Some(group) => (group + 1, self.steps[group].end as usize),
        };
        std::iter::from_fn(move || {
            let step = next;
            (step < end).then(|| {
                next = self.steps[step].end as usize;
                step
            })
        })
    }

    /// The step and the groups around it, from the inside out.
    pub fn outwards(&self, step: usize) -> impl Iterator<Item = &Declared<'a>> {
        std::iter::successors(Some(&self.steps[step]), |declared| {
            declared.parent.map(|parent| &self.steps[parent as usize])
        })
    }

    /// The step that a name means inside `group` (at the top for `None`): a step of the group,
    /// else one of those around it.
    #[must_use]
    pub fn named(&self, name: &str, group: Option<usize>) -> Option<usize> {
        let mut level = group.map(|group| group as u32);
        loop {
            if let Some(step) = self.by_name.get(&(level, name)) {
                return Some(*step);
            }
            level = self.steps[level? as usize].parent;
        }
    }

    /// The first step of this id in the same group: another one, if an id is used twice.
    #[must_use]
    pub fn first_named(&self, step: usize) -> usize {
        let declared = &self.steps[step];
        self.by_name[&(declared.parent, declared.doc.id.value.as_str())]
    }

    /// Names that can be said inside `group`, the nearest first.
    #[must_use]
    pub fn names(&self, group: Option<usize>) -> Vec<&'a str> {
        let mut names = Vec::new();
        let mut level = group;
        loop {
            names.extend(self.inside(level).map(|step| self.steps[step].doc.id.value.as_str()));
            match level {
                Some(group) => level = self.steps[group].parent.map(|parent| parent as usize),
                None => return names,
            }
        }
    }

    /// Whether a group, or the runbook for `None`, keeps its steps in order.
    #[must_use]
    pub fn in_order(&self, group: Option<u32>) -> bool {
        group.map_or(self.in_order, |group| self.steps[group as usize].doc.in_order)
    }

    /// The host that a step names, itself or by its group.
    #[must_use]
    pub fn host(&self, step: usize) -> Option<(&'a str, bool)> {
        self.outwards(step)
            .enumerate()
            .find_map(|(out, declared)| declared.doc.host.as_deref().map(|host| (host, out == 0)))
    }

    /// The step of this full id, unless it is inside a loop and so stands for several.
    #[must_use]
    pub fn lasting(&self, id: &str) -> Option<usize> {
        let mut group = None;
        for name in id.split('/') {
            if group.is_some_and(|group: usize| self.steps[group].is_repeated()) {
                return None;
            }
            let parent = group.map(|group| group as u32);
            group = Some(*self.by_name.get(&(parent, name))?);
        }
        group
    }

    /// Full ids of the steps that are not inside a loop.
    #[must_use]
    pub fn all_lasting(&self) -> Vec<StepId> {
        let is_alone = |step: &usize| !self.outwards(*step).skip(1).any(Declared::is_repeated);
        (0..self.steps.len()).filter(is_alone).map(|step| self.id(step)).collect()
    }

    /// What the loops around a step call their elements, the innermost first; its own loop counts.
    pub fn item_names(&self, step: usize) -> impl Iterator<Item = &'a str> {
        self.outwards(step).filter(|declared| declared.doc.for_each.is_some()).map(Declared::item)
    }
}

impl<'a> Declared<'a> {
    /// Whether it is a group of steps: its own, or those of a runbook that it includes.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.doc.steps.is_some() || self.included().is_some()
    }

    /// The path of the runbook that it includes.
    #[must_use]
    pub fn included(&self) -> Option<&'a str> {
        self.doc.uses.as_deref().filter(|uses| is_path(uses))
    }

    /// Whether others come inside it: it is a group or a loop.
    #[must_use]
    pub fn is_compound(&self) -> bool {
        self.is_group() || self.doc.for_each.is_some()
    }

    /// Whether it is a group, or includes a runbook, that is done until something holds.
    #[must_use]
    pub fn has_rounds(&self) -> bool {
        self.is_group() && self.doc.repeat.is_some() && self.doc.for_each.is_none()
    }

    /// Whether what is inside it stands for several steps: it is a loop, or has rounds.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.doc.for_each.is_some() || self.has_rounds()
    }

    /// What its loop calls the element.
    #[must_use]
    pub fn item(&self) -> &'a str {
        self.doc.item_name.as_deref().unwrap_or("item")
    }
}
