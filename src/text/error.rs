use std::ops::Range;

use super::Path;

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
    /// Where in a nested value the text stands, as a JSON pointer (`/headers/0`); empty for the
    /// value itself.
    pub pointer: String,
    /// Whether it reads a value of which only a masked form is known.
    pub masked: bool,
}

impl TextError {
    /// An error about the whole source.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            help: None,
            pointer: String::new(),
            masked: false,
        }
    }

    /// Something reads `path`, of which the journal has kept a masked form only.
    pub(super) fn masked(path: &Path) -> Self {
        let step = path.field(1).filter(|_| path.root() == "steps").unwrap_or("STEP");
        let mut error = Self::new(format!("`{path}` held a secret, and only `***` was kept of it"))
            .help(format!(
                "declare what holds a secret as `{{ value: …, secret: true }}`, which is kept; for \
                 this run, give it once more in the session that goes on: `dr resume RUN --redo \
                 {step} --retry …`"
            ));
        error.masked = true;
        error
    }

    /// The same, about these bytes of the source.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// The same, with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, inside the element `key` of a list or map.
    #[must_use]
    pub(super) fn inside(mut self, key: &str) -> Self {
        self.pointer = format!("/{}{}", key.replace('~', "~0").replace('/', "~1"), self.pointer);
        self
    }
}
