use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::CallError;

/// What is printed in place of a secret.
pub const MASK: &str = "***";

/// A secret shorter than this, in bytes, is not masked: half of every text would be unreadable. So it
/// is refused.
pub const SHORTEST_SECRET: usize = 4;

/// A value that is never printed, serialized or compared in logs. Zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Whether it is long enough to be masked: whitespace at its ends does not count.
    #[must_use]
    pub fn can_be_masked(&self) -> bool {
        self.0.trim().len() >= SHORTEST_SECRET
    }

    /// The value itself, for handing it to the system that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

/// The secrets of one call, by name.
pub type Secrets = BTreeMap<String, Secret>;

/// Puts the values of `secrets` where `value` refers to them.
///
/// A text that holds secrets is `{"$text": ["plain", {"$secret": "name"}, …]}`; it becomes one
/// string. Everything else is kept as it is.
///
/// # Errors
/// A reference to a secret that was not handed over is a permanent error `secret_missing`.
pub fn resolve_secrets(value: &Value, secrets: &Secrets) -> Result<Value, CallError> {
    Ok(match value {
        Value::Array(items) => Value::Array(
            items.iter().map(|item| resolve_secrets(item, secrets)).collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => {
            if let (1, Some(Value::Array(segments))) = (map.len(), map.get("$text")) {
                return Ok(Value::String(join(segments, secrets)?));
            }
            Value::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), resolve_secrets(item, secrets)?)))
                    .collect::<Result<_, CallError>>()?,
            )
        }
        other => other.clone(),
    })
}

/// Whether [`resolve_secrets`] would change `value`.
pub(crate) fn holds_segments(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_segments),
        Value::Object(map) => map.contains_key("$text") || map.values().any(holds_segments),
        _ => false,
    }
}

fn join(segments: &[Value], secrets: &Secrets) -> Result<String, CallError> {
    let mut text = String::new();
    for segment in segments {
        match segment {
            Value::String(plain) => text.push_str(plain),
            Value::Object(reference) => {
                let name = reference.get("$secret").and_then(Value::as_str).unwrap_or_default();
                let secret = secrets.get(name).ok_or_else(|| {
                    CallError::permanent("secret_missing", format!("no value for secret `{name}`"))
                })?;
                text.push_str(secret.expose());
            }
            _ => {}
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_with_secrets_becomes_one_string() {
        let secrets = Secrets::from([("pw".to_owned(), Secret::new("s3"))]);
        let value = json!({"url": {"$text": ["u:", {"$secret": "pw"}, "@h"]}, "n": [1]});
        assert_eq!(resolve_secrets(&value, &secrets).unwrap(), json!({"url": "u:s3@h", "n": [1]}));
        let error = resolve_secrets(&value, &Secrets::new()).unwrap_err();
        assert_eq!(error.code, "secret_missing");
        assert_eq!(format!("{:?}", secrets["pw"]), MASK);
    }
}
