use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Document, Part};

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
}
