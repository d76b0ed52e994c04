use std::collections::BTreeMap;

use dr_plugin::{ActionManifest, Manifest};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value;

use super::checker::Checker;
use super::fits::{is_for_people, plainly_fits};
use crate::runbook::{DocPath, Problem, codes, nearest};
use crate::text::has_braces;

/// Compiled schemas by `plugin.action`, or by plugin for settings.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    compiled: BTreeMap<String, Option<Validator>>,
}

impl Schemas {
    /// A manifest whose schema is no schema checks nothing: `dr plugins` reports it.
    fn get(&mut self, key: &str, schema: &Value) -> Option<&Validator> {
        if !self.compiled.contains_key(key) {
            let validator = compile(schema);
            self.compiled.insert(key.to_owned(), validator);
        }
        self.compiled[key].as_ref()
    }
}

/// Compiles a schema of draft 2020-12.
///
/// The library first validates it against the schema of its draft, and to compile that of 2020-12
/// takes longer than all else that a check does. What means the same in draft 7 is taken as such.
fn compile(schema: &Value) -> Option<Validator> {
    let compile =
        if is_plain(schema) { jsonschema::draft7::new } else { jsonschema::draft202012::new };
    compile(schema).ok()
}

/// Keywords that mean the same in drafts 7 and 2020-12, whatever their value.
const SAME: &str = "type required enum const minimum maximum exclusiveMinimum exclusiveMaximum \
                    minLength maxLength pattern minItems maxItems uniqueItems minProperties \
                    maxProperties format";
/// Whether a schema means the same in drafts 7 and 2020-12: no keyword that is newer or has changed,
/// and beside a reference only words for people.
fn is_plain(schema: &Value) -> bool {
    let Value::Object(keywords) = schema else { return schema.is_boolean() };
    let has_reference = keywords.contains_key("$ref");
    let among = |list: &str, word| list.split_ascii_whitespace().any(|known| known == word);
    keywords.iter().all(|(keyword, value)| match keyword.as_str() {
        word if is_for_people(word) => true,
        "$ref" => value.as_str().is_some_and(|to| to.starts_with("#/")),
        _ if has_reference => false,
        "properties" | "$defs" => {
            value.as_object().is_some_and(|parts| parts.values().all(is_plain))
        }
        "anyOf" | "oneOf" | "allOf" => {
            value.as_array().is_some_and(|parts| parts.iter().all(is_plain))
        }
        "items" | "additionalProperties" | "not" | "propertyNames" => is_plain(value),
        known => among(SAME, known),
    })
}

/// What is validated, for messages.
struct Subject<'a> {
    code: &'static str,
    plugin: &'a str,
    /// "an argument of …".
    what: String,
    schema: &'a Value,
    at: &'a DocPath,
    /// Keys may be missing: they are given elsewhere.
    partial: bool,
}

impl Checker<'_> {
    /// `with` against the schema of the action.
    pub(super) fn arguments(
        &mut self,
        uses: &str,
        action: &ActionManifest,
        with: Option<&Value>,
        at: &DocPath,
    ) {
        let schema = action.input.as_value();
        let empty = Value::Object(serde_json::Map::new());
        let value = with.unwrap_or(&empty);
        if plainly_fits(schema, value) {
            return;
        }
        let Some(validator) = self.schemas.get(uses, schema) else { return };
        if validator.is_valid(value) {
            return;
        }
        let place = if with.is_some() { at.field("with") } else { at.field("uses") };
        let subject = Subject {
            code: codes::BAD_ARGUMENT,
            plugin: uses.split_once('.').map_or(uses, |(plugin, _)| plugin),
            what: format!("an argument of `{uses}`"),
            schema,
            at: &place,
            partial: false,
        };
        subject.validate(validator, value, &mut self.problems);
    }

    /// Settings against the schema of the plugin.
    pub(super) fn validate_settings(
        &mut self,
        manifest: &Manifest,
        settings: &Value,
        partial: bool,
        at: &DocPath,
    ) {
        let subject = Subject {
            code: codes::BAD_SETTINGS,
            plugin: &manifest.name,
            what: format!("a setting of `{}`", manifest.name),
            schema: manifest.settings.as_value(),
            at,
            partial,
        };
        if plainly_fits(subject.schema, settings) {
            return;
        }
        let Some(validator) = self.schemas.get(&manifest.name, subject.schema) else { return };
        subject.validate(validator, settings, &mut self.problems);
    }
}

impl Subject<'_> {
    fn validate(&self, validator: &Validator, value: &Value, problems: &mut Vec<Problem>) {
        if validator.is_valid(value) {
            return;
        }
        for error in validator.iter_errors(value) {
            if relevant(&error) {
                self.report(value, &error, problems);
            }
        }
    }

    fn report(&self, whole: &Value, error: &ValidationError<'_>, problems: &mut Vec<Problem>) {
        if let Some(branch) = meant(error) {
            for error in branch.iter().filter(|error| relevant(error)) {
                self.report(whole, error, problems);
            }
            return;
        }
        let at = place(self.at, whole, error.instance_path.as_str());
        let problem = |at, message: String| Problem::error(self.code, at, message);
        match &error.kind {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.properties(error);
                for name in unexpected {
                    let help = match nearest(name, known.iter().map(String::as_str)) {
                        Some(close) => format!("did you mean `{close}`?"),
                        None if known.is_empty() => "it takes none".to_owned(),
                        None => format!("known here: {}", known.join(", ")),
                    };
                    let message = format!("`{name}` is not {}", self.what);
                    problems.push(problem(at.field(name), message).with_help(help));
                }
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                if self.partial {
                    return;
                }
                let message =
                    format!("`{name}` is missing: it is {} that must be given", self.what);
                let help = match self.description(error, name) {
                    Some(description) => format!("add `{name}`: {description}"),
                    None => format!("add `{name}`"),
                };
                problems.push(problem(at, message).with_help(help));
            }
            _ => {
                let message = match wanted(error) {
                    Some(wanted) => format!("expected {wanted}, found {}", found(&error.instance)),
                    None => shorten(&error.masked_with(found(&error.instance)).to_string()),
                };
                let help = match (&error.kind, &*error.instance) {
                    (
                        ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Array) },
                        Value::String(text),
                    ) => format!("write a list: `[{}]`", shorten(text)),
                    _ => format!("`dr plugins {}` shows what it takes", self.plugin),
                };
                problems.push(problem(at, message).with_help(help));
            }
        }
    }

    /// Keys that the schema knows where an unknown one was found.
    fn properties(&self, error: &ValidationError<'_>) -> Vec<String> {
        let path = error.schema_path.as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let properties = self.schema.pointer(&format!("{parent}/properties"));
        let properties = properties.and_then(Value::as_object);
        properties.map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    fn description(&self, error: &ValidationError<'_>, name: &str) -> Option<String> {
        let path = error.schema_path.as_str();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let pointer = format!("{parent}/properties/{name}/description");
        let text = self.schema.pointer(&pointer)?.as_str()?;
        Some(text.lines().next()?.trim_end_matches('.').to_owned())
    }
}

/// Whether an error would stay once every template has its value: what a template gives is not
/// known yet, so it may be anything that fits.
fn relevant(error: &ValidationError<'_>) -> bool {
    let text = error.instance.as_str().unwrap_or_default();
    if is_one_template(text) {
        return false;
    }
    match &error.kind {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.iter().all(|branch| branch.iter().any(relevant))
        }
        ValidationErrorKind::OneOfMultipleValid { .. }
        | ValidationErrorKind::UniqueItems
        | ValidationErrorKind::Contains
        | ValidationErrorKind::Not { .. } => !holds_template(&error.instance),
        ValidationErrorKind::Type { .. } => true,
        _ => error.instance.as_str().is_none() || !has_braces(text),
    }
}

/// A text that is one `{{ … }}` and nothing else: its value keeps its type.
pub(super) fn is_one_template(text: &str) -> bool {
    text.strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .is_some_and(|inside| !has_braces(inside) && !inside.contains("}}"))
}

fn holds_template(value: &Value) -> bool {
    match value {
        Value::String(text) => has_braces(text),
        Value::Array(items) => items.iter().any(holds_template),
        Value::Object(map) => map.values().any(holds_template),
        _ => false,
    }
}

/// The only alternative of which the value is of the right kind: what is wrong is inside it.
fn meant<'e>(error: &'e ValidationError<'_>) -> Option<&'e [ValidationError<'static>]> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) =
        &error.kind
    else {
        return None;
    };
    let other_kind = |branch: &[ValidationError<'_>]| {
        branch.iter().any(|inner| {
            matches!(inner.kind, ValidationErrorKind::Type { .. })
                && inner.instance_path.as_str() == error.instance_path.as_str()
        })
    };
    let mut right = context.iter().filter(|branch| !other_kind(branch));
    match (right.next(), right.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// What would fit, if the error is about the kind of value or a fixed set.
fn wanted(error: &ValidationError<'_>) -> Option<String> {
    match &error.kind {
        ValidationErrorKind::Type { kind } => Some(match kind {
            TypeKind::Single(kind) => kind_name(&kind.to_string()),
            TypeKind::Multiple(kinds) => {
                let kinds = kinds.iter().map(|kind| kind.to_string()).filter(|k| k != "null");
                kinds.map(|kind| kind_name(&kind)).collect::<Vec<_>>().join(" or ")
            }
        }),
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array()?.iter().filter(|option| !option.is_null());
            let options: Vec<_> = options.map(plain).collect();
            Some(format!("one of {}", options.join(", ")))
        }
        ValidationErrorKind::Constant { expected_value } => Some(plain(expected_value)),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let mut all: Vec<String> = Vec::new();
            for branch in context {
                // Only if every branch fails right here is the kind of value the reason.
                let [only] = &branch[..] else { return None };
                if only.instance_path.as_str() != error.instance_path.as_str() {
                    return None;
                }
                let wanted = wanted(only)?;
                if wanted != "null" && !all.contains(&wanted) {
                    all.push(wanted);
                }
            }
            Some(all.join(" or "))
        }
        _ => None,
    }
}

fn kind_name(kind: &str) -> String {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
    .to_owned()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        Value::String(text) => format!("the text `{}`", shorten(text)),
        other => format!("`{other}`"),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 120 {
        return text.to_owned();
    }
    text.chars().take(119).chain(['…']).collect()
}

/// A JSON pointer as a path: only the value tells whether a number is a key or a position.
fn place(at: &DocPath, whole: &Value, pointer: &str) -> DocPath {
    let mut at = at.clone();
    let mut value = Some(whole);
    for part in pointer.split('/').skip(1) {
        let key = part.replace("~1", "/").replace("~0", "~");
        if let Some(Value::Array(items)) = value {
            let index = key.parse().unwrap_or(usize::MAX);
            at = at.index(index);
            value = items.get(index);
        } else {
            at = at.field(&key);
            value = value.and_then(|value| value.get(&key));
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(schema: &Value, value: &Value) -> Vec<(String, String)> {
        let subject = Subject {
            code: codes::BAD_ARGUMENT,
            plugin: "a",
            what: "an argument of `a.b`".to_owned(),
            schema,
            at: &DocPath::key("with"),
            partial: false,
        };
        let validator = jsonschema::draft202012::new(schema).expect("a schema");
        let mut problems = Vec::new();
        subject.validate(&validator, value, &mut problems);
        problems.into_iter().map(|p| (p.at.expect("a place").0, p.message)).collect()
    }

    #[test]
    fn schemas_that_mean_the_same_in_both_drafts_are_told_from_others() {
        use serde_json::json;
        for plain in [
            json!({ "$schema": "x", "type": "object", "properties": { "$ref": { "type": "null" } } }),
            json!({ "properties": { "a": { "$ref": "#/$defs/a", "description": "it" } }, "$defs": { "a": true } }),
            json!({ "anyOf": [{ "items": { "enum": [1] } }, { "const": { "prefixItems": 1 } }] }),
        ] {
            assert!(is_plain(&plain), "{plain}");
        }
        for other in [
            json!({ "prefixItems": [] }),
            json!({ "items": [{}] }),
            json!({ "properties": { "a": { "$ref": "#/$defs/a", "minLength": 1 } } }),
            json!({ "anyOf": [{ "unevaluatedProperties": false }] }),
            json!({ "$ref": "#anchor" }),
            json!({ "dependentRequired": {} }),
        ] {
            assert!(!is_plain(&other), "{other}");
        }
        // The plugins that are part of the program gain from it.
        for plugin in [dr_plugin_local::plugin(), dr_plugin_ssh::plugin(), dr_plugin_sim::plugin()]
        {
            for (action, manifest) in &plugin.manifest().actions {
                assert!(is_plain(manifest.input.as_value()), "{action}");
            }
        }
    }

    #[test]
    fn templates_may_become_anything_that_fits() {
        let schema = serde_json::json!({
            "type": "object",
            "properties": {
                "port": { "type": "integer", "minimum": 1 },
                "mode": { "enum": ["a", "b"] },
                "list": { "anyOf": [{ "type": "array", "items": { "type": "integer" } }, { "type": "null" }] },
            },
            "required": ["port"],
            "additionalProperties": false,
        });
        let fine = [
            serde_json::json!({ "port": "{{ inputs.p }}", "mode": "{{ x }}{{ y }}", "list": ["{{ a }}"] }),
            serde_json::json!({ "port": 1, "list": null }),
        ];
        for value in fine {
            assert_eq!(problems(&schema, &value), [], "{value}");
        }
        let bad = serde_json::json!({ "prt": 1, "port": "x{{ inputs.p }}", "mode": "c", "list": [1, "x"] });
        let found = problems(&schema, &bad);
        let mut messages: Vec<_> = found.iter().map(|(at, m)| format!("{at}: {m}")).collect();
        messages.sort();
        assert_eq!(
            messages,
            [
                "with.list[1]: expected a whole number, found the text `x`",
                "with.mode: expected one of a, b, found the text `c`",
                "with.port: expected a whole number, found the text `x{{ inputs.p }}`",
                "with.prt: `prt` is not an argument of `a.b`",
            ]
        );
    }

    #[test]
    fn one_template_is_told_from_text() {
        assert!(is_one_template("{{ a.b }}"));
        assert!(!is_one_template("{{ a }}{{ b }}"));
        assert!(!is_one_template(" {{ a }}"));
        assert!(!is_one_template("a"));
    }
}
