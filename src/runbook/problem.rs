use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It must be mended.
    Error,
    /// It may bite later; an error under `--strict`.
    Warning,
}

/// A place inside a document by its path: `steps[3].with.sql`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct DocPath(pub String);

impl DocPath {
    /// The path of step number `index` (from 0).
    #[must_use]
    pub fn step(index: usize) -> Self {
        Self(format!("steps[{index}]"))
    }

    /// The path of a top-level key.
    #[must_use]
    pub fn key(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// This path, one key deeper. A key that is no plain word is quoted: `labels["a.b"]`.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let plain = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !plain {
            return Self(format!("{}[{}]", self.0, serde_json::Value::from(name)));
        }
        let mut path = String::with_capacity(self.0.len() + 1 + name.len());
        path.push_str(&self.0);
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        Self(path)
    }

    /// This path, one list item deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for DocPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something wrong with a runbook, with its place and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `DR1xxx` language, `DR2xxx` planning; explained in `docs/errors/`.
    pub code: &'static str,
    /// Error or warning.
    pub level: Level,
    /// A lower-case sentence.
    pub message: String,
    /// The way out.
    pub help: Option<String>,
    /// Where, as a path; resolved to a span only when it is shown.
    pub at: Option<DocPath>,
    /// Bytes inside the scalar at `at` that it is about.
    pub within: Option<Range<usize>>,
    /// Bytes of the file, where already known (syntax errors).
    pub span: Option<Range<usize>>,
    /// The file, where it is not the runbook itself but one that it includes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Problem {
    /// An error at a path.
    pub fn error(code: &'static str, at: DocPath, message: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            message: message.into(),
            help: None,
            at: Some(at),
            within: None,
            span: None,
            file: None,
        }
    }

    /// An error at bytes of the file.
    pub fn in_text(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { at: None, span: Some(span), ..Self::error(code, DocPath::default(), message) }
    }

    /// A warning at a path.
    pub fn warning(code: &'static str, at: DocPath, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, at, message) }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same in an included file, unless it is about another one already.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }

    /// The same, about part of the scalar at its place.
    #[must_use]
    pub fn within(mut self, range: Option<Range<usize>>) -> Self {
        self.within = range;
        self
    }
}
