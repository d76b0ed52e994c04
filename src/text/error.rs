use std::ops::Range;

/// Why a text or a decision could not be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TextError {
    /// A lower-case fragment.
    pub message: String,
    /// Bytes of the source that it is about, where known.
    pub span: Option<Range<usize>>,
    /// The way out.
    pub help: Option<String>,
}

impl TextError {
    /// An error about the whole source.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, help: None }
    }
}
