use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What repeating an action would do. Ordered from the laxest to the strictest.
///
/// It decides what may happen when the outcome of an attempt is unknown: after a crash, a lost
/// connection, a time-out.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Only reads: run again at will.
    Pure,
    /// Repeating it with the same arguments changes nothing more.
    Idempotent,
    /// Something can tell whether it was done: that is asked before it is repeated.
    Checkable,
    /// Repeating it does it twice, and nothing can tell: a person is asked.
    Once,
}

impl Effect {
    /// Whether an attempt with an unknown outcome may simply be run again.
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        matches!(self, Self::Pure | Self::Idempotent)
    }

    /// The word used in runbooks, plans and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Idempotent => "idempotent",
            Self::Checkable => "checkable",
            Self::Once => "once",
        }
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
