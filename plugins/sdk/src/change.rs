use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that an action changed, for the run's report. An action lists them under `changes` of
/// its `result`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What was changed: `A shop.example.com`, `instance i-0abc (web-1)`.
    pub what: String,
    /// How it was; null if it was not there.
    pub before: Option<String>,
    /// How it is; null if it is gone.
    pub after: Option<String>,
}

impl std::fmt::Display for Change {
    /// `A shop.example.com: 10.0.0.1, TTL 60 → 10.1.0.1, TTL 60`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) if before == after => write!(f, "{what}: {after}"),
            (Some(before), Some(after)) => write!(f, "{what}: {before} → {after}"),
            (None, Some(after)) => write!(f, "{what}: made, {after}"),
            (Some(before), None) => write!(f, "{what}: removed, was {before}"),
            (None, None) => f.write_str(what),
        }
    }
}
