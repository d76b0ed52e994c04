use std::ops::Range;

use super::Path;

/// One place where a text or decision reads a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The name.
    pub path: Path,
    /// Bytes of the source.
    pub span: Option<Range<usize>>,
    /// Where in a nested value the text stands, as a JSON pointer; empty for the value itself.
    pub pointer: String,
    /// Whether it may be absent here: tested by `has(…)` first, or given a default.
    pub guarded: bool,
    /// Where the name looks like half of one with a dash, what to write instead.
    pub dashed: Option<String>,
}
