//! The guide: every runbook in it is one that `dr check` accepts, and every page is linked.

use std::fs;
use std::path::PathBuf;

use crate::{dr, repository};

fn pages() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(repository("docs/guide")).unwrap();
    let mut pages: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    pages.sort();
    pages
}

/// Blocks of YAML that are a whole runbook.
fn runbooks(page: &str) -> Vec<&str> {
    page.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block))
        .filter(|block| block.starts_with("runbook:"))
        .collect()
}

#[test]
fn runbooks_of_the_guide_are_right() {
    let mut seen = 0;
    for (path, page) in pages() {
        for (number, block) in runbooks(&page).into_iter().enumerate() {
            let dr = dr().runbook(block);
            let ended = dr.args(["check", "--strict", "runbook.yaml"]).run();
            assert_eq!(ended.code, Some(0), "{}, block {}\n{ended}", path.display(), number + 1);
            dr.args(["plan", "runbook.yaml", "--history", "none"]).run().code(0);
            seen += 1;
        }
    }
    assert!(seen >= 3, "the guide shows runbooks");
}

#[test]
fn every_page_is_linked() {
    let index = fs::read_to_string(repository("docs/guide/README.md")).unwrap();
    for (path, page) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "{name}");
        for target in page.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let file = target.0.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(path.with_file_name(file).exists(), "{name} links {file}");
            }
        }
    }
}
