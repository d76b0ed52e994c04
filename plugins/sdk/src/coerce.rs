use std::time::Duration;

use schemars::Schema;
use serde_json::Value;

use crate::Period;

/// Turns numbers, booleans, times and durations into text wherever `schema` asks for text.
///
/// A text that is exactly one `{{ path }}` gives the value with its type, so that a number stays a
/// number where one is wanted; where the schema wants text (an argument, a variable), the same
/// value is its text.
#[must_use]
pub fn coerce(schema: &Schema, value: Value) -> Value {
    if is_text_already(&value) { value } else { walk(schema.as_value(), value) }
}

/// Whether nothing in `value` could become text that is none yet.
fn is_text_already(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Null => true,
        Value::Array(items) => items.iter().all(is_text_already),
        Value::Object(map) => {
            !map.keys().any(|key| key.starts_with('$')) && map.values().all(is_text_already)
        }
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn walk(schema: &Value, value: Value) -> Value {
    if wants_text(schema) {
        return as_text(value);
    }
    match value {
        Value::Array(items) => match schema.get("items") {
            Some(item) => Value::Array(items.into_iter().map(|it| walk(item, it)).collect()),
            None => Value::Array(items),
        },
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let part = schema
                        .get("properties")
                        .and_then(|properties| properties.get(&key))
                        .or_else(|| schema.get("additionalProperties"))
                        .map(only_variant);
                    let value = match part {
                        Some(part) => walk(part, value),
                        None => value,
                    };
                    (key, value)
                })
                .collect(),
        ),
        other => other,
    }
}

/// Of "this or null", this.
fn only_variant(schema: &Value) -> &Value {
    let variants = schema.get("anyOf").and_then(Value::as_array);
    let mut real =
        variants.into_iter().flatten().filter(|it| it.get("type") != Some(&"null".into()));
    match (real.next(), real.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

/// Whether text, or text or nothing, is all that fits.
fn wants_text(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => {
            kinds.iter().any(|kind| kind == "string")
                && kinds.iter().all(|kind| kind == "string" || kind == "null")
        }
        _ => false,
    }
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        Value::Object(map) if map.len() == 1 => {
            match (map.get("$time"), map.get("$duration").and_then(Value::as_u64)) {
                (Some(Value::String(text)), _) => Value::String(text.clone()),
                (_, Some(ms)) => Value::String(Period(Duration::from_millis(ms)).to_string()),
                _ => Value::Object(map),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_made_where_text_is_wanted_and_nowhere_else() {
        let schema: Schema = json!({
            "type": "object",
            "properties": {
                "argv": { "type": "array", "items": { "type": "string" } },
                "env": { "type": "object", "additionalProperties": { "type": "string" } },
                "port": { "type": "integer" },
                "cwd": { "type": ["string", "null"] },
                "body": {},
                "name": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
            },
        })
        .try_into()
        .unwrap();
        let given = json!({
            "argv": ["-p", 5432, true, { "$text": ["a", { "$secret": "s" }] }],
            "env": { "N": 1.5, "AT": { "$time": "2026-01-01T00:00:00Z" }, "D": { "$duration": 300_000 } },
            "port": 5432, "cwd": null, "body": [1, true], "name": 7, "other": 1,
        });
        let made = json!({
            "argv": ["-p", "5432", "true", { "$text": ["a", { "$secret": "s" }] }],
            "env": { "N": "1.5", "AT": "2026-01-01T00:00:00Z", "D": "5m0s" },
            "port": 5432, "cwd": null, "body": [1, true], "name": "7", "other": 1,
        });
        assert_eq!(coerce(&schema, given), made);
    }
}
