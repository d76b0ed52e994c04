//! What the `result` of an action has, as far as its manifest lists it.

use serde_json::{Map, Value};

use super::checker::Checker;
use super::members::Wrong;
use crate::runbook::{codes, nearest};
use crate::text::{Path, Segment};

impl Checker<'_> {
    /// A field of the result of the action `uses` that it does not have.
    pub(super) fn wrong_result(&self, uses: &str, path: &Path) -> Result<(), Wrong> {
        let Some((plugin, action)) = uses.split_once('.') else { return Ok(()) };
        let Some(action) = self.catalog.action(plugin, action) else { return Ok(()) };
        let missing = no_field(action.output.as_value(), path, self.catalog.is_own(plugin));
        let Some(NoField { of, name, known }) = missing else { return Ok(()) };
        let help = match nearest(&name, known.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None if of.0.len() > 1 => format!("it has {}", known.join(", ")),
            None => format!("`{uses}` gives {}", known.join(", ")),
        };
        Err((codes::UNKNOWN_NAME, format!("there is no `{name}` in `{of}`"), Some(help)))
    }
}

/// A field of a result that does not exist.
struct NoField<'s> {
    /// What it is read of: `result`, `result.record`.
    of: Path,
    /// Its name.
    name: String,
    /// The fields that there are.
    known: Vec<&'s str>,
}

/// The first field of `path`, which begins with `result`, that no value of this schema has.
/// `is_whole`: an object has the properties that are listed, even where the schema does not say that
/// there are no others.
fn no_field<'s>(root: &'s Value, path: &Path, is_whole: bool) -> Option<NoField<'s>> {
    let mut schema = root;
    for (position, segment) in path.0.iter().enumerate().skip(1) {
        let object = plain(root, schema)?;
        let Segment::Field(name) = segment else {
            schema = object.get("items")?;
            continue;
        };
        let listed = object.get("properties")?.as_object()?;
        if let Some(inner) = listed.get(name) {
            schema = inner;
            continue;
        }
        return lists_all(object, is_whole).then(|| NoField {
            of: Path(path.0[..position].to_vec()),
            name: name.clone(),
            known: listed.keys().map(String::as_str).collect(),
        });
    }
    None
}

/// The keywords that say what a value has: behind a reference, and behind "this or null".
fn plain<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Map<String, Value>> {
    const MOST: usize = 16;
    let mut schema = schema.as_object()?;
    for _ in 0..MOST {
        if let Some(to) = schema.get("$ref") {
            schema = root.pointer(to.as_str()?.strip_prefix('#')?)?.as_object()?;
        } else if let Some(options) =
            schema.get("anyOf").filter(|_| !schema.contains_key("properties"))
        {
            let mut some = options.as_array()?.iter().filter(|option| option["type"] != "null");
            let only = some.next().filter(|_| some.next().is_none());
            schema = only?.as_object()?;
        } else {
            return Some(schema);
        }
    }
    None
}

/// Whether an object has no other properties than the listed ones.
fn lists_all(object: &Map<String, Value>, is_whole: bool) -> bool {
    const MORE: [&str; 8] = [
        "allOf",
        "anyOf",
        "oneOf",
        "if",
        "not",
        "$dynamicRef",
        "dependentSchemas",
        "propertyNames",
    ];
    match object.get("additionalProperties") {
        _ if object.contains_key("patternProperties") => false,
        Some(others) => others == &Value::Bool(false),
        None => is_whole && !MORE.iter().any(|keyword| object.contains_key(*keyword)),
    }
}

#[cfg(test)]
mod tests {
    use dr_plugin::{ActionManifest, Effect, Manifest};
    use serde_json::json;

    use super::*;
    use crate::catalog::{Catalog, Executable};
    use crate::id::Digest;
    use crate::runbook::{Level, check, load};

    /// Of the plugins that belong to `dr`, and of one that does not.
    fn problems(text: &str) -> Vec<String> {
        #[derive(schemars::JsonSchema)]
        #[expect(dead_code, reason = "only its schema is used")]
        struct Open {
            id: String,
        }
        let mut catalog = Catalog::new([
            dr_plugin_local::plugin().manifest(),
            dr_plugin_http::plugin().manifest(),
            dr_plugin_sim::plugin().manifest(),
        ]);
        let action = ActionManifest::action::<Value, Open>("Does it", Effect::Pure);
        let foreign = Manifest::new::<Value>("foreign", "1.0.0", "d").with("do", action);
        let executable = Executable { path: "p".to_owned(), sha256: Digest::of(b"p") };
        catalog.add(foreign, executable);
        let runbook = load(text, "runbook.yaml").expect("the form is right");
        let errors = check(&runbook, &catalog).into_iter().filter(|it| it.level == Level::Error);
        errors
            .map(|problem| {
                let help = problem.help.unwrap_or_default();
                format!("{} {} ({help})", problem.code, problem.message)
            })
            .collect()
    }

    #[test]
    fn wherever_a_result_is_read() {
        let call = "uses: local.command, with: { argv: [a] }";
        let meant = "DR1403 there is no `exitcode` in `result` (did you mean `exit_code`?)";
        for (step, expected) in [
            (format!("{call}, expect: [result.exit_code == 0]"), None),
            (format!("{call}, expect: [result.exitcode == 0]"), Some(meant)),
            (format!("{call}, expect: [{{ that: 'true', message: \"{{{{ result.exitcode }}}}\" }}]"), Some(meant)),
            (format!("{call}, outputs: {{ a: result.exitcode }}"), Some(meant)),
            (format!("{call}, outputs: {{ a: {{ value: result.exitcode, secret: true }} }}"), Some(meant)),
            (format!("{call}, outputs: {{ a: 'has(result.exitcode) ? 1 : 2' }}"), Some(meant)),
            (format!("{call}, recovery_point: result.exitcode"), Some(meant)),
            (format!("{call}, effect: pure, repeat: {{ every: 1s, timeout: 1m, until: result.exitcode == 0 }}"), Some(meant)),
            (format!("{call}, effect: checkable, check: {{ {call}, done: result.exitcode == 0 }}"), Some(meant)),
            (format!("{call}, effect: checkable, check: {{ {call}, done: 'true', running: result.exitcode == 0 }}"), Some(meant)),
            // The check has its own result, not that of the step.
            ("uses: sim.action, effect: checkable, check: { uses: local.command, with: { argv: [a] }, done: result.exitcode == 0 }".to_owned(), Some(meant)),
            (format!("{call}, undo: {{ {call}, effect: idempotent, expect: [result.exitcode == 0] }}"), Some(meant)),
            (format!("{call}, for_each: [a, b], expect: [result.exitcode == 0]"), Some(meant)),
            (format!("steps: [{{ id: i, {call}, expect: [result.exitcode == 0] }}]"), Some(meant)),
            ("uses: sim.action, expect: [result.anything.at.all]".to_owned(), None),
            ("uses: http.request, with: { url: 'http://a' }, expect: [result.json.a.b == 1]".to_owned(), None),
            ("uses: foreign.do, expect: [result.anything]".to_owned(), None),
            (
                format!("{call}, expect: [result.zzzzzz]"),
                Some("DR1403 there is no `zzzzzz` in `result` (`local.command` gives exit_code, stdout, stderr, truncated, duration_ms)"),
            ),
        ] {
            let text = format!("runbook: a\nsteps:\n  - {{ id: s, {step} }}\n");
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(problems(&text), expected, "{step}");
        }
        let text = format!(
            "runbook: a\nservices:\n  web:\n    validation:\n      - name: v\n        checks:\n          \
             - {{ {call}, effect: pure, expect: [result.exitcode == 0] }}\nsteps: [{{ id: s, service: web, {call} }}]\n"
        );
        assert_eq!(problems(&text), [meant]);
    }

    fn missing(schema: &Value, path: &str, is_whole: bool) -> Option<String> {
        let path = Path::parse(path).expect("a path");
        no_field(schema, &path, is_whole).map(|it| format!("{}: {}", it.of, it.name))
    }

    #[test]
    fn only_what_certainly_does_not_exist() {
        let schema = json!({
            "type": "object",
            "properties": {
                "code": { "type": "integer" },
                "rows": { "type": "array", "items": { "type": "object", "additionalProperties": true } },
                "json": {},
                "labels": { "type": "object", "properties": { "a": {} }, "additionalProperties": { "type": "string" } },
                "record": { "anyOf": [{ "$ref": "#/$defs/record" }, { "type": "null" }] },
                "either": { "anyOf": [{ "$ref": "#/$defs/record" }, { "type": "object" }] },
                "closed": { "type": "object", "properties": { "a": {} }, "additionalProperties": false },
                "several": { "type": "object", "properties": { "a": {} }, "allOf": [{ "properties": { "b": {} } }] },
                "patterns": {
                    "type": "object", "properties": { "a": {} }, "additionalProperties": false,
                    "patternProperties": { "^x": {} },
                },
            },
            "$defs": {
                "record": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "next": { "$ref": "#/$defs/record" },
                        "all": { "type": "array", "items": { "$ref": "#/$defs/record" } },
                    },
                },
                "round": { "$ref": "#/$defs/round" },
            },
        });
        for (path, own, foreign) in [
            ("result", None, None),
            ("result.code", None, None),
            ("result.cod", Some("result: cod"), None),
            ("result['cod-e']", Some("result: cod-e"), None),
            ("result.code.deeper", None, None),
            ("result.rows[0].anything", None, None),
            ("result.json.a.b[1].c", None, None),
            ("result.labels.b", None, None),
            ("result.record.nam", Some("result.record: nam"), None),
            ("result.record.next.all[2].nam", Some("result.record.next.all[2]: nam"), None),
            ("result.record.all.first", None, None),
            ("result.either.nam", None, None),
            ("result.closed.b", Some("result.closed: b"), Some("result.closed: b")),
            ("result.several.b", None, None),
            ("result.patterns.x1", None, None),
        ] {
            assert_eq!(missing(&schema, path, true).as_deref(), own, "{path}");
            assert_eq!(missing(&schema, path, false).as_deref(), foreign, "{path}");
        }
        assert_eq!(missing(&json!({ "$ref": "#" }), "result.a", true), None);
        assert_eq!(missing(&json!(true), "result.a", true), None);
        assert_eq!(missing(&json!({ "title": "AnyValue" }), "result.a", true), None);
    }
}
