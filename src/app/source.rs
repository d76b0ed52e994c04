//! From a file to a checked runbook.

use std::path::{Path, PathBuf};

use crate::app::plugins;
use crate::catalog::Catalog;
use crate::plugin::FindError;
use crate::runbook::{self, Finding, Level, Problem, Runbook};

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
}

impl Examined {
    /// Reads and checks a runbook.
    ///
    /// # Errors
    /// A plugin that it names is there and cannot be used.
    pub fn read(path: &Path) -> Result<Self, FindError> {
        let file = path.display().to_string();
        match runbook::read(path) {
            Ok(text) => Self::of(file, text),
            Err(problems) => Ok(Self::failed(file, String::new(), &problems)),
        }
    }

    /// Checks the text of a runbook; `file` is its name for people.
    ///
    /// # Errors
    /// A plugin that it names is there and cannot be used.
    pub fn of(file: String, text: String) -> Result<Self, FindError> {
        match runbook::load(&text, &file) {
            Err(problems) => Ok(Self::failed(file, text, &problems)),
            Ok(mut runbook) => {
                let catalog = plugins::catalog_for(&runbook)?;
                runbook::normalize(&mut runbook, &catalog);
                let problems = runbook::check(&runbook, &catalog);
                let findings = runbook::findings(&file, &text, &problems);
                Ok(Self { file, text, runbook: Some((runbook, catalog)), findings })
            }
        }
    }

    fn failed(file: String, text: String, problems: &[Problem]) -> Self {
        let findings = runbook::findings(&file, &text, problems);
        Self { file, text, runbook: None, findings }
    }

    /// The texts that a plan of it is made from, the runbook first.
    #[must_use]
    pub fn sources(&self) -> Vec<(PathBuf, Vec<u8>)> {
        vec![(PathBuf::from(&self.file), self.text.clone().into_bytes())]
    }

    /// The same file with what planning it found, instead of what the check found.
    #[must_use]
    pub fn with_problems(mut self, problems: &[Problem]) -> Self {
        self.findings = runbook::findings(&self.file, &self.text, problems);
        self
    }

    /// How many findings are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Error).count()
    }
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
