use serde_json::{Map, Value};

/// Key of what the journal keeps of a value that held a secret: the value with `***` in its place.
pub const MASKED: &str = "$masked";

/// The mark of a value that held a secret, over what may be shown of it. Whoever needs the value
/// itself is refused: nothing is done with `***` in place of a secret.
#[must_use]
pub fn masked_value(shown: Value) -> Value {
    Value::Object(Map::from_iter([(MASKED.to_owned(), shown)]))
}

/// Whether `map` is such a mark.
#[must_use]
pub fn is_masked(map: &Map<String, Value>) -> bool {
    map.len() == 1 && map.contains_key(MASKED)
}

/// Whether any part of `value` is known in its masked form only.
#[must_use]
pub fn holds_masked(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_masked),
        Value::Object(map) => is_masked(map) || map.values().any(holds_masked),
        _ => false,
    }
}

/// The value as it is shown: with what may be shown of every part that held a secret.
#[must_use]
pub fn shown(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(map) => match map.get(MASKED).filter(|_| map.len() == 1) {
            Some(part) => part.clone(),
            None => map.iter().map(|(key, part)| (key.clone(), shown(part))).collect(),
        },
        other => other.clone(),
    }
}
