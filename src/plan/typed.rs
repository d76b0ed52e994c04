//! Values that people give: read by type, and held against what they may be.

use std::collections::BTreeMap;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::text::secret_reference;
use crate::time::{Millis, Timestamp};
use crate::words::InputType;

/// A value that a gate asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// Its name: that of the output that it becomes.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Taken if it is not given; without it, it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The values that it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<Vec<Value>>,
    /// A regular expression that the whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Whether it is a secret: then it is given as a reference to one. Never of a gate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl Asked {
    /// A value of its type: the first of its choices, else any.
    #[must_use]
    pub fn example(&self) -> Value {
        if let Some(choice) = self.choices.iter().flatten().next() {
            return choice.clone();
        }
        match self.kind {
            InputType::String => json!("rehearsed"),
            InputType::Integer => json!(1),
            InputType::Number => json!(1.0),
            InputType::Boolean => json!(true),
            InputType::Duration => json!({ "$duration": 60_000 }),
            InputType::Timestamp => json!({ "$time": "2026-01-06T02:00:00Z" }),
            InputType::List => json!([]),
            InputType::Map => json!({}),
        }
    }

    /// The value that somebody typed.
    ///
    /// # Errors
    /// Why it cannot be taken.
    pub fn typed(&self, text: &str) -> Result<Value, String> {
        from_text(self.kind, text).and_then(|value| self.fitting(value))
    }

    fn fitting(&self, value: Value) -> Result<Value, String> {
        allowed(self.kind, self.choices.as_deref(), self.pattern.as_deref(), &value)?;
        Ok(value)
    }
}

/// The values of all that is asked for, from those that were given.
///
/// # Errors
/// What is missing, unknown or does not fit: the first of it.
pub fn answers(
    asked: &[Asked],
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, String> {
    if let Some(unknown) = given.keys().find(|name| asked.iter().all(|one| one.name != **name)) {
        return Err(format!("it asks for no `{unknown}`"));
    }
    let mut answers = BTreeMap::new();
    for one in asked {
        let value = given.get(&one.name).or(one.default.as_ref());
        let value = value.ok_or_else(|| format!("it asks for `{}`: give it a value", one.name))?;
        if secret_reference(value).is_some() {
            return Err(format!("`{}`: it passes for a reference to a secret", one.name));
        }
        let value = from_json(one.kind, value)
            .and_then(|value| one.fitting(value))
            .map_err(|why| format!("`{}`: {why}", one.name))?;
        answers.insert(one.name.clone(), value);
    }
    Ok(answers)
}

/// The value that a text stands for.
///
/// # Errors
/// Why it is none of that type.
pub fn from_text(kind: InputType, text: &str) -> Result<Value, String> {
    match kind {
        InputType::String => Ok(Value::String(text.to_owned())),
        InputType::Integer => text
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| format!("`{text}` is not a whole number")),
        InputType::Number => text
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| format!("`{text}` is not a number")),
        InputType::Boolean => text
            .parse::<bool>()
            .map(Value::Bool)
            .map_err(|_| format!("`{text}` is neither true nor false")),
        InputType::Duration => duration(text),
        InputType::Timestamp => timestamp(text),
        InputType::List => match serde_json::from_str::<Value>(text) {
            Ok(list @ Value::Array(_)) => Ok(list),
            _ if text.trim().is_empty() => Ok(json!([])),
            _ if text.trim_start().starts_with('[') => {
                Err(format!("`{text}` is not a list: write `a,b` or JSON"))
            }
            _ => Ok(text.split(',').map(|item| Value::from(item.trim())).collect()),
        },
        InputType::Map => match serde_json::from_str::<Value>(text) {
            Ok(map @ Value::Object(_)) => Ok(map),
            _ => Err(format!("`{text}` is not a map: write JSON, `{{\"a\": 1}}`")),
        },
    }
}

/// The value that data stands for.
///
/// # Errors
/// Why it is none of that type.
pub fn from_json(kind: InputType, value: &Value) -> Result<Value, String> {
    let wrong = |wanted: &str| Err(format!("`{value}` is not {wanted}"));
    match (kind, value) {
        (InputType::Duration, Value::String(text)) => duration(text),
        (InputType::Timestamp, Value::String(text)) => timestamp(text),
        (InputType::Duration, Value::Object(typed)) if typed.contains_key("$duration") => {
            Ok(value.clone())
        }
        (InputType::Timestamp, Value::Object(typed)) if typed.contains_key("$time") => {
            Ok(value.clone())
        }
        (InputType::String, Value::String(_))
        | (InputType::Boolean, Value::Bool(_))
        | (InputType::Number, Value::Number(_))
        | (InputType::List, Value::Array(_))
        | (InputType::Map, Value::Object(_)) => Ok(value.clone()),
        (InputType::Integer, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
        (InputType::String, _) => wrong("a text (put it in quotes)"),
        (InputType::Integer, _) => wrong("a whole number"),
        (InputType::Number, _) => wrong("a number"),
        (InputType::Boolean, _) => wrong("true or false"),
        (InputType::Duration, _) => wrong("a duration such as `90s` or `15m`"),
        (InputType::Timestamp, _) => wrong("a time such as `2026-01-31T12:00:00Z`"),
        (InputType::List, _) => wrong("a list"),
        (InputType::Map, _) => wrong("a map"),
    }
}

fn duration(text: &str) -> Result<Value, String> {
    text.parse::<Millis>().map(|duration| json!({ "$duration": duration.0 }))
}

fn timestamp(text: &str) -> Result<Value, String> {
    text.parse::<Timestamp>()
        .map(|time| json!({ "$time": time }))
        .map_err(|_| format!("`{text}` is not a time: write `2026-01-31T12:00:00Z`"))
}

/// Whether a value is one of `choices` and matches `pattern`, if there are such.
///
/// # Errors
/// Why it does not.
pub fn allowed(
    kind: InputType,
    choices: Option<&[Value]>,
    pattern: Option<&str>,
    value: &Value,
) -> Result<(), String> {
    if let Some(choices) = choices {
        let fits = choices.iter().any(|choice| from_json(kind, choice).as_ref() == Ok(value));
        if !fits {
            let all: Vec<String> = choices.iter().map(plain).collect();
            return Err(format!("{} is none of {}", plain(value), all.join(", ")));
        }
    }
    if let Some(pattern) = pattern {
        let regex = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|_| format!("its pattern `{pattern}` is not a regular expression"))?;
        let text = plain(value);
        if !regex.is_match(&text) {
            return Err(format!("`{text}` does not match `{pattern}`"));
        }
    }
    Ok(())
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    if let Some(ms) = value.get("$duration").and_then(Value::as_u64) {
        return Millis(ms).to_string();
    }
    match value.get("$time").unwrap_or(value) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, text: &str) -> Result<Value, String> {
        from_text(kind.parse().expect("a type"), text)
    }

    #[test]
    fn texts_are_read_by_type() {
        for (kind, text, value) in [
            ("string", "007", json!("007")),
            ("integer", "-7", json!(-7)),
            ("number", "1.5", json!(1.5)),
            ("boolean", "true", json!(true)),
            ("duration", "1h30m", json!({ "$duration": 5_400_000 })),
            ("timestamp", "2026-01-31T12:00:00+01:00", json!({ "$time": "2026-01-31T11:00:00Z" })),
            ("list", "a, b", json!(["a", "b"])),
            ("list", "[1, \"x\"]", json!([1, "x"])),
            ("list", "", json!([])),
            ("map", "{\"a\": 1}", json!({ "a": 1 })),
        ] {
            assert_eq!(read(kind, text), Ok(value), "{kind} {text}");
        }
        for (kind, text) in [
            ("integer", "1.5"),
            ("number", "nan"),
            ("boolean", "yes"),
            ("duration", "5"),
            ("timestamp", "yesterday"),
            ("list", "[1,"),
            ("map", "a=1"),
        ] {
            assert!(read(kind, text).is_err(), "{kind} {text}");
        }
    }

    #[test]
    fn choices_and_patterns_hold_for_the_whole_value() {
        let choices = [json!("5m"), json!("10m")];
        let of = |value: Value| allowed(InputType::Duration, Some(&choices), None, &value);
        assert_eq!(of(json!({ "$duration": 300_000 })), Ok(()));
        assert_eq!(of(json!({ "$duration": 1 })), Err("1ms is none of 5m, 10m".to_owned()));
        let of = |value: Value| allowed(InputType::String, None, Some("db[0-9]+"), &value);
        assert_eq!(of(json!("db12")), Ok(()));
        assert!(of(json!("xdb12x")).is_err());
    }
}
