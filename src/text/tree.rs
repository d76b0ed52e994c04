use std::collections::BTreeMap;

use super::{Path, Segment};

/// The parts of a value that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tree {
    /// All of it.
    whole: bool,
    fields: BTreeMap<String, Tree>,
    indexes: BTreeMap<usize, Tree>,
}

static WHOLE: Tree = Tree { whole: true, fields: BTreeMap::new(), indexes: BTreeMap::new() };

impl Tree {
    /// All of a value.
    pub(super) fn whole() -> Self {
        WHOLE.clone()
    }

    /// Adds what `path` reads.
    pub(super) fn add(&mut self, path: &Path) {
        let mut here = self;
        for segment in &path.0 {
            here = match segment {
                Segment::Field(name) => here.fields.entry(name.clone()).or_default(),
                Segment::Index(index) => here.indexes.entry(*index).or_default(),
                Segment::Dynamic => break,
            };
        }
        here.whole = true;
    }

    /// Whether all of it is read.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// What is read of the field, if anything.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        if self.whole { Some(&WHOLE) } else { self.fields.get(name) }
    }

    /// What is read of the element, if anything.
    pub(super) fn index(&self, index: usize) -> Option<&Self> {
        if self.whole { Some(&WHOLE) } else { self.indexes.get(&index) }
    }

    /// The fields that are read by name.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.fields.iter().map(|(name, tree)| (name.as_str(), tree))
    }

    /// Whether elements are read by number.
    pub(super) fn has_indexes(&self) -> bool {
        !self.indexes.is_empty()
    }
}
