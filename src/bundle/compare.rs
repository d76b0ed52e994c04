use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::BundleError;
use super::files::read;
use super::sums::{LISTED, sums};

/// Without these there is no evidence.
const NEEDED: [&str; 4] = ["evidence.json", "journal.jsonl", "plan.json", "report.md"];

/// Files that are there for the work, not for evidence.
const BESIDE: [&str; 6] = ["SHA256SUMS", "SHA256SUMS.sig", "run.lock", "inbox", "notes", "sealed"];

/// What is wrong with the files of a run, as `SHA256SUMS` has them: each changed, missing and added
/// file. Nothing if all of them are as they were summed.
///
/// # Errors
/// A file cannot be read.
pub fn compare(dir: &Path) -> Result<Vec<String>, BundleError> {
    let Some(bytes) = read(&dir.join("SHA256SUMS"))? else {
        let sums = std::iter::once("there is no SHA256SUMS".to_owned());
        return Ok(sums.chain(not_there(dir)).collect());
    };
    let now: Vec<String> = sums(dir)?.iter().map(ToString::to_string).collect();
    let whole = now.iter().fold(String::new(), |whole, line| whole + line + "\n");
    let mut problems: Vec<String> = not_there(dir).collect();
    if bytes == whole.as_bytes() {
        return Ok(problems);
    }
    let text = String::from_utf8_lossy(&bytes);
    let by_name = |lines: &mut dyn Iterator<Item = String>| -> BTreeMap<String, String> {
        lines
            .filter_map(|line| line.split_once("  ").map(|(sum, name)| (name.into(), sum.into())))
            .collect()
    };
    let then = by_name(&mut text.lines().map(str::to_owned));
    let now = by_name(&mut now.into_iter());
    let before = problems.len();
    for (name, sum) in &then {
        match now.get(name) {
            Some(now) if now == sum => {}
            Some(_) => problems.push(format!("{name} has changed")),
            None if NEEDED.contains(&name.as_str()) => {}
            None => problems.push(format!("{name} is missing")),
        }
    }
    let added = now.keys().filter(|name| !then.contains_key(*name));
    problems.extend(added.map(|name| format!("{name} is not in SHA256SUMS")));
    if problems.len() == before {
        problems.push("SHA256SUMS is not as dr writes it".to_owned());
    }
    Ok(problems)
}

fn not_there(dir: &Path) -> impl Iterator<Item = String> {
    let missing = NEEDED.iter().filter(|name| !dir.join(name).is_file());
    missing.map(|name| format!("{name} is missing"))
}

/// What lies at the top of a run's folder and is neither evidence nor known to be there for the
/// work.
///
/// # Errors
/// The folder cannot be read.
pub fn unlisted(dir: &Path) -> Result<Vec<String>, BundleError> {
    let entries = fs::read_dir(dir).map_err(BundleError::at(dir))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let known = |name: &String| LISTED.contains(&name.as_str()) || BESIDE.contains(&name.as_str());
    let mut names: Vec<String> = names.filter(|name| !known(name)).collect();
    names.sort();
    Ok(names)
}
