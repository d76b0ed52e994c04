//! The JSON Schemas that `dr schema` prints: of the runbook with the arguments of every action
//! that is known, of the plan, and of the events of a run.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::catalog::Catalog;
use crate::event::EventKind;
use crate::plan::Plan;
use crate::runbook::Document;
use dr_plugin::{ActionManifest, HostNeed};

/// What a whole value may be instead of its type: one `{{ path }}`.
const TEMPLATE: &str = r"^\{\{.*\}\}$";

/// The schema of a runbook, for editors. `uses` selects the schema of `with` among the actions of
/// the catalog; unknown actions are left to `dr check`.
#[must_use]
pub fn runbook_schema(catalog: &Catalog) -> Value {
    let mut schema = schema_of::<Document>();
    without_null(&mut schema);
    let actions: Vec<(String, &ActionManifest)> = catalog
        .plugins()
        .flat_map(|plugin| {
            let name = &plugin.name;
            plugin
                .actions
                .iter()
                .map(move |(action, manifest)| (format!("{name}.{action}"), manifest))
        })
        .collect();
    if let Some(Value::Object(definitions)) = schema.pointer_mut("/$defs") {
        let arguments = actions.iter().map(|(uses, action)| (with_of(uses), arguments(action)));
        definitions.extend(arguments);
    }
    for (construct, inherits_host) in
        [("Step", true), ("ValidationCheck", false), ("Check", true), ("Undo", true)]
    {
        let Some(Value::Object(definition)) = schema.pointer_mut(&format!("/$defs/{construct}"))
        else {
            continue;
        };
        let rules = actions.iter().map(|(uses, action)| rule(uses, action, inherits_host));
        definition.insert("allOf".to_owned(), rules.collect());
        if let Some(Value::Object(uses)) =
            definition.get_mut("properties").and_then(|properties| properties.get_mut("uses"))
        {
            let names = actions.iter().map(|(uses, _)| Value::from(uses.as_str()));
            uses.insert("examples".to_owned(), names.collect());
        }
    }
    let settings: Map<String, Value> = catalog
        .plugins()
        .map(|plugin| (plugin.name.clone(), templated(plugin.settings.as_value(), true)))
        .collect();
    if let Some(Value::Object(plugins)) = schema.pointer_mut("/properties/plugins") {
        plugins.insert("properties".to_owned(), Value::Object(settings));
    }
    schema
}

/// The schema of the frames of the plugin protocol, in both directions, and with them of manifests.
#[must_use]
pub fn plugin_schema() -> Value {
    schema_of::<dr_plugin::protocol::Frame>()
}

/// The schema of a plan, as `dr plan --format json` prints it.
#[must_use]
pub fn plan_schema() -> Value {
    schema_of::<Plan>()
}

/// The schema of one event of a run, as the journal and `--format json` write it.
#[must_use]
pub fn event_schema() -> Value {
    /// Where and when; what is written with the event itself.
    #[derive(JsonSchema)]
    #[schemars(rename = "Event")]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Line {
        /// Position in the journal, from 1.
        seq: u64,
        /// Wall clock, UTC, RFC 3339.
        at: String,
        /// Milliseconds since the run's start, over all sessions.
        elapsed_ms: u64,
        /// What happened.
        #[serde(flatten)]
        kind: EventKind,
    }
    schema_of::<Line>()
}

fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    Schema::into(generator.into_root_schema_for::<T>())
}

/// Name of the definition of an action's arguments.
fn with_of(uses: &str) -> String {
    format!("With.{uses}")
}

/// What `with` may be for an action.
fn arguments(action: &ActionManifest) -> Value {
    let mut with = templated(action.input.as_value(), true);
    if let Value::Object(with) = &mut with {
        with.insert("description".to_owned(), Value::from(action.description.as_str()));
    }
    with
}

/// If a step uses this action, its `with` has this form, and it has a host or none.
fn rule(uses: &str, action: &ActionManifest, inherits_host: bool) -> Value {
    let mut properties = Map::new();
    properties.insert("with".to_owned(), json!({ "$ref": format!("#/$defs/{}", with_of(uses)) }));
    let mut required = Vec::new();
    let needs_arguments = action.input.get("required").and_then(Value::as_array);
    if needs_arguments.is_some_and(|names| !names.is_empty()) {
        required.push("with");
    }
    match action.host {
        HostNeed::Required if !inherits_host => required.push("host"),
        HostNeed::None => {
            properties.insert("host".to_owned(), Value::Bool(false));
        }
        HostNeed::Required | HostNeed::Optional => {}
    }
    json!({
        "if": { "properties": { "uses": { "const": uses } }, "required": ["uses"] },
        "then": { "properties": properties, "required": required },
    })
}

/// A plugin's schema as a runbook may fill it: a template may stand for every value, and a text may
/// be written without quotes.
fn templated(schema: &Value, is_whole: bool) -> Value {
    let Value::Object(written) = schema else { return schema.clone() };
    let mut object = Map::new();
    for (key, value) in written {
        let value = match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs", Value::Object(map)) => Value::Object(
                map.iter().map(|(name, schema)| (name.clone(), templated(schema, false))).collect(),
            ),
            ("items" | "additionalProperties", inner) => templated(inner, false),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(options)) => {
                options.iter().map(|option| templated(option, true)).collect()
            }
            ("type", Value::String(kind)) if kind == "string" => {
                json!(["string", "number", "boolean"])
            }
            ("default", Value::Null) => continue,
            (_, other) => other.clone(),
        };
        object.insert(key.clone(), value);
    }
    let accepts_any_text = written.get("type").is_none_or(|kind| kind == "string")
        && !written.contains_key("enum")
        && !written.contains_key("anyOf")
        && !written.contains_key("oneOf");
    if is_whole || accepts_any_text {
        return Value::Object(object);
    }
    let description = object.shift_remove("description");
    let mut either = Map::new();
    if let Some(description) = description {
        either.insert("description".to_owned(), description);
    }
    let template = json!({ "type": "string", "pattern": TEMPLATE });
    either.insert("anyOf".to_owned(), json!([object, template]));
    Value::Object(either)
}

/// The language has no `null`: a key is there with a value, or it is not there.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("default").is_some_and(Value::is_null) {
                map.shift_remove("default");
            }
            if let Some(Value::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = &kinds[..] {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(options)) = map.get_mut("anyOf") {
                options.retain(|option| option["type"] != "null");
                if options.len() == 1
                    && let Some(Value::Object(only)) = options.pop()
                {
                    map.shift_remove("anyOf");
                    for (key, value) in only {
                        map.entry(key).or_insert(value);
                    }
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::testing::catalog;

    #[test]
    fn the_schema_of_runbooks_knows_the_actions() {
        let schema = runbook_schema(&catalog());
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let step = |step: Value| json!({ "runbook": "a", "steps": [step] });
        for (fits, document) in [
            (true, step(json!({ "id": "a", "approve": { "message": "go?" } }))),
            (
                true,
                step(
                    json!({ "id": "a", "uses": "ssh.command", "host": "h", "with": { "argv": ["a", 1], "exit_codes": ["{{ inputs.c }}"] } }),
                ),
            ),
            (true, step(json!({ "id": "a", "uses": "mine.own", "with": { "x": 1 } }))),
            // A group, or `dr check`, says where.
            (true, step(json!({ "id": "a", "uses": "ssh.command", "with": { "argv": ["a"] } }))),
            (false, step(json!({ "id": "a", "uses": "local.command", "with": { "argv": "a" } }))),
            (false, step(json!({ "id": "a", "uses": "local.command", "with": { "arg": ["a"] } }))),
            (false, step(json!({ "id": "a", "uses": "local.command" }))),
            (
                false,
                step(
                    json!({ "id": "a", "uses": "local.command", "host": "h", "with": { "argv": [] } }),
                ),
            ),
            (false, step(json!({ "id": "a", "timeout": null }))),
            (false, step(json!({ "id": "a", "nedes": [] }))),
            (
                true,
                json!({ "runbook": "a", "steps": [], "plugins": { "postgres": { "dbname": "x" }, "mine": {} } }),
            ),
            (
                false,
                json!({ "runbook": "a", "steps": [], "plugins": { "postgres": { "dbnam": "x" } } }),
            ),
        ] {
            assert_eq!(validator.is_valid(&document), fits, "{document}");
        }
    }

    #[test]
    fn plans_and_events_have_schemas() {
        for schema in [plan_schema(), event_schema()] {
            jsonschema::draft202012::new(&schema).expect("a schema");
            assert!(schema["$schema"].is_string());
        }
        let validator = jsonschema::draft202012::new(&event_schema()).expect("a schema");
        let event = |kind: &str| json!({ "seq": 1, "at": "2026-01-01T00:00:00Z", "elapsed_ms": 0, "type": kind });
        assert!(!validator.is_valid(&event("nothing_like_it")));
    }
}
