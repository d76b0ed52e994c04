//! From a file to a checked runbook.

use std::path::{Path, PathBuf};

use crate::app::library::Disk;
use crate::app::plugins;
use crate::catalog::Catalog;
use crate::plugin::FindError;
use crate::runbook::{self, Finding, Level, Library, Problem, Rest, Runbook};

/// A runbook's file with what is wrong with it.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The file as it was named.
    pub file: String,
    /// Its text; empty where it could not be read.
    pub text: String,
    /// The runbook with the plugins that it names, unless its form is wrong.
    pub runbook: Option<(Runbook, Catalog)>,
    /// Everything that was found, by place.
    pub findings: Vec<Finding>,
    /// What was found in the files that it includes.
    pub parts: Vec<Included>,
}

/// An included file with what is wrong with it.
#[derive(Debug, Clone)]
pub struct Included {
    /// Its name for people.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Everything that was found, by place.
    pub findings: Vec<Finding>,
}

impl Included {
    fn of(file: &str, text: &str, problems: &[Problem]) -> Self {
        let findings = runbook::findings(file, text, problems);
        Self { file: file.to_owned(), text: text.to_owned(), findings }
    }
}

impl Examined {
    /// Reads and checks a runbook.
    ///
    /// # Errors
    /// A plugin that it names is there and cannot be used.
    pub fn read(path: &Path) -> Result<Self, FindError> {
        let file = path.display().to_string();
        match runbook::read(path) {
            Ok(text) => {
                let really = path.canonicalize();
                let identity = really.map_or_else(|_| file.clone(), |it| it.display().to_string());
                Self::of(file, text, &Disk::around(path), &identity)
            }
            Err(problems) => Ok(Self::failed(file, String::new(), &problems)),
        }
    }

    /// Checks the text of a runbook; `file` is its name for people, `identity` that for `library`,
    /// which has what it includes.
    ///
    /// # Errors
    /// A plugin that it names is there and cannot be used.
    pub fn of(
        file: String,
        text: String,
        library: &dyn Library,
        identity: &str,
    ) -> Result<Self, FindError> {
        match runbook::load(&text, &file) {
            Err(mut problems) => {
                problems.extend(rest(&text, &file, library, identity));
                Ok(Self::failed(file, text, &problems))
            }
            Ok(mut runbook) => {
                runbook::include(&mut runbook, library, identity);
                let catalog = plugins::catalog_for(&runbook)?;
                runbook.each_mut(&mut |runbook| runbook::normalize(runbook, &catalog));
                let problems = runbook::check(&runbook, &catalog);
                let findings = runbook::findings(&file, &text, &problems);
                let mut parts: Vec<Included> = Vec::new();
                for part in runbook.all().into_iter().skip(1) {
                    let problems = runbook::check(part, &catalog);
                    parts.push(Included::of(&part.file, &part.text, &problems));
                }
                for part in runbook.unread() {
                    let mut problems = part.problems.clone();
                    problems.extend(rest(&part.text, &part.file, library, &part.file));
                    parts.push(Included::of(&part.file, &part.text, &problems));
                }
                Ok(Self { file, text, runbook: Some((runbook, catalog)), findings, parts })
            }
        }
    }

    fn failed(file: String, text: String, problems: &[Problem]) -> Self {
        let findings = runbook::findings(&file, &text, problems);
        Self { file, text, runbook: None, findings, parts: Vec::new() }
    }

    /// The texts that a plan of it is made from, the runbook first.
    #[must_use]
    pub fn sources(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let own = (PathBuf::from(&self.file), self.text.clone().into_bytes());
        let parts = self.parts.iter();
        let parts = parts.map(|it| (PathBuf::from(&it.file), it.text.clone().into_bytes()));
        std::iter::once(own).chain(parts).collect()
    }

    /// The same file with what planning it found, instead of what the check found.
    #[must_use]
    pub fn with_problems(mut self, problems: &[Problem]) -> Self {
        let about = |file: Option<&str>| -> Vec<Problem> {
            problems.iter().filter(|it| it.file.as_deref() == file).cloned().collect()
        };
        self.findings = runbook::findings(&self.file, &self.text, &about(None));
        for part in &mut self.parts {
            part.findings =
                runbook::findings(&part.file, &part.text, &about(Some(part.file.as_str())));
        }
        self
    }

    /// How many findings are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.all_findings().filter(|finding| finding.level == Level::Error).count()
    }

    /// What was found in it and in what it includes.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.parts.iter().flat_map(|part| &part.findings))
    }

    /// Warnings belong to quiet days: in the way of an incident only errors count.
    #[must_use]
    pub fn errors_only(mut self) -> Self {
        let is_error = |finding: &Finding| finding.level == Level::Error;
        self.findings.retain(is_error);
        for part in &mut self.parts {
            part.findings.retain(is_error);
        }
        self
    }
}

/// What is wrong beside the form with a text that has errors of form, as far as that can be told. A
/// plugin that cannot be used is not told: what it offers decides about the rest.
fn rest(text: &str, file: &str, library: &dyn Library, identity: &str) -> Vec<Problem> {
    let Some(mut rest) = Rest::of(text, file) else { return Vec::new() };
    runbook::include(&mut rest.runbook, library, identity);
    let Ok(catalog) = plugins::catalog_for(&rest.runbook) else { return Vec::new() };
    rest.runbook.each_mut(&mut |runbook| runbook::normalize(runbook, &catalog));
    let problems = runbook::check(&rest.runbook, &catalog);
    rest.certain(problems)
}

/// The runbooks that `paths` name: files as they are, folders for every `*.yaml` and `*.yml` below
/// them, hidden ones left out, in order.
///
/// # Errors
/// A folder that cannot be read, with its reason.
pub fn runbooks(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut below = Vec::new();
            collect(path, &mut below)?;
            below.sort();
            found.extend(below);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Links are not followed: a loop of them would never end.
        let kind = entry.file_type().map_err(failed)?;
        let yaml = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
        if kind.is_dir() {
            collect(&path, into)?;
        } else if yaml && is_runbook(&path) {
            into.push(path);
        }
    }
    Ok(())
}

/// Whether a YAML file in a folder means to be a runbook: it has a line that begins with
/// `runbook:`. One that is named on the command line is taken for one without this.
fn is_runbook(path: &Path) -> bool {
    std::fs::read_to_string(path)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("runbook:")))
}
