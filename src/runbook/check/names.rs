use std::collections::HashMap;

use super::checker::Checker;
use crate::id::check_name;
use crate::runbook::{DocPath, Problem, codes};

impl Checker<'_> {
    /// Everything that has a name is named so that expressions can read it, and only once.
    pub(super) fn names(&mut self) {
        let document = self.document;
        self.name(&document.runbook.value, || DocPath::key("runbook"));
        for (section, names) in [
            ("inputs", document.inputs.keys().collect::<Vec<_>>()),
            ("values", document.values.keys().collect()),
            ("environments", document.environments.keys().collect()),
            ("secrets", document.secrets.keys().collect()),
            ("tiers", document.tiers.keys().collect()),
            ("services", document.services.keys().collect()),
            ("hosts", document.hosts.keys().collect()),
            ("pools", document.pools.keys().collect()),
            ("spans", document.spans.keys().collect()),
        ] {
            for name in names {
                self.name(name, || DocPath::key(section).field(name));
            }
        }
        for index in 0..self.outline.len() {
            let step = self.outline.get(index).doc;
            let path = |checker: &Self| checker.outline.path(index);
            let id = step.id.value.as_str();
            if let Some(problem) = name_problem(id, || path(self).field("id")) {
                self.push(problem);
            }
            let first = self.outline.first_named(index);
            if first != index {
                let line = self.outline.get(first).doc.id.line;
                self.help(
                    codes::DUPLICATE_ID,
                    path(self).field("id"),
                    format!("there is already a step `{id}`, on line {line}"),
                    "give one of them another id",
                );
            }
            for output in step.outputs.keys() {
                if let Some(problem) =
                    name_problem(output, || path(self).field("outputs").field(output))
                {
                    self.push(problem);
                }
            }
        }
        self.locks();
        if document.steps.is_empty() {
            self.help(
                codes::STEP_SHAPE,
                DocPath::key("steps"),
                "the runbook has no steps",
                "add at least one step with an `id` and something to do",
            );
        }
    }

    /// A lock of a loop is held by that loop alone: who waits for a lock while holding another may
    /// wait for ever.
    fn locks(&mut self) {
        let document = self.document;
        for (position, lock) in document.locks.iter().enumerate() {
            self.name(lock, || DocPath::key("locks").index(position));
        }
        let mut times: HashMap<&str, u32> = HashMap::new();
        for lock in document.every_lock() {
            *times.entry(lock).or_default() += 1;
        }
        for index in 0..self.outline.len() {
            let step = self.outline.get(index).doc;
            if step.for_each.is_none() {
                continue;
            }
            for (position, lock) in step.locks.iter().enumerate() {
                let at = self.outline.path(index).field("locks").index(position);
                self.name(lock, || at.clone());
                if times.get(lock.as_str()).is_some_and(|times| *times > 1) {
                    self.help(
                        codes::STEP_SHAPE,
                        at,
                        format!("`{lock}` is locked more than once in this runbook"),
                        "say it once: at the head of the runbook it is held for the whole run; what \
                         one run must not do at the same time takes from a pool with a capacity of 1",
                    );
                }
            }
        }
    }

    pub(super) fn name(&mut self, name: &str, at: impl FnOnce() -> DocPath) {
        if let Some(problem) = name_problem(name, at) {
            self.push(problem);
        }
    }
}

fn name_problem(name: &str, at: impl FnOnce() -> DocPath) -> Option<Problem> {
    let reason = check_name(name).err()?;
    let help = match fitting(name) {
        Some(better) => format!("write `{better}`"),
        None => "use lower-case letters, digits and underscores".to_owned(),
    };
    Some(Problem::error(codes::BAD_NAME, at(), format!("`{name}` {reason}")).with_help(help))
}

/// A name that is like this one and allowed.
fn fitting(name: &str) -> Option<String> {
    let better: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    let better = better.trim_start_matches(|c: char| !c.is_ascii_lowercase()).to_owned();
    check_name(&better).is_ok().then_some(better)
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn better_names() {
        assert_eq!(fitting("stop-web"), Some("stop_web".to_owned()));
        assert_eq!(fitting("Stop Web"), Some("stop_web".to_owned()));
        assert_eq!(fitting("1st"), Some("st".to_owned()));
        assert_eq!(fitting("yes"), None);
        assert_eq!(fitting("--"), None);
    }
}
