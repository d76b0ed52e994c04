use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::secret::holds_segments;
use crate::{CallError, Host, Secrets, resolve_secrets};

/// Names one attempt for ever: `(run, step, item, attempt)`. A call repeated after a crash carries
/// the same key, so a job or an API with client tokens recognises it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CallKey {
    /// The run.
    pub run: String,
    /// Full id of the step, its item included (`restart_web@web_1/stop`).
    pub step: String,
    /// What the attempt is for: `apply`, `check`, `repeat`, `undo`.
    pub purpose: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl CallKey {
    /// The key as one word of `[A-Za-z0-9._-]`, injective: fit for a folder name or a token.
    #[must_use]
    pub fn as_token(&self) -> String {
        use std::fmt::Write as _;
        let mut token = format!("{}.", self.run);
        for byte in self.step.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'_' => token.push(char::from(byte)),
                _ => {
                    let _ = write!(token, "-{byte:02x}");
                }
            }
        }
        let _ = write!(token, ".{}.{}", self.purpose, self.attempt);
        token
    }
}

/// One request to a plugin: everything it needs, nothing of `dr`'s own.
#[derive(Debug, Clone)]
pub struct Call {
    /// Action without the plugin's name: `command` of `ssh.command`.
    pub action: String,
    /// The step's `with`, rendered. Texts that hold secrets are still segments: read it through
    /// [`Call::input`].
    pub input: Value,
    /// The runbook's settings of this plugin, rendered in the same way.
    pub settings: Value,
    /// The step's host, if it has one.
    pub host: Option<Host>,
    /// Values of the secrets that `input` and `settings` refer to.
    pub secrets: Secrets,
    /// Identity of the attempt.
    pub key: CallKey,
    /// Milliseconds until the engine gives up on this attempt; absent: no limit.
    pub timeout_ms: Option<u64>,
    /// The effect that counts for this step (its own, else the action's).
    pub effect: crate::Effect,
}

/// A typed input or settings object of an action. Implemented by `#[derive(Deserialize)]` structs.
pub trait Input: DeserializeOwned {}
impl<T: DeserializeOwned> Input for T {}

impl Call {
    /// The input with its secrets in place, as the action's own type.
    ///
    /// # Errors
    /// A permanent `bad_input` that names the field.
    pub fn input<T: Input>(&self) -> Result<T, CallError> {
        typed(&self.input, &self.secrets, "with")
    }

    /// The plugin's settings with their secrets in place; absent settings are an empty object.
    ///
    /// # Errors
    /// A permanent `bad_input` that names the field.
    pub fn settings<T: Input>(&self) -> Result<T, CallError> {
        if self.settings.is_null() {
            return typed(&Value::Object(serde_json::Map::new()), &self.secrets, "plugins");
        }
        typed(&self.settings, &self.secrets, "plugins")
    }

    /// The host of a step that must have one.
    ///
    /// # Errors
    /// A permanent `host_missing`.
    pub fn host(&self) -> Result<&Host, CallError> {
        self.host.as_ref().ok_or_else(|| {
            CallError::permanent("host_missing", format!("`{}` needs a host", self.action))
        })
    }
}

fn typed<T: Input>(value: &Value, secrets: &Secrets, place: &str) -> Result<T, CallError> {
    let read = if holds_segments(value) {
        serde_json::from_value(resolve_secrets(value, secrets)?)
    } else {
        T::deserialize(value)
    };
    read.map_err(|error| CallError::permanent("bad_input", format!("`{place}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_distinct_and_safe() {
        let key = |step: &str| CallKey {
            run: "r1".into(),
            step: step.into(),
            purpose: "apply".into(),
            attempt: 1,
        };
        assert_eq!(
            key("restart_web@web_1/stop").as_token(),
            "r1.restart_web-40web_1-2fstop.apply.1"
        );
        assert_ne!(key("a/b").as_token(), key("a_b").as_token());
    }
}
