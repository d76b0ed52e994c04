//! JSON data and CEL values, with times and durations typed in both.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
    CelTimestamp, CelUInt,
};
use cel::common::value::Val;
use cel::objects::Key;
use jiff::Timestamp;
use serde_json::{Map, Number, Value, json};

use super::tree::Tree;
use crate::markup::MASKED;
use crate::time::Millis;

/// A CEL value that owns what it holds.
pub(super) type Owned = Box<dyn Val>;

/// Keys that only this program writes: data that carries one is refused where it would be taken
/// for a template or a secret.
const RESERVED: [&str; 4] = ["$template", "$text", "$secret", "$literal"];

/// A time or a length of time inside JSON, or what is left of a value that held a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typed {
    Time(Timestamp),
    /// Milliseconds, negative for "the other way round".
    Duration(i64),
    /// Of no use but to be shown.
    Masked,
}

/// What a `{"$time": …}`, `{"$duration": …}` or `{"$masked": …}` means.
pub(super) fn typed(map: &Map<String, Value>) -> Option<Typed> {
    let (key, value) = map.iter().next().filter(|_| map.len() == 1)?;
    match key.as_str() {
        "$time" => Some(Typed::Time(value.as_str()?.parse().ok()?)),
        "$duration" => Some(Typed::Duration(value.as_i64()?)),
        MASKED => Some(Typed::Masked),
        _ => None,
    }
}

pub(super) fn time_value(at: Timestamp) -> Value {
    json!({ "$time": at.to_string() })
}

/// The value with every time as RFC 3339 text in UTC and every duration as `5m0s`: what a reader
/// outside, such as a plugin or a person, expects.
#[must_use]
pub fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Object(map) => match typed(map) {
            Some(Typed::Masked) => map.values().map(plain).next().unwrap_or_default(),
            Some(Typed::Time(at)) => Value::String(at.to_string()),
            Some(Typed::Duration(ms)) => Value::String(duration_text(ms)),
            None => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        },
        other => other.clone(),
    }
}

fn duration_text(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", Millis(ms.unsigned_abs()))
}

/// The text of a scalar; `None` for null, lists and maps.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(map) => match typed(map)? {
            Typed::Time(at) => Some(at.to_string()),
            Typed::Duration(ms) => Some(duration_text(ms)),
            Typed::Masked => map.values().next().and_then(scalar_text),
        },
        Value::Null | Value::Array(_) => None,
    }
}

/// What kind of value it is, for a message.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(map) => match typed(map) {
            Some(Typed::Time(_)) => "a time",
            Some(Typed::Duration(_)) => "a duration",
            Some(Typed::Masked) => "a value that held a secret",
            None => "a map",
        },
    }
}

/// The first reserved key anywhere in `data`.
pub(super) fn reserved(data: &Value) -> Option<&str> {
    match data {
        Value::Array(items) => items.iter().find_map(reserved),
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            if RESERVED.contains(&key.as_str()) { Some(key.as_str()) } else { reserved(value) }
        }),
        _ => None,
    }
}

/// The parts of `data` that `wanted` names, as a CEL value; list elements that nobody reads are
/// null, so that positions and lengths stay. So is what is known in its masked form only, which
/// `masked` then tells.
pub(super) fn to_cel(data: &Value, wanted: &Tree, masked: &mut bool) -> Owned {
    match data {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Box::new(CelString::from(text.clone())),
        Value::Array(items) => {
            let items: Vec<Owned> = items
                .iter()
                .enumerate()
                .map(|(index, item)| match wanted.index(index) {
                    Some(wanted) => to_cel(item, wanted, masked),
                    None => Box::new(CelNull) as Owned,
                })
                .collect();
            Box::new(CelList::from(items))
        }
        Value::Object(map) => match typed(map) {
            Some(Typed::Time(at)) => time_to_cel(at),
            Some(Typed::Duration(ms)) => {
                Box::new(CelDuration::from(chrono::Duration::milliseconds(ms)))
            }
            Some(Typed::Masked) => {
                *masked = true;
                Box::new(CelNull)
            }
            None => {
                let entries: HashMap<CelMapKey<'static>, Owned> = map
                    .iter()
                    .filter_map(|(key, value)| Some((key, value, wanted.field(key)?)))
                    .map(|(key, value, wanted)| {
                        (key.clone().into_key(), to_cel(value, wanted, masked))
                    })
                    .collect();
                Box::new(CelMap::from(entries))
            }
        },
    }
}

trait IntoKey {
    fn into_key(self) -> CelMapKey<'static>;
}

impl IntoKey for String {
    fn into_key(self) -> CelMapKey<'static> {
        CelMapKey::String(CelString::from(self))
    }
}

/// A map of named values.
pub(super) fn map_to_cel(entries: impl IntoIterator<Item = (String, Owned)>) -> Owned {
    let entries: HashMap<CelMapKey<'static>, Owned> =
        entries.into_iter().map(|(key, value)| (key.into_key(), value)).collect();
    Box::new(CelMap::from(entries))
}

/// Whole numbers are ints, whatever their sign: an unsigned one would underflow in a subtraction.
fn number_to_cel(number: &Number) -> Owned {
    if let Some(int) = number.as_i64() {
        Box::new(CelInt::from(int))
    } else if let Some(uint) = number.as_u64() {
        Box::new(CelUInt::from(uint))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

pub(super) fn time_to_cel(at: Timestamp) -> Owned {
    let nanos = at.as_nanosecond();
    let seconds = nanos.div_euclid(1_000_000_000) as i64;
    let rest = nanos.rem_euclid(1_000_000_000) as u32;
    chrono::DateTime::from_timestamp(seconds, rest).map_or_else(
        || Box::new(CelNull) as Owned,
        |at| Box::new(CelTimestamp::from(at.fixed_offset())) as Owned,
    )
}

/// The JSON form of a CEL value. Map entries are in the order of their keys, so that the same
/// decision always gives the same bytes.
///
/// # Errors
/// A value that JSON cannot hold.
pub(super) fn from_cel(value: &cel::Value) -> Result<Value, String> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(truth) => Value::Bool(*truth),
        cel::Value::Int(int) => Value::from(*int),
        cel::Value::UInt(uint) => Value::from(*uint),
        cel::Value::Float(float) => Number::from_f64(*float)
            .map(Value::Number)
            .ok_or_else(|| format!("the result {float} is not a number that can be kept"))?,
        cel::Value::String(text) => Value::String(text.as_str().to_owned()),
        cel::Value::List(items) => {
            Value::Array(items.iter().map(from_cel).collect::<Result<_, _>>()?)
        }
        cel::Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.map.len());
            for (key, value) in map.map.iter() {
                let Key::String(key) = key else {
                    return Err(format!("the key {key} of a map is no text"));
                };
                entries.push((key.as_str().to_owned(), from_cel(value)?));
            }
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(entries.into_iter().collect())
        }
        cel::Value::Timestamp(at) => {
            let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(999_999_999);
            let at = Timestamp::new(at.timestamp(), nanos.min(999_999_999))
                .map_err(|_| format!("the time {at} is out of range"))?;
            time_value(at)
        }
        cel::Value::Duration(length) => json!({ "$duration": length.num_milliseconds() }),
        cel::Value::Bytes(_) => return Err("the result is bytes, which cannot be kept".to_owned()),
        other => return Err(format!("the result {other:?} cannot be kept")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_back_as_it_was() {
        for value in [
            json!(null),
            json!(true),
            json!(-1),
            json!(9_223_372_036_854_775_807_i64),
            json!(18_446_744_073_709_551_615_u64),
            json!(1.5),
            json!("é{{x}}"),
            json!([1, [2], {"a": null}]),
            json!({"a": {"b": [1.0, "x"]}}),
            json!({"$time": "2026-01-01T00:00:00.25Z"}),
            json!({"$time": "1969-12-31T23:59:59.999999999Z"}),
            json!({"$duration": -1500}),
            json!({"$time": "no time"}),
            json!({"$time": "2026-01-01T00:00:00Z", "more": 1}),
        ] {
            let cel = to_cel(&value, &Tree::whole(), &mut false);
            let back = cel::Value::try_from(cel.as_ref()).expect("a value");
            assert_eq!(from_cel(&back), Ok(value));
        }
    }

    #[test]
    fn typed_values_have_a_text() {
        for (value, text) in [
            (json!({"$time": "2026-01-01T01:00:00+01:00"}), "2026-01-01T00:00:00Z"),
            (json!({"$duration": 300_000}), "5m0s"),
            (json!({"$duration": -1_500}), "-1s500ms"),
            (json!(1.5), "1.5"),
            (json!(false), "false"),
        ] {
            assert_eq!(scalar_text(&value).as_deref(), Some(text));
        }
        assert_eq!(scalar_text(&json!({"a": 1})), None);
        assert_eq!(plain(&json!({"a": {"$masked": {"b": "***"}}})), json!({"a": {"b": "***"}}));
        assert_eq!(plain(&json!([{"$duration": 1}, {"a": 1}])), json!(["1ms", {"a": 1}]));
    }
}
