use bytes::BytesMut;
use dr_plugin::CallError;
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use crate::literal;

/// A parameter in the server's text form: the server reads it as the type it expects there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Param(Option<String>);

impl Param {
    /// `value` for a parameter of type `kind`. `place` counts from 1.
    ///
    /// # Errors
    /// A permanent `bad_param` for a list or map where the statement expects a scalar.
    pub(crate) fn new(place: usize, kind: &Type, value: &Value) -> Result<Self, CallError> {
        Ok(Self(match value {
            Value::Null => None,
            other => Some(text(kind, other).map_err(|what| {
                CallError::permanent(
                    "bad_param",
                    format!("parameter ${place} is {what}, and the statement expects {kind}"),
                )
            })?),
        }))
    }
}

/// The types that the server expects and the values given, one for one.
///
/// # Errors
/// A permanent `bad_param` when their numbers differ, or from [`Param::new`].
pub(crate) fn bind(kinds: &[Type], values: &[Value]) -> Result<Vec<Param>, CallError> {
    if kinds.len() != values.len() {
        return Err(CallError::permanent(
            "bad_param",
            format!(
                "the statement has {} parameters, and `params` has {} values",
                kinds.len(),
                values.len()
            ),
        ));
    }
    kinds
        .iter()
        .zip(values)
        .zip(1..)
        .map(|((kind, value), place)| Param::new(place, kind, value))
        .collect()
}

fn text(kind: &Type, value: &Value) -> Result<String, &'static str> {
    if let Kind::Domain(inner) = kind.kind() {
        return text(inner, value);
    }
    if matches!(*kind, Type::JSON | Type::JSONB) {
        return Ok(value.to_string());
    }
    match (value, kind.kind()) {
        (Value::String(text), _) if text.contains('\0') => Err("text with a NUL in it"),
        (Value::String(text), _) => Ok(text.clone()),
        (Value::Bool(_) | Value::Number(_), _) => Ok(value.to_string()),
        (Value::Array(items), Kind::Array(member)) => {
            literal::write(items, &|item| text(member, item))
        }
        (Value::Array(_), _) => Err("a list"),
        // A time or a duration that an expression made keeps its type as `{"$time": …}`.
        (Value::Object(map), _) => match map.iter().next() {
            Some((key, Value::String(text))) if map.len() == 1 && key.starts_with('$') => {
                Ok(text.clone())
            }
            _ => Err("a map"),
        },
        (Value::Null, _) => Err("null"),
    }
}

impl ToSql for Param {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match &self.0 {
            None => IsNull::Yes,
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_take_the_form_of_the_expected_type() {
        let cases = [
            (Type::TEXT, json!("a'b"), Ok(Some("a'b"))),
            (Type::TEXT, json!(null), Ok(None)),
            (Type::INT4, json!(5), Ok(Some("5"))),
            (Type::TEXT, json!(5), Ok(Some("5"))),
            (Type::BOOL, json!(true), Ok(Some("true"))),
            (Type::JSONB, json!({"a": 1}), Ok(Some("{\"a\":1}"))),
            (Type::JSONB, json!("x"), Ok(Some("\"x\""))),
            (Type::INT4_ARRAY, json!([1, null]), Ok(Some("{\"1\",NULL}"))),
            (
                Type::TIMESTAMPTZ,
                json!({"$time": "2026-01-01T00:00:00Z"}),
                Ok(Some("2026-01-01T00:00:00Z")),
            ),
            (Type::INT4, json!([1]), Err("parameter $1 is a list, and the statement expects int4")),
            (
                Type::TEXT,
                json!({"a": 1}),
                Err("parameter $1 is a map, and the statement expects text"),
            ),
            (
                Type::TEXT,
                json!("a\0"),
                Err("parameter $1 is text with a NUL in it, and the statement expects text"),
            ),
        ];
        for (kind, value, expected) in cases {
            let expected = expected.map(|text: Option<&str>| Param(text.map(str::to_owned)));
            let found = Param::new(1, &kind, &value).map_err(|error| error.message);
            assert_eq!(found, expected.map_err(str::to_owned), "{value}");
        }
        assert_eq!(bind(&[Type::INT4], &[]).unwrap_err().code, "bad_param");
    }
}
