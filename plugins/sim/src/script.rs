use std::borrow::Cow;
use std::time::Duration;

use dr_plugin::{CallError, ErrorClass, Period, PreviewStatus};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The plugin has no settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {}

/// `with` of both actions: what is to happen.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// Its `result`, of any form; null unless given.
    #[serde(default)]
    pub(crate) result: Value,
    /// How long it takes before it ends, well or not: a duration, or a number of milliseconds.
    #[serde(default)]
    pub(crate) delay: Delay,
    /// Text that it prints, before the delay.
    #[serde(default)]
    pub(crate) output: Option<String>,
    /// That it fails, and how.
    #[serde(default)]
    pub(crate) fail: Option<Failure>,
    /// What a look ahead finds; `ok` unless given.
    #[serde(default)]
    pub(crate) preview: Option<Finding>,
}

/// A scripted failure.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// What is known about it; permanent unless given.
    #[serde(default = "permanent")]
    class: ErrorClass,
    /// Its code; `sim_failed` unless given.
    #[serde(default = "code")]
    code: String,
    /// Its message.
    #[serde(default = "message")]
    message: String,
    /// What a person can do about it.
    #[serde(default)]
    help: Option<String>,
    /// Only the first attempts fail, this many; every attempt unless given.
    #[serde(default)]
    times: Option<u32>,
}

/// A scripted look ahead.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Finding {
    /// It could be done now.
    Ok,
    /// It would change something.
    WouldChange,
    /// All is already as asked.
    AlreadySo,
    /// The target does not answer.
    Unreachable,
    /// The target refuses.
    Denied,
    /// The target does not exist yet.
    NotYet,
}

/// A length of time; a bare number is milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Delay(pub(crate) Duration);

impl Failure {
    /// The error of attempt number `attempt`, counted from 1, if it fails.
    pub(crate) fn of_attempt(&self, attempt: u32) -> Option<CallError> {
        if self.times.is_some_and(|times| attempt > times) {
            return None;
        }
        let mut error = CallError::new(self.class, &self.code, &self.message);
        error.help.clone_from(&self.help);
        Some(error)
    }
}

impl From<Finding> for PreviewStatus {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Ok => Self::Ok,
            Finding::WouldChange => Self::WouldChange,
            Finding::AlreadySo => Self::AlreadySo,
            Finding::Unreachable => Self::Unreachable,
            Finding::Denied => Self::Denied,
            Finding::NotYet => Self::NotYet,
        }
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        // A text of digits is what a bare number becomes where `with` keeps its source text.
        let millis = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        match millis {
            Some(millis) => Ok(Self(Duration::from_millis(millis))),
            None => serde_json::from_value::<Period>(value)
                .map(|period| Self(period.0))
                .map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for Delay {
    fn schema_name() -> Cow<'static, str> {
        "Delay".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                Period::json_schema(generator),
            ]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

fn permanent() -> ErrorClass {
    ErrorClass::Permanent
}

fn code() -> String {
    "sim_failed".to_owned()
}

fn message() -> String {
    "this failure is scripted".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn delays_are_milliseconds_or_durations() {
        let millis =
            |value| serde_json::from_value::<Delay>(value).map(|delay| delay.0.as_millis()).ok();
        assert_eq!(millis(json!(50)), Some(50));
        assert_eq!(millis(json!("50")), Some(50));
        assert_eq!(millis(json!("1m30s")), Some(90_000));
        assert_eq!(millis(json!({"$duration": "2s"})), Some(2_000));
        assert_eq!(millis(json!("soon")), None);
        assert_eq!(millis(json!(-1)), None);
    }

    #[test]
    fn only_the_first_attempts_fail() {
        let failure: Failure =
            serde_json::from_value(json!({"class": "transient", "times": 2})).unwrap();
        assert_eq!(failure.of_attempt(2).unwrap().class, ErrorClass::Transient);
        assert_eq!(failure.of_attempt(3), None);
        let always: Failure = serde_json::from_value(json!({"code": "x"})).unwrap();
        assert_eq!(always.of_attempt(99).unwrap().code, "x");
    }
}
