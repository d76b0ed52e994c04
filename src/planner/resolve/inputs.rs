use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use crate::planner::codes;
use crate::planner::request::{InputValue, PlanRequest};
use crate::runbook::{DocPath, Document, InputDoc, InputType, Problem, nearest};
use crate::time::{Millis, Timestamp};

/// Every input with its value: given, or its default.
pub(super) fn resolve(
    document: &Document,
    request: &PlanRequest,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Value> {
    for name in request.inputs.keys() {
        if !document.inputs.contains_key(name) {
            let mut problem = Problem::error(
                codes::INPUT_UNKNOWN,
                DocPath::key("inputs"),
                format!("the runbook has no input `{name}`"),
            );
            let all: Vec<&str> = document.inputs.keys().map(String::as_str).collect();
            if let Some(near) = nearest(name, all.iter().copied()) {
                problem = problem.with_help(format!("did you mean `{near}`?"));
            } else if !all.is_empty() {
                problem = problem.with_help(format!("its inputs are {}", all.join(", ")));
            }
            problems.push(problem);
        }
    }
    let mut resolved = BTreeMap::new();
    for (name, doc) in &document.inputs {
        let at = DocPath(format!("inputs.{name}"));
        let read = match (request.inputs.get(name), &doc.default) {
            (Some(InputValue::Text(text)), _) => from_text(doc.kind, text),
            (Some(InputValue::Json(value)), _) | (None, Some(value)) => from_json(doc.kind, value),
            (None, None) => {
                let about =
                    doc.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
                let message = format!("input `{name}`{about} is missing");
                problems.push(
                    Problem::error(codes::INPUT_MISSING, at, message)
                        .with_help(format!("give it with `--input {name}=…`")),
                );
                continue;
            }
        };
        match read.and_then(|value| allowed(doc, &value).map(|()| value)) {
            Ok(value) => {
                resolved.insert(name.clone(), value);
            }
            Err(why) => problems.push(Problem::error(
                codes::INPUT_INVALID,
                at,
                format!("input `{name}`: {why}"),
            )),
        }
    }
    resolved
}

fn from_text(kind: InputType, text: &str) -> Result<Value, String> {
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

fn from_json(kind: InputType, value: &Value) -> Result<Value, String> {
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

fn allowed(doc: &InputDoc, value: &Value) -> Result<(), String> {
    if let Some(choices) = &doc.choices {
        let fits = choices.iter().any(|choice| from_json(doc.kind, choice).as_ref() == Ok(value));
        if !fits {
            let all: Vec<String> = choices.iter().map(plain).collect();
            return Err(format!("{} is none of {}", plain(value), all.join(", ")));
        }
    }
    if let Some(pattern) = &doc.pattern {
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
        let doc: InputDoc = serde_yaml::from_str(&format!("type: {kind}")).expect("an input");
        from_text(doc.kind, text)
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
        let doc: InputDoc =
            serde_yaml::from_str("{ type: duration, enum: [5m, 10m] }").expect("an input");
        assert_eq!(allowed(&doc, &json!({ "$duration": 300_000 })), Ok(()));
        assert_eq!(
            allowed(&doc, &json!({ "$duration": 1 })),
            Err("1ms is none of 5m, 10m".to_owned())
        );
        let doc: InputDoc =
            serde_yaml::from_str("{ type: string, pattern: 'db[0-9]+' }").expect("an input");
        assert_eq!(allowed(&doc, &json!("db12")), Ok(()));
        assert!(allowed(&doc, &json!("xdb12x")).is_err());
    }
}
