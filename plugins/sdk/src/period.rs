use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A length of time in the `with` or the settings of an action, written as runbooks write it:
/// `250ms`, `90s`, `15m`, `1h30m`.
///
/// The typed value of an expression (`{"$duration": …}`, text or milliseconds) is taken as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(pub Duration);

impl Period {
    const PATTERN: &'static str = "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$";

    /// The length in whole milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Period {
    /// Exact to the millisecond and re-readable: `5m0s`, `1h30m0s`, `1s250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_millis();
        let (hours, minutes, seconds, rest) =
            (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
        let hours = if hours > 0 { format!("{hours}h") } else { String::new() };
        let minutes =
            if minutes > 0 || !hours.is_empty() { format!("{minutes}m") } else { String::new() };
        let seconds = match rest {
            0 => format!("{seconds}s"),
            _ if ms < 1_000 => format!("{rest}ms"),
            _ => format!("{seconds}s{rest}ms"),
        };
        f.pad(&format!("{hours}{minutes}{seconds}"))
    }
}

/// The text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as `250ms`, `90s`, `15m` or `1h30m`")]
pub struct PeriodError;

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let mut total = Duration::ZERO;
        let mut rest = text;
        if rest.is_empty() {
            return Err(PeriodError);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
            let (number, tail) = rest.split_at(digits.ok_or(PeriodError)?);
            let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let seconds = match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3_600.0,
                "d" => 86_400.0,
                _ => return Err(PeriodError),
            };
            let number: f64 = number.parse().map_err(|_| PeriodError)?;
            let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| PeriodError)?;
            total = total.checked_add(part).ok_or(PeriodError)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor { millis: false })
    }
}

struct PeriodVisitor {
    millis: bool,
}

impl<'de> Visitor<'de> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `250ms`, `90s`, `15m` or `1h30m`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Period, E> {
        if self.millis {
            return Ok(Period(Duration::from_millis(number)));
        }
        Err(E::custom(format_args!("{PeriodError}: `{number}` has no unit")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Period, A::Error> {
        struct Typed(Period);
        impl<'de> Deserialize<'de> for Typed {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(PeriodVisitor { millis: true }).map(Self)
            }
        }
        match map.next_key::<String>()?.as_deref() {
            Some("$duration") => map.next_value::<Typed>().map(|typed| typed.0),
            _ => Err(A::Error::custom(PeriodError)),
        }
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": Self::PATTERN,
            "description": "a length of time: `250ms`, `90s`, `15m`, `1h30m`",
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn periods_read_as_runbooks_write_them() {
        let millis = |value: serde_json::Value| {
            serde_json::from_value::<Period>(value).map(Period::as_millis).ok()
        };
        assert_eq!(millis(json!("250ms")), Some(250));
        assert_eq!(millis(json!("90s")), Some(90_000));
        assert_eq!(millis(json!("1h30m")), Some(5_400_000));
        assert_eq!(millis(json!("1.5s")), Some(1_500));
        assert_eq!(millis(json!({"$duration": "5m0s"})), Some(300_000));
        assert_eq!(millis(json!({"$duration": 1500})), Some(1_500));
        for bad in
            [json!(""), json!("5"), json!(5), json!("5 s"), json!("s"), json!("-1s"), json!("1e9d")]
        {
            assert_eq!(millis(bad.clone()), None, "{bad}");
        }
    }
}
