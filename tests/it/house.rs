//! The house: who may import whom. The direction of dependencies is a promise of the architecture
//! (`docs/ARCHITECTURE.md`), so it is read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For every module of `src/`, the modules it may import.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let base = ["id", "time", "words", "markup"];
    let rows: &[(&str, &[&str])] = &[
        ("id", &[]),
        ("time", &[]),
        ("words", &[]),
        ("markup", &["time"]),
        ("event", &[]),
        ("text", &[]),
        ("catalog", &[]),
        ("plan", &["text", "event"]),
        ("runbook", &["text", "catalog", "plan", "event"]),
        ("planner", &["text", "catalog", "runbook", "plan", "event"]),
        ("machine", &["text", "plan", "event"]),
        ("journal", &["event"]),
        ("plugin", &["plan", "catalog"]),
        ("engine", &["machine", "journal", "plugin", "plan", "event", "text"]),
        ("rehearse", &["machine", "journal", "plan", "event", "text"]),
        ("view", &["plan", "event", "text"]),
        ("report", &["view", "plan", "event"]),
        ("evidence", &["view", "plan", "event"]),
        ("bundle", &["evidence"]),
        ("history", &["view", "plan", "event"]),
        ("reference", &[]),
        ("schemas", &["catalog", "runbook", "plan", "event", "evidence"]),
    ];
    let all: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).chain(["error"]).collect();
    let mut allowed: BTreeMap<_, BTreeSet<_>> = rows
        .iter()
        .map(|(name, knows)| {
            let mut set: BTreeSet<&str> = knows.iter().copied().collect();
            if !base.contains(name) {
                set.extend(base);
            }
            set.insert(name);
            (*name, set)
        })
        .collect();
    allowed.insert("app", all.iter().copied().chain(["app"]).collect());
    allowed.insert("error", all.clone());
    allowed.insert("cli", all.into_iter().chain(["app", "cli"]).collect());
    allowed
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The modules named by `crate::NAME` in a source, comments left out.
fn imports(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn modules_import_only_what_they_may_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed();
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).expect("below src");
        let first = relative.components().next().expect("a name").as_os_str();
        let module = Path::new(first).file_stem().and_then(|stem| stem.to_str()).expect("a name");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(knows) = allowed.get(module) else {
            wrong.push(format!("{}: no place in the house", relative.display()));
            continue;
        };
        let text = std::fs::read_to_string(&file).expect("a source");
        for import in imports(&text) {
            if allowed.contains_key(import.as_str()) && !knows.contains(import.as_str()) {
                wrong.push(format!("{}: must not know `{import}`", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn plugins_know_the_sdk_only() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    for entry in std::fs::read_dir(plugins).expect("the plugins") {
        let manifest = entry.expect("an entry").path().join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else { continue };
        for line in text.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(name != "dr", "{}: {line}", manifest.display());
        }
    }
}
