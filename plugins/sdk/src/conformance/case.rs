use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::{Method, ResultFrame};
use crate::{Checked, ErrorClass, Host};

/// A call by the author of a plugin, and what it must answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// What to do with the action.
    pub method: Method,
    /// Action without the plugin's name.
    pub action: String,
    /// The step's `with`.
    #[serde(default)]
    pub input: Value,
    /// The runbook's settings of the plugin.
    #[serde(default)]
    pub settings: Value,
    /// The step's host.
    #[serde(default)]
    pub host: Option<Host>,
    /// Milliseconds after which it is told to stop; it must then end within 2 s.
    #[serde(default)]
    pub stop_after_ms: Option<u64>,
    /// What it must answer.
    pub expect: Expected,
}

/// What a call must answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// The action was done, with any result.
    Applied,
    /// The check says so: `"running"`, `"not_done"`, `{"done": …}`, `{"cannot_tell": …}`.
    Checked(Checked),
    /// A preview, of any kind.
    Preview,
    /// An error of this class.
    Error(ErrorClass),
}

impl Expected {
    pub(super) fn judge(&self, result: &ResultFrame) -> Result<(), String> {
        let fits = match self {
            Self::Applied => result.applied.is_some(),
            Self::Checked(wanted) => result.checked.as_ref() == Some(wanted),
            Self::Preview => result.preview.is_some(),
            Self::Error(class) => result.error.as_ref().is_some_and(|error| error.class == *class),
        };
        if fits {
            return Ok(());
        }
        let answer = serde_json::to_string(result).unwrap_or_default();
        Err(format!("expected {self:?}, it answered {answer}"))
    }
}
