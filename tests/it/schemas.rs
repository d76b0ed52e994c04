//! What is generated and committed is what the program says today.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{dr, repository};

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
}

/// Files by their path below `folder`.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(folder, &mut found);
    let mut found: Vec<PathBuf> =
        found.iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect();
    found.sort();
    found
}

#[test]
fn schemas_and_reference_are_fresh() {
    let cure = "run `cargo run -- schema --all schemas --reference docs/reference`";
    let dr = dr();
    dr.args(["schema", "--all", "made/schemas", "--reference", "made/docs/reference"])
        .run()
        .code(0);
    for folder in ["schemas", "docs/reference/language", "docs/reference/actions"] {
        let (made, kept) = (dr.path(format!("made/{folder}")), repository(folder));
        assert_eq!(tree(&made), tree(&kept), "{cure}");
        for file in tree(&made) {
            let read = |folder: &Path| std::fs::read_to_string(folder.join(&file)).unwrap();
            assert!(read(&made) == read(&kept), "{folder}/{} is stale: {cure}", file.display());
        }
    }
}

#[test]
fn every_shipped_runbook_is_without_a_remark_and_has_a_plan() {
    let folder = repository("runbooks");
    let dr = crate::secrets::with_identity(dr());
    for file in tree(&folder) {
        let path = folder.join(&file);
        let path = path.to_str().unwrap();
        dr.args(["check", "--strict", path]).run().code(0);
        let inputs = crate::procedures::inputs_of(file.to_str().unwrap());
        let args = ["plan", "--history", "none", path];
        dr.args(args.into_iter().chain(inputs)).run().code(0);
    }
}

/// Plans and events are what their schemas say.
#[test]
fn plans_and_events_fit_their_schemas() {
    let dr = dr().copy(repository("runbooks/quickstart.yaml"));
    let schema = |name: &str| -> Value {
        let text = std::fs::read_to_string(repository("schemas").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let fits = |schema: &Value, value: &Value| {
        let validator = jsonschema::validator_for(schema).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path))
            .collect();
        assert!(wrong.is_empty(), "{}\n{value:#}", wrong.join("\n"));
    };
    let plan = dr.args(["plan", "quickstart.yaml", "--format", "json"]).run().code(0).json();
    fits(&schema("plan.schema.json"), &plan);
    let ended = dr.args(["execute", "quickstart.yaml", "--format", "json"]).run().code(0);
    let event = schema("event.schema.json");
    for record in ended.events().iter().filter(|event| event["volatile"] != true) {
        fits(&event, record);
    }
    let evidence = std::fs::read_to_string(dr.last_run().join("evidence.json")).unwrap();
    fits(&schema("evidence.schema.json"), &serde_json::from_str(&evidence).unwrap());
}

/// Runbooks that are shipped and shown fit the schema for readers and validators of others too.
#[test]
fn others_read_and_validate_every_runbook() {
    let mut paths = Vec::new();
    files(&repository("runbooks"), &mut paths);
    files(&repository("docs/guide"), &mut paths);
    files(&repository("src/app/templates"), &mut paths);
    let schema = repository("schemas/runbook.schema.json");
    let ended = std::process::Command::new("python3")
        .arg(repository("tests/validate.py"))
        .arg(schema)
        .args(&paths)
        .output()
        .expect("python3: tests/install brings it");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(!ended.stdout.starts_with(b"0 "), "runbooks were read");
}
