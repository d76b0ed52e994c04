use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known about a failed call; it decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Nothing was applied, and the same call may work later (refused connection, throttling).
    Transient,
    /// Nothing more will come of the same call (non-zero exit, bad request).
    Permanent,
    /// The target understood and refused: credentials or permissions.
    Denied,
    /// The call was stopped on request.
    Cancelled,
    /// It is not known whether the action was applied (lost connection, time-out after sending).
    Unknown,
}

impl ErrorClass {
    /// The word used in runbooks (`error.class`), events and evidence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a call did not succeed. `code` is stable and short (`exit_1`, `host_key_mismatch`,
/// `connection_refused`): expressions compare it. `message` is a lower-case fragment for people,
/// `help` the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Decides retry, check or question.
    pub class: ErrorClass,
    /// Stable, in snake case.
    pub code: String,
    /// What happened, without secrets.
    pub message: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Underlying causes, outermost first; for a command the last lines of its stderr.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl CallError {
    /// An error of `class` with a stable `code` and a message.
    pub fn new(class: ErrorClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { class, code: code.into(), message: message.into(), help: None, causes: Vec::new() }
    }

    /// See [`ErrorClass::Transient`].
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Transient, code, message)
    }

    /// See [`ErrorClass::Permanent`].
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Permanent, code, message)
    }

    /// See [`ErrorClass::Denied`].
    pub fn denied(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Denied, code, message)
    }

    /// See [`ErrorClass::Unknown`].
    pub fn unknown(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unknown, code, message)
    }

    /// See [`ErrorClass::Cancelled`]. `message` says whether the end was confirmed.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Cancelled, "cancelled", message)
    }

    /// The same error with a way out.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same error with an underlying cause appended.
    #[must_use]
    pub fn with_cause(mut self, cause: &(impl ToString + ?Sized)) -> Self {
        self.causes.push(cause.to_string());
        self
    }
}
