use serde_json::{Map, Value};

/// A value that refers back to where it is in its schema, without end, is left to the library.
const DEEPEST: usize = 32;

/// Whether a value fits its schema for certain. False says nothing: the schema has more to say than what is
/// looked at here, and the library, which takes longer to get ready than most runbooks take to be checked, decides.
pub(super) fn plainly_fits(schema: &Value, value: &Value) -> bool {
    Fit { root: schema }.fits(schema, value, DEEPEST)
}

struct Fit<'s> {
    root: &'s Value,
}

impl Fit<'_> {
    fn fits(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let (Value::Object(keywords), Some(depth)) = (schema, depth.checked_sub(1)) else {
            return schema == &Value::Bool(true);
        };
        keywords.iter().all(|(keyword, rule)| match keyword.as_str() {
            "$defs" => true,
            "type" => match rule {
                Value::String(name) => is_a(name, value),
                Value::Array(names) => {
                    names.iter().filter_map(Value::as_str).any(|it| is_a(it, value))
                }
                _ => false,
            },
            "enum" => rule.as_array().is_some_and(|all| all.iter().any(|one| same(one, value))),
            "const" => same(rule, value),
            "required" => match (rule, value) {
                (Value::Array(names), Value::Object(map)) => {
                    names.iter().all(|name| name.as_str().is_some_and(|it| map.contains_key(it)))
                }
                (_, Value::Object(_)) => false,
                _ => true,
            },
            "properties" => match (rule, value) {
                (Value::Object(known), Value::Object(map)) => map.iter().all(|(key, value)| {
                    known.get(key).is_none_or(|schema| self.fits(schema, value, depth))
                }),
                (Value::Object(_), _) => true,
                _ => false,
            },
            "additionalProperties" => match value {
                Value::Object(map) => self.others_fit(keywords, rule, map, depth),
                _ => true,
            },
            "items" => match value {
                Value::Array(items) => items.iter().all(|item| self.fits(rule, item, depth)),
                _ => true,
            },
            "minItems" => value.as_array().is_none_or(|items| is_at_least(items.len(), rule)),
            "maxItems" => value.as_array().is_none_or(|items| is_at_most(items.len(), rule)),
            "minLength" => {
                value.as_str().is_none_or(|text| is_at_least(text.chars().count(), rule))
            }
            "maxLength" => value.as_str().is_none_or(|text| is_at_most(text.chars().count(), rule)),
            "minimum" => !value.is_number() || in_order(rule, value),
            "maximum" => !value.is_number() || in_order(value, rule),
            // Of numbers: what type a plugin reads them into, which the library does not look at either.
            "format" => !value.is_string(),
            "anyOf" => rule
                .as_array()
                .is_some_and(|all| all.iter().any(|schema| self.fits(schema, value, depth))),
            "$ref" => rule
                .as_str()
                .and_then(|to| self.root.pointer(to.strip_prefix('#')?))
                .is_some_and(|schema| self.fits(schema, value, depth)),
            word => is_for_people(word),
        })
    }

    fn others_fit(
        &self,
        keywords: &Map<String, Value>,
        rule: &Value,
        map: &Map<String, Value>,
        depth: usize,
    ) -> bool {
        let known = keywords.get("properties").and_then(Value::as_object);
        map.iter().all(|(key, value)| {
            known.is_some_and(|known| known.contains_key(key)) || self.fits(rule, value, depth)
        })
    }
}

/// Keywords for people and editors, and what plugins add for them: no value fits less for one.
pub(super) fn is_for_people(keyword: &str) -> bool {
    matches!(keyword, "title" | "description" | "default" | "examples" | "$schema" | "$comment")
        || keyword.starts_with("x-")
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => false,
    }
}

fn is_at_least(count: usize, rule: &Value) -> bool {
    rule.as_u64().is_some_and(|least| count as u64 >= least)
}

fn is_at_most(count: usize, rule: &Value) -> bool {
    rule.as_u64().is_some_and(|most| count as u64 <= most)
}

/// Whether one whole number is not above another. Others are left to the library.
fn in_order(low: &Value, high: &Value) -> bool {
    low.as_i64().zip(high.as_i64()).is_some_and(|(low, high)| low <= high)
}

/// Numbers may be the same and written differently: that is left to the library.
fn same(one: &Value, other: &Value) -> bool {
    matches!(one, Value::String(_) | Value::Bool(_) | Value::Null) && one == other
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Schemas of the kinds that plugins have, more and less plain.
    fn schemas() -> Vec<Value> {
        vec![
            json!({
                "type": "object",
                "properties": {
                    "a": { "type": "array", "items": { "type": "string" } },
                    "b": { "type": ["integer", "null"], "default": 1 },
                    "c": { "$ref": "#/$defs/c", "description": "one of" },
                    "d": { "anyOf": [{ "type": "null" }, { "enum": ["a", "b", 1] }] },
                },
                "$defs": { "c": { "type": "object", "additionalProperties": { "type": "string" } } },
                "required": ["a"],
                "additionalProperties": false,
                "x-order": 1,
            }),
            json!({ "properties": { "a": true, "b": false }, "additionalProperties": { "const": "a" } }),
            json!({ "required": ["b"], "type": "object", "properties": { "a": { "type": "number" } } }),
            json!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "items": { "const": null } }] }),
            json!({ "$ref": "#" }),
            json!({ "minItems": 1, "maxItems": 2, "minLength": 1, "maxLength": 1, "items": { "$ref": "#" } }),
            json!({ "minimum": 1, "maximum": 1, "format": "uint16", "properties": { "a": { "$ref": "#" } } }),
            json!({ "minimum": 0.5, "items": { "maximum": 1.0, "format": "email" } }),
            json!({ "properties": { "a": { "$ref": "#" }, "c": { "type": "string", "pattern": "^a" } } }),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            Just(json!(1.0)),
            "[ab]".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_plainly_fits_is_valid(value in values()) {
            for schema in schemas() {
                if plainly_fits(&schema, &value) {
                    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
                    prop_assert!(validator.is_valid(&value), "{schema} {value}");
                }
            }
        }
    }

    #[test]
    fn most_of_what_people_write_fits_plainly() {
        let [plain, ..] = &schemas()[..] else { unreachable!() };
        for (value, fits) in [
            (json!({ "a": ["true"] }), true),
            (json!({ "a": [], "b": null, "c": { "x": "y" }, "d": "b" }), true),
            (json!({}), false),
            (json!({ "a": ["true"], "e": 1 }), false),
            (json!({ "a": [1] }), false),
            (json!({ "a": [], "c": { "x": 1 } }), false),
            (json!({ "a": [], "d": "c" }), false),
        ] {
            assert_eq!(plainly_fits(plain, &value), fits, "{value}");
        }
    }

    #[test]
    fn so_do_arguments_of_the_plugins_of_dr() {
        for (plugin, action, value) in [
            (
                dr_plugin_local::plugin(),
                "command",
                json!({ "argv": ["true"], "exit_codes": [0, 3] }),
            ),
            (
                dr_plugin_ssh::plugin(),
                "command",
                json!({ "argv": ["uptime"], "env": { "A": "b" } }),
            ),
            (dr_plugin_http::plugin(), "request", json!({ "url": "https://shop.example/health" })),
            (dr_plugin_postgres::plugin(), "query", json!({ "sql": "select 1" })),
            (dr_plugin_sim::plugin(), "action", json!({ "result": { "n": 1 } })),
        ] {
            let manifest = plugin.manifest();
            let schema = manifest.actions[action].input.as_value();
            assert!(plainly_fits(schema, &value), "{action}: {value}: {schema:#}");
        }
    }
}
