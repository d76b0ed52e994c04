//! The pages in `docs/errors/`: one for each code, and what they show is true.

use std::path::{Path, PathBuf};

use dr_plugin::Manifest;

use super::testing::problems_of;
use super::{Look, check, codes, findings, load, normalize, read, render};
use crate::catalog::Catalog;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors")
}

/// The examples of a page that are marked in this way.
fn examples(page: &str, mark: &str) -> Vec<String> {
    let fence = format!("```yaml {mark}\n");
    page.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example.to_owned()))
        .collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    for (code, title) in codes::ALL {
        let path = folder().join(format!("{code}.md"));
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(page.lines().next(), Some(format!("# {code}: {title}").as_str()), "{code}");
    }
    for entry in std::fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        if let Some(code) = name.strip_suffix(".md").filter(|name| name.starts_with("DR1")) {
            assert!(codes::title(code).is_some(), "{code} is no code");
        }
    }
}

fn page_of(code: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{code}.md"))).expect("a page")
}

/// The bad examples on the page of a code.
pub(super) fn bad_examples(code: &str) -> Vec<String> {
    examples(&page_of(code), "bad")
}

#[test]
fn bad_examples_are_bad_and_good_ones_good() {
    for (code, _) in codes::ALL {
        let bad = bad_examples(code);
        // Only a file that cannot be read at all has no text to show.
        assert_eq!(bad.is_empty(), *code == codes::UNREADABLE, "{code}");
        for example in bad {
            let problems = problems_of(&example);
            assert!(
                !problems.is_empty() && problems.iter().all(|problem| problem.code == *code),
                "{code}: {problems:#?}"
            );
        }
        for example in examples(&page_of(code), "good") {
            assert_eq!(problems_of(&example), [], "{code}");
        }
    }
}

/// The runbooks that users are given, with all plugins that belong to `dr`.
#[test]
fn shipped_runbooks_have_no_problem() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/plugins");
    let manifests = std::fs::read_dir(schemas).expect("the manifests").map(|entry| {
        let text = std::fs::read(entry.expect("an entry").path()).expect("a manifest");
        serde_json::from_slice::<Manifest>(&text).expect("a manifest")
    });
    let catalog = Catalog::new(manifests);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = read(&path).expect("a text");
        if text.contains("uses: ./") {
            // What it includes is read by the program: see the tests of that.
            continue;
        }
        let mut runbook = load(&text, "runbook.yaml").expect("a runbook");
        normalize(&mut runbook, &catalog);
        let problems = findings("runbook.yaml", &text, &check(&runbook, &catalog));
        assert!(
            problems.is_empty(),
            "{}\n{}",
            path.display(),
            render(&text, &problems, Look::Plain, 100)
        );
    }
}
