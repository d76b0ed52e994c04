//! Documents that the schema accepts: accepted, or refused with a code.

use serde_json::{Map, Value, json};

use crate::fuzz;
use crate::random::Random;
use crate::runbooks::problems;

fn schema() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/runbook.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Texts that mean something in one place or another.
const WORDS: &[&str] = &[
    "a",
    "b",
    "web",
    "database",
    "5m",
    "0s",
    "1h30m",
    "true",
    "result.x == 1",
    "steps.a.status",
    "{{ values.a }}",
    "{{ steps.a.outputs.x }}",
    "{{",
    "local.command",
    "ssh.command",
    "sim.action",
    "sim.probe",
    "postgres.query",
    "run.incident_at - run.now < duration('5m')",
    "",
    " ",
    "é",
    "inputs.a",
    "a-b",
    "1",
    "./other.yaml",
    "[",
    "timestamp(result.stdout)",
    "$(id)",
];

struct Maker<'a> {
    root: &'a Value,
    random: &'a mut Random,
}

impl Maker<'_> {
    /// Something that the schema probably accepts.
    fn make(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(reference.trim_start_matches('#'));
            return target.map_or(Value::Null, |target| self.make(&target.clone(), depth));
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return self.random.pick(words).clone();
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(key).and_then(Value::as_array) {
                let option = self.random.pick(options).clone();
                return self.make(&option, depth);
            }
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => self.random.pick(kinds).as_str().unwrap_or(""),
            Some(kind) => kind.as_str().unwrap_or(""),
            None if schema.get("properties").is_some() => "object",
            None => ["string", "integer", "boolean", "array", "object"][self.random.below(5)],
        }
        .to_owned();
        match kind.as_str() {
            "object" => self.object(schema, depth),
            "array" => {
                let items = schema.get("items").cloned().unwrap_or(json!({ "type": "string" }));
                let count = if depth == 0 { 0 } else { self.random.below(3) + 1 };
                (0..count).map(|_| self.make(&items, depth.saturating_sub(1))).collect()
            }
            "integer" => json!([0, 1, 2, 32, 65_535, -1][self.random.below(6)]),
            "number" => json!([0.0, 0.5, 1.0][self.random.below(3)]),
            "boolean" => json!(self.random.once_in(2)),
            "null" => Value::Null,
            _ => json!(self.random.pick(WORDS)),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut map = Map::new();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, inner) in properties {
                let wanted = required.contains(&name.as_str());
                if wanted || (depth > 0 && self.random.once_in(5)) {
                    let value = self.make(inner, depth.saturating_sub(1));
                    map.insert(name.clone(), value);
                }
            }
        }
        if let Some(inner @ Value::Object(_)) = schema.get("additionalProperties") {
            let count = if depth == 0 { 0 } else { self.random.below(3) };
            for name in ["a", "b", "web"].iter().take(count) {
                let value = self.make(inner, depth.saturating_sub(1));
                map.insert((*name).to_owned(), value);
            }
        }
        // The action selects the form of `with`.
        let rules = schema.get("allOf").and_then(Value::as_array).cloned().unwrap_or_default();
        for rule in rules {
            let of = rule.pointer("/if/properties/uses/const");
            if of.is_none() || of != map.get("uses") {
                continue;
            }
            if let Some(with) = rule.pointer("/then/properties/with") {
                let with = self.make(with, depth.saturating_sub(1));
                map.insert("with".to_owned(), with);
            }
            if rule.pointer("/then/properties/host") == Some(&Value::Bool(false)) {
                map.shift_remove("host");
            }
        }
        Value::Object(map)
    }
}

#[test]
fn what_the_schema_accepts_is_accepted_or_refused_with_a_code() {
    let schema = schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let (mut accepted, mut right) = (0, 0);
    fuzz("documents", 300, |random| {
        let mut maker = Maker { root: &schema, random };
        let document = maker.make(&schema, 5);
        if !validator.is_valid(&document) {
            return;
        }
        accepted += 1;
        let text = document.to_string();
        let found = std::panic::catch_unwind(|| problems(&text));
        let found = found.unwrap_or_else(|_| panic!("this document:\n{text}"));
        right += usize::from(found.is_empty());
        // Printed as YAML and read again, it is the same document with the same problems.
        let printed = serde_yaml::to_string(&document).unwrap();
        let options = serde_yaml::options! { strict_booleans: true };
        let again: Value = serde_yaml::from_str_with_options(&printed, options)
            .unwrap_or_else(|error| panic!("{error}\n{printed}"));
        assert_eq!(again, document, "{printed}");
        let codes = |found: &[dr::runbook::Problem]| {
            let mut codes: Vec<_> = found.iter().map(|problem| problem.code).collect();
            codes.sort_unstable();
            codes
        };
        assert_eq!(codes(&problems(&printed)), codes(&found), "{printed}");
    });
    println!("documents: {accepted} fit the schema, {right} of them without a remark");
    assert!(accepted > 20, "only {accepted} documents fit the schema");
}
