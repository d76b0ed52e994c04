//! Constructs that can be written short (a text) or long (a map): read by hand, because an untagged
//! enum would lose the places and say nothing useful.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{
    self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer,
};

use super::document::PriorityDoc;
use super::step_document::{ExpectDoc, ForEachDoc, OutputDoc, SeverityDoc};
use crate::words::{Class, Severity};

impl<'de> Deserialize<'de> for PriorityDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = PriorityDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`critical`, `high`, `medium`, `low`, or a number from 1")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<PriorityDoc, E> {
                u32::try_from(number)
                    .ok()
                    .filter(|number| *number > 0)
                    .map(PriorityDoc::Number)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<PriorityDoc, E> {
                u64::try_from(number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
                    .and_then(|number| self.visit_u64(number))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<PriorityDoc, E> {
                if let Ok(number) = text.parse::<u64>() {
                    return self.visit_u64(number);
                }
                text.parse::<Class>()
                    .map(PriorityDoc::Class)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for PriorityDoc {
    fn schema_name() -> Cow<'static, str> {
        "Priority".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A class, or a number: 1-25 critical, 26-50 high, 51-75 medium, above: low",
            "anyOf": [
                { "enum": ["critical", "high", "medium", "low"] },
                { "type": "integer", "minimum": 1 },
            ],
        })
    }
}

/// The long form of [`OutputDoc`].
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OutputLong {
    /// The expression. Of a secret it reads `result` alone.
    value: String,
    /// Whether it is a secret: it is kept encrypted, masked everywhere, and can only be put into
    /// texts.
    #[serde(default)]
    secret: bool,
}

impl<'de> Deserialize<'de> for OutputDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = OutputDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or a map with `value`, `secret`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<OutputDoc, E> {
                Ok(OutputDoc { value: text.to_owned(), secret: false })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OutputDoc, A::Error> {
                let long = OutputLong::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OutputDoc { value: long.value, secret: long.secret })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for OutputDoc {
    fn schema_name() -> Cow<'static, str> {
        "Output".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<OutputLong>();
        json_schema!({
            "description": "An expression over `result` and earlier outputs",
            "anyOf": [{ "type": "string" }, long],
        })
    }
}

/// A condition with what is said when it does not hold.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpectLong {
    /// The condition.
    that: String,
    /// Said when it does not hold.
    #[serde(default)]
    message: Option<String>,
    /// `fail` (default), `warn`, or an expression giving one.
    #[serde(default)]
    severity: Option<String>,
}

impl<'de> Deserialize<'de> for ExpectDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = ExpectDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or a map with `that`, `message`, `severity`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExpectDoc, E> {
                Ok(ExpectDoc { that: text.to_owned(), message: None, severity: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExpectDoc, A::Error> {
                let long = ExpectLong::deserialize(MapAccessDeserializer::new(map))?;
                let severity = long.severity.map(|text| match text.parse::<Severity>() {
                    Ok(severity) => SeverityDoc::Fixed(severity),
                    Err(_) => SeverityDoc::Computed(text),
                });
                Ok(ExpectDoc { that: long.that, message: long.message, severity })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for ExpectDoc {
    fn schema_name() -> Cow<'static, str> {
        "Expect".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<ExpectLong>();
        json_schema!({
            "description": "What must hold",
            "anyOf": [{ "type": "string" }, long],
        })
    }
}

impl<'de> Deserialize<'de> for ForEachDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = ForEachDoc;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, a map, or an expression")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ForEachDoc, E> {
                Ok(ForEachDoc::Expr(text.to_owned()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<ForEachDoc, A::Error> {
                let items = Vec::deserialize(de::value::SeqAccessDeserializer::new(items))?;
                Ok(ForEachDoc::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ForEachDoc, A::Error> {
                let map = super::Named::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ForEachDoc::Map(map))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for ForEachDoc {
    fn schema_name() -> Cow<'static, str> {
        "ForEach".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The elements of a loop: a list, a map, or an expression that gives one",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": true },
                { "type": "object", "additionalProperties": true },
            ],
        })
    }
}
