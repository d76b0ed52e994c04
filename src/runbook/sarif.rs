//! Findings for other programs: SARIF 2.1.0 for code scanning, and the commands that annotate a
//! pull request on GitHub.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Finding, Level, codes};

/// The findings as one SARIF 2.1.0 log. `version` is that of `dr`.
#[must_use]
pub fn sarif(findings: &[Finding], version: &str) -> Value {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    rules.sort_unstable();
    rules.dedup();
    let described: Vec<Value> = rules
        .iter()
        .map(|code| {
            let title = codes::title(code).unwrap_or(code);
            json!({
                "id": code,
                "shortDescription": { "text": title },
                "help": { "text": format!("see {}", super::page(code)) },
            })
        })
        .collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &rules)).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "dr",
                "version": version,
                "rules": described,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding, rules: &[&str]) -> Value {
    let text = match &finding.help {
        Some(help) => format!("{}. Help: {help}", finding.message),
        None => finding.message.clone(),
    };
    let mut physical = json!({ "artifactLocation": { "uri": uri(&finding.file) } });
    if let Some(line) = finding.line {
        let mut region = json!({ "startLine": line });
        if let Some(column) = finding.column {
            region["startColumn"] = column.into();
        }
        physical["region"] = region;
    }
    let mut location = json!({ "physicalLocation": physical });
    if let Some(path) = &finding.path {
        location["logicalLocations"] = json!([{ "fullyQualifiedName": path.to_string() }]);
    }
    json!({
        "ruleId": finding.code,
        "ruleIndex": rules.iter().position(|rule| *rule == finding.code),
        "level": word(finding.level),
        "message": { "text": text },
        "locations": [location],
    })
}

/// The findings as workflow commands, one a line: GitHub shows them beside the lines of a change.
#[must_use]
pub fn github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let mut place = format!("file={}", property(&finding.file));
        for (name, number) in [("line", finding.line), ("col", finding.column)] {
            if let Some(number) = number {
                place = format!("{place},{name}={number}");
            }
        }
        let title = codes::title(finding.code).unwrap_or_default();
        let title = property(&format!("{}: {title}", finding.code));
        let mut text = finding.message.clone();
        if let Some(help) = &finding.help {
            text = format!("{text}\nhelp: {help}");
        }
        let level = word(finding.level);
        let _ = writeln!(out, "::{level} {place},title={title}::{}", data(&text));
    }
    out
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// Text after the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value before it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A path as a relative reference: bytes that a URI has no room for are escaped.
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    if path.starts_with('/') { format!("file://{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::DocPath;

    fn found() -> Finding {
        Finding {
            code: codes::NO_TIMEOUT,
            level: Level::Warning,
            message: "`a` could\nhang: 100%".to_owned(),
            help: Some("add a `timeout`".to_owned()),
            file: "run books/a,b.yaml".to_owned(),
            path: Some(DocPath::step(0)),
            line: Some(4),
            column: Some(7),
            span: Some(10..12),
            page: super::super::page(codes::NO_TIMEOUT),
        }
    }

    #[test]
    fn annotations_escape_what_would_end_them() {
        assert_eq!(
            github(&[found()]),
            "::warning file=run books/a%2Cb.yaml,line=4,col=7,title=DR1905%3A a remote action \
             without a time limit::`a` could%0Ahang: 100%25%0Ahelp: add a `timeout`\n"
        );
    }

    /// What the standard requires of the parts that are written.
    #[test]
    fn the_log_has_what_sarif_requires() {
        let text = json!({ "type": "object", "required": ["text"],
            "properties": { "text": { "type": "string" } } });
        let positive = json!({ "type": "integer", "minimum": 1 });
        let region = json!({ "type": "object", "required": ["startLine"],
            "properties": { "startLine": positive, "startColumn": positive },
            "additionalProperties": false });
        let artifact = json!({ "type": "object",
            "properties": { "uri": { "type": "string", "format": "uri-reference" } } });
        let physical = json!({ "type": "object", "required": ["artifactLocation"],
            "properties": { "artifactLocation": artifact, "region": region } });
        let logical = json!({ "type": "object",
            "properties": { "fullyQualifiedName": { "type": "string" } } });
        let location = json!({ "type": "object", "additionalProperties": false, "properties": {
            "physicalLocation": physical,
            "logicalLocations": { "type": "array", "items": logical } } });
        let result = json!({ "type": "object", "required": ["message"], "additionalProperties": false,
            "properties": {
                "ruleId": { "type": "string" },
                "ruleIndex": { "type": "integer", "minimum": -1 },
                "level": { "enum": ["none", "note", "warning", "error"] },
                "message": text,
                "locations": { "type": "array", "items": location } } });
        let rule = json!({ "type": "object", "required": ["id"], "additionalProperties": false,
            "properties": { "id": { "type": "string" }, "shortDescription": text, "help": text } });
        let driver = json!({ "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": { "name": { "type": "string" }, "version": { "type": "string" },
                "rules": { "type": "array", "uniqueItems": true, "items": rule } } });
        let run = json!({ "type": "object", "required": ["tool"], "additionalProperties": false,
            "properties": {
                "tool": { "type": "object", "required": ["driver"], "properties": { "driver": driver } },
                "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
                "results": { "type": "array", "items": result } } });
        let schema = json!({ "type": "object", "required": ["version", "runs"],
            "additionalProperties": false,
            "properties": {
                "$schema": { "type": "string", "format": "uri" },
                "version": { "enum": ["2.1.0"] },
                "runs": { "type": "array", "items": run } } });
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let mut bare = found();
        (bare.line, bare.column, bare.path, bare.help) = (None, None, None, None);
        bare.file = "/abs/ü.yaml".to_owned();
        let log = sarif(&[found(), bare], "0.1.0");
        let wrong: Vec<_> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let location =
            |result: usize| &log["runs"][0]["results"][result]["locations"][0]["physicalLocation"];
        assert_eq!(location(0)["artifactLocation"]["uri"], "run%20books/a%2Cb.yaml");
        assert_eq!(location(0)["region"]["startLine"], 4);
        assert_eq!(location(1)["artifactLocation"]["uri"], "file:///abs/%C3%BC.yaml");
        assert_eq!(log["runs"][0]["results"][0]["ruleIndex"], 0);
        assert_eq!(sarif(&[], "0.1.0")["runs"][0]["results"], json!([]));
    }
}
