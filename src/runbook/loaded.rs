use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::{Document, Graph, Outline, Part, Problem};

/// A runbook that was read without an error of form.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// What it says.
    pub document: Document,
    /// Name of its file as the user gave it.
    pub file: String,
    /// Its text, for showing places.
    pub text: Arc<str>,
    /// The runbooks that it includes, by path as it names them.
    pub parts: BTreeMap<String, Part>,
    /// Made when somebody first asks: checking and planning ask the same.
    pub(super) graph: OnceLock<(Graph, Vec<Problem>)>,
}

impl Runbook {
    /// Its graph, and what is wrong with that; `outline` is its own. Nothing that orders steps may be
    /// changed afterwards.
    #[must_use]
    pub fn graph(&self, outline: &Outline<'_>) -> &(Graph, Vec<Problem>) {
        self.graph.get_or_init(|| Graph::of(&self.document, outline))
    }
}
