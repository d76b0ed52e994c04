use super::checker::Checker;
use crate::id::check_name;
use crate::runbook::{DocPath, codes};

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
        for (index, step) in document.steps.iter().enumerate() {
            let id = step.id.value.as_str();
            self.name(id, || DocPath::step(index).field("id"));
            let first = self.steps.get(id).copied().unwrap_or(index);
            if first != index {
                let line = document.steps[first].id.referenced.line();
                self.help(
                    codes::DUPLICATE_ID,
                    DocPath::step(index).field("id"),
                    format!("there is already a step `{id}`, on line {line}"),
                    "give one of them another id",
                );
            }
            for output in step.outputs.keys() {
                self.name(output, || DocPath::step(index).field("outputs").field(output));
            }
        }
        if document.steps.is_empty() {
            self.help(
                codes::STEP_SHAPE,
                DocPath::key("steps"),
                "the runbook has no steps",
                "add at least one step with an `id` and something to do",
            );
        }
    }

    pub(super) fn name(&mut self, name: &str, at: impl FnOnce() -> DocPath) {
        if let Err(reason) = check_name(name) {
            let help = match fitting(name) {
                Some(better) => format!("write `{better}`"),
                None => "use lower-case letters, digits and underscores".to_owned(),
            };
            self.help(codes::BAD_NAME, at(), format!("`{name}` {reason}"), help);
        }
    }
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
