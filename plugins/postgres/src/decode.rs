use serde_json::{Number, Value};
use tokio_postgres::types::{Kind, Type};

use crate::literal;

/// A value of type `kind` in the server's text form, as JSON.
///
/// The session prints in ISO form and in UTC (see `session`). What JSON has no form for (infinite
/// numbers and times, intervals, addresses, …) stays the text that PostgreSQL prints.
pub(crate) fn decode(kind: &Type, text: &str) -> Value {
    match kind.kind() {
        Kind::Domain(inner) => decode(inner, text),
        // The elements of `box[]` are separated by semicolons, and contain commas.
        Kind::Array(_) if *kind == Type::BOX_ARRAY => plain(text),
        Kind::Array(member) => {
            literal::parse(text, &|element| decode(member, element)).unwrap_or_else(|| plain(text))
        }
        Kind::Simple => simple(kind, text),
        _ => plain(text),
    }
}

fn simple(kind: &Type, text: &str) -> Value {
    match *kind {
        Type::BOOL => Value::Bool(text.starts_with('t')),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::NUMERIC => whole(text),
        Type::FLOAT4 | Type::FLOAT8 => float(text),
        Type::JSON | Type::JSONB => serde_json::from_str(text).unwrap_or_else(|_| plain(text)),
        Type::TIMESTAMPTZ => moment(text, true),
        Type::TIMESTAMP => moment(text, false),
        Type::BYTEA => plain(text.strip_prefix("\\x").unwrap_or(text)),
        _ => plain(text),
    }
}

fn plain(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A number where 64 bits hold it exactly, else its text. `1.0` is not `1`: its scale was meant.
fn whole(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| plain(text), Value::from)
}

fn float(text: &str) -> Value {
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or_else(|| plain(text), Value::Number)
}

/// `2026-01-31 10:00:00.123456+00` as RFC 3339. A time without zone gets none, rather than one that
/// nobody stated. `infinity`, years before Christ and after 9999 have no such form.
fn moment(text: &str, zoned: bool) -> Value {
    let (stem, zone) = match text.strip_suffix("+00") {
        Some(stem) if zoned => (stem, "Z"),
        None if !zoned => (text, ""),
        _ => return plain(text),
    };
    match stem.split_once(' ') {
        Some((date, time)) if date.len() == 10 && !time.ends_with("BC") => {
            Value::String(format!("{date}T{time}{zone}"))
        }
        _ => plain(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_of_the_server_becomes_json() {
        let cases = [
            (Type::BOOL, "t", json!(true)),
            (Type::BOOL, "false", json!(false)),
            (Type::INT4, "-7", json!(-7)),
            (Type::INT8, "9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
            (Type::NUMERIC, "12", json!(12)),
            (Type::NUMERIC, "12.50", json!("12.50")),
            (Type::NUMERIC, "NaN", json!("NaN")),
            (Type::NUMERIC, "9223372036854775808", json!("9223372036854775808")),
            (Type::FLOAT8, "0.1", json!(0.1)),
            (Type::FLOAT8, "-Infinity", json!("-Infinity")),
            (Type::FLOAT8, "NaN", json!("NaN")),
            (Type::TEXT, "true", json!("true")),
            (Type::JSONB, "{\"a\": [1, null]}", json!({"a": [1, null]})),
            (Type::TIMESTAMPTZ, "2026-01-31 10:00:00+00", json!("2026-01-31T10:00:00Z")),
            (
                Type::TIMESTAMPTZ,
                "2026-01-31 10:00:00.123456+00",
                json!("2026-01-31T10:00:00.123456Z"),
            ),
            (Type::TIMESTAMPTZ, "infinity", json!("infinity")),
            (Type::TIMESTAMPTZ, "0044-03-15 00:00:00+00 BC", json!("0044-03-15 00:00:00+00 BC")),
            (Type::TIMESTAMPTZ, "12026-01-01 00:00:00+00", json!("12026-01-01 00:00:00+00")),
            (Type::TIMESTAMP, "2026-01-31 10:00:00.5", json!("2026-01-31T10:00:00.5")),
            (Type::TIMESTAMP, "0044-03-15 00:00:00 BC", json!("0044-03-15 00:00:00 BC")),
            (Type::DATE, "2026-01-31", json!("2026-01-31")),
            (Type::INTERVAL, "1 mon 03:00:00", json!("1 mon 03:00:00")),
            (Type::BYTEA, "\\x00ff", json!("00ff")),
            (Type::PG_LSN, "0/3000148", json!("0/3000148")),
            (Type::INT4_ARRAY, "{1,NULL,3}", json!([1, null, 3])),
            (Type::INT4_ARRAY, "{{1,2},{3,4}}", json!([[1, 2], [3, 4]])),
            (Type::INT4_ARRAY, "[0:1]={1,2}", json!([1, 2])),
            (Type::TEXT_ARRAY, r#"{"a,b","\"x","NULL",""}"#, json!(["a,b", "\"x", "NULL", ""])),
            (Type::BOX_ARRAY, "{(1,1),(0,0);(2,2),(1,1)}", json!("{(1,1),(0,0);(2,2),(1,1)}")),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(decode(&kind, text), expected, "{kind} {text}");
        }
    }
}
