//! The pages of `docs/errors/`: one for each code that the program can show, none for any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::repository;

/// Codes in the sources, with the files that declare them. Tests may name codes at will.
fn declared() -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut codes: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    let mut folders = vec![repository("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if name == "tests" || name.ends_with("_tests") || name == "testing" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let (text, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
                for code in codes_in(text) {
                    codes.entry(code).or_default().insert(path.clone());
                }
            }
        }
    }
    codes
}

/// Every `DR` that four digits follow.
fn codes_in(text: &str) -> BTreeSet<String> {
    text.match_indices("DR")
        .filter_map(|(start, _)| text.get(start..start + 6))
        .filter(|code| code[2..].bytes().all(|byte| byte.is_ascii_digit()))
        .map(ToOwned::to_owned)
        .collect()
}

fn pages() -> BTreeMap<String, String> {
    fs::read_dir(repository("docs/errors"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let code = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (code, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let codes = declared();
    let pages = pages();
    let with_page: BTreeSet<_> = pages.keys().collect();
    assert_eq!(codes.keys().collect::<BTreeSet<_>>(), with_page);
    for (code, files) in codes {
        assert_eq!(files.len(), 1, "{code} means one thing, said in one place: {files:?}");
    }
}

#[test]
fn pages_have_one_form() {
    for (code, page) in pages() {
        assert!(page.starts_with(&format!("# {code}: ")), "{code}: the title");
        let heads: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(heads, ["## Cause", "## Example", "## Cure"], "{code}");
        let shows = |fence: &str| page.contains(&format!("```{fence}"));
        let is_shown = match &code[..3] {
            "DR1" => code == "DR1001" || shows("yaml bad"),
            "DR2" => shows("yaml") || shows("console"),
            _ => shows("console"),
        };
        assert!(is_shown, "{code}: an example");
        for named in codes_in(&page) {
            let path = format!("docs/errors/{named}.md");
            assert!(Path::new(&repository(&path)).exists(), "{code} names {named}");
        }
    }
}
