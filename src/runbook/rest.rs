//! What is told of a runbook that has errors of form, beside those errors. What they are about is
//! left out of it first; so that nobody reads an error that comes of that alone, only what holds whatever
//! was meant there is told.

use super::load::load_rest;
use super::{DocPath, Level, Problem, Runbook, codes};

/// Keys of a step that decide which names others and its own expressions can read.
const NAMING: &[&str] = &[
    "?",
    "approve",
    "as",
    "check",
    "closes",
    "expect_error",
    "for_each",
    "id",
    "outputs",
    "steps",
    "undo",
    "uses",
];
/// Keys of a step that decide what it waits for, and whether it is done at all.
const ORDERING: &[&str] = &[
    "?", "after", "approve", "closes", "early", "for_each", "id", "in_order", "needs", "outputs",
    "phase", "service", "steps", "undo", "uses", "when",
];

/// The part of a runbook that could be read although its form is wrong.
#[derive(Debug)]
pub struct Rest {
    /// That part.
    pub runbook: Runbook,
    /// Keys that are missing in it.
    dropped: Vec<DocPath>,
}

impl Rest {
    /// What can be read of a text that [`super::load`] refuses, if anything can.
    #[must_use]
    pub fn of(text: &str, file: &str) -> Option<Self> {
        let (runbook, dropped) = load_rest(text, file)?;
        Some(Self { runbook, dropped })
    }

    /// Those problems of the part that are problems of the whole as well.
    #[must_use]
    pub fn certain(&self, problems: Vec<Problem>) -> Vec<Problem> {
        problems.into_iter().filter(|problem| self.is_certain(problem)).collect()
    }

    fn is_certain(&self, problem: &Problem) -> bool {
        let Some(at) = &problem.at else { return false };
        if problem.level != Level::Error {
            return false;
        }
        match problem.code {
            codes::BAD_NAME
            | codes::DUPLICATE_ID
            | codes::UNKNOWN_PLUGIN
            | codes::UNKNOWN_ACTION
            | codes::TEXT_IN_SCRIPT
            | codes::SECRET_IN_ARGV
            | codes::BAD_TEXT
            | codes::BAD_DECISION
            | codes::BAD_DURATION
            | codes::OUT_OF_RANGE
            | codes::BAD_KEY => true,
            codes::UNKNOWN_TIER => self.has_all(&["tiers"]),
            codes::UNKNOWN_HOST => self.has_all(&["hosts", "environments"]),
            codes::UNKNOWN_POOL => self.has_all(&["pools", "environments"]),
            codes::UNKNOWN_SERVICE => self.has_all(&["services"]),
            codes::UNKNOWN_STEP => {
                self.has_all(&[]) && self.steps_have(&["?", "id", "steps", "undo"])
            }
            codes::UNKNOWN_NAME | codes::UNKNOWN_OUTPUT | codes::NAME_NOT_HERE => {
                self.has_all(&["values", "inputs", "hosts", "secrets", "environments"])
                    && self.steps_have(NAMING)
            }
            codes::BAD_ARGUMENT => {
                !self.lacks(at, &["?", "with", "uses", "check", "undo", "checks"])
            }
            codes::HOST_MISMATCH => {
                !self.lacks(at, &["?", "host", "uses", "check", "undo", "checks"])
            }
            codes::NOT_AN_ANCESTOR | codes::OUTPUT_OF_SKIPPABLE | codes::CYCLE => {
                self.has_all(&["services", "in_order", "environments"]) && self.steps_have(ORDERING)
            }
            codes::STEP_SHAPE
            | codes::CHECKABLE_WITHOUT_CHECK
            | codes::NOT_PURE
            | codes::UNDO_SHAPE
            | codes::LOOP_ITEMS
            | codes::NO_CHECKS
            | codes::BAD_INPUT
            | codes::SECRET_SOURCE => !self.dropped.iter().any(|dropped| is_near(at, dropped)),
            // What takes the whole runbook to tell.
            _ => false,
        }
    }

    /// Whether nothing is missing in these top-level keys, nor a whole unknown one.
    fn has_all(&self, sections: &[&str]) -> bool {
        self.dropped.iter().all(|dropped| {
            let section = dropped.0.split(['.', '[']).next().unwrap_or_default();
            // A quoted key begins with a bracket: `["?"]`.
            !section.is_empty() && !sections.contains(&section)
        })
    }

    /// Whether no step lacks one of these keys.
    fn steps_have(&self, keys: &[&str]) -> bool {
        self.dropped
            .iter()
            .all(|dropped| key_of_step(dropped).is_none_or(|key| !keys.contains(&key)))
    }

    /// Whether one of these keys is missing in what `at` stands in.
    fn lacks(&self, at: &DocPath, keys: &[&str]) -> bool {
        let mut near = self.dropped.iter().filter(|dropped| is_near(at, dropped));
        near.any(|dropped| key_of_step(dropped).is_none_or(|key| keys.contains(&key)))
    }
}

/// Whether two places are in one step, or in a group and a step inside it; elsewhere, in one section.
fn is_near(at: &DocPath, dropped: &DocPath) -> bool {
    let (one, other) = (around(at), around(dropped));
    let is_inside = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    is_inside(one, &dropped.0)
        || is_inside(other, &at.0)
        || is_inside(one, other)
        || is_inside(other, one)
}

/// The step that a place is in; elsewhere, the section.
fn around(at: &DocPath) -> &str {
    match step_end(at) {
        Some(end) => &at.0[..end],
        None => at.0.split(['.', '[']).next().unwrap_or_default(),
    }
}

/// The key of its step that a place is in.
fn key_of_step(at: &DocPath) -> Option<&str> {
    let rest = &at.0[step_end(at)?..];
    match rest.strip_prefix('.') {
        Some(rest) => rest.split(['.', '[']).next(),
        None => rest.strip_prefix("[\"")?.split('"').next(),
    }
}

/// Where the path of the innermost step ends that a place is in.
fn step_end(at: &DocPath) -> Option<usize> {
    let start = at.0.rfind("steps[")?;
    Some(start + at.0[start..].find(']')? + 1)
}

#[cfg(test)]
mod tests {
    use crate::runbook::testing::problems_of;

    fn told(text: &str) -> Vec<String> {
        let problems = problems_of(text).into_iter();
        let mut told: Vec<_> = problems.map(|it| format!("{} {}", it.code, it.message)).collect();
        told.sort();
        told
    }

    #[test]
    fn what_is_wrong_beside_the_form_is_told_too() {
        let text = "
runbook: a
paralelism: 3
steps:
  - { id: s, needs: [zz], uses: local.comand, with: { argv: [\"{{ values.nope }}\"] } }
  - { id: t, needs: [s], uses: local.command, with: { argv: [a] }, timeout: 5x, expect: [result.exitcode == 0] }
";
        assert_eq!(
            told(text),
            [
                "DR1007 unknown key `paralelism`",
                "DR1201 there is no step `zz`",
                "DR1302 `local` has no action `comand`",
                "DR1403 there is no `exitcode` in `result`",
                "DR1403 there is no value `nope`",
                "DR1501 `5x` is not a duration: write `90s`, `15m`, `1h30m`",
            ]
        );
    }

    /// Each line has errors of form, and nothing else is certain.
    #[test]
    fn what_comes_of_an_error_of_form_alone_is_not_told() {
        let call = "uses: local.command, with: { argv: [a] }";
        let reads = "with: { argv: [\"{{ steps.s.outputs.x }}\", \"{{ values.v }}\"] }";
        for (head, first, second) in [
            // It does something, but how is not known.
            (
                "values: { v: 1 }",
                "{ id: s, use: local.command, outputs: { x: '1' } }".to_owned(),
                reads,
            ),
            ("values: { v: 1 }", format!("{{ id: s, {call}, output: {{ x: '1' }} }}"), reads),
            ("values: { v: 1 }", format!("{{ id: s, {call}, outputs: [x] }}"), reads),
            ("values: { v: 1 }", format!("{{ id: s, {call}, outputs: {{ x: }} }}"), reads),
            ("values: { v: 1 }", format!("{{ {call}, outputs: {{ x: '1' }} }}"), reads),
            ("values: { v: 1 }", format!("{{ id: [s], {call}, outputs: {{ x: '1' }} }}"), reads),
            ("valeus: { v: 1 }", format!("{{ id: s, {call}, outputs: {{ x: '1' }} }}"), reads),
            ("variables: { v: 1 }", format!("{{ id: s, {call}, outputs: {{ x: '1' }} }}"), reads),
            ("values: { v: }", format!("{{ id: s, {call}, outputs: {{ x: '1' }} }}"), reads),
            ("values: [v]", format!("{{ id: s, {call}, outputs: {{ x: '1' }} }}"), reads),
            (
                "values: { v: 1 }",
                "{ id: s, uses: local.command, wiht: { argv: [a] }, outputs: { x: '1' } }"
                    .to_owned(),
                reads,
            ),
            (
                "values: { v: 1 }",
                "{ id: s, uses: local.command, with: {{ values.v }}, outputs: { x: '1' } }"
                    .to_owned(),
                reads,
            ),
            (
                "values: { v: 1 }",
                format!("{{ id: s, {call}, outputs: {{ x: '1' }}, stesp: [] }}"),
                reads,
            ),
            (
                "values: { v: 1 }",
                format!(
                    "{{ id: s, {call}, effect: pur, outputs: {{ x: '1' }}, repeat: {{ until: 'true' }} }}"
                ),
                reads,
            ),
            (
                "values: { v: 1 }",
                format!("{{ id: s, for_each: , {call} }}"),
                "with: { argv: [a, '{{ steps.s.items }}'] }",
            ),
            (
                "values: { v: 1 }",
                format!("{{ id: s, foreach: [1], {call} }}"),
                "with: { argv: [a, '{{ steps.s.items }}'] }",
            ),
        ] {
            let text = format!(
                "runbook: a\n{head}\nsteps:\n  - {first}\n  - {{ id: t, needs: [s], uses: local.command, {second} }}\n"
            );
            let told = told(&text);
            assert!(!told.is_empty(), "{text}");
            assert!(told.iter().all(|it| it.starts_with("DR10")), "{told:#?}\n{text}");
        }
        // Nor that it reads what it does not wait for.
        let text = format!(
            "runbook: a\nsteps:\n  - {{ id: s, {call}, outputs: {{ x: '1' }} }}\n  \
             - {{ id: t, need: [s], uses: local.command, with: {{ argv: [\"{{{{ steps.s.outputs.x }}}}\"] }} }}\n"
        );
        assert_eq!(told(&text), ["DR1007 unknown key `need`"]);
    }

    #[test]
    fn steps_keep_their_places() {
        let text = "
runbook: a
steps:
  - { uses: local.comand, with: { argv: [a] } }
  - { id: t, needs: [], uses: local.comand, with: { argv: [a] }, phase: recovr }
";
        let mut problems = problems_of(text);
        problems.retain(|problem| problem.code == "DR1302");
        let places: Vec<_> =
            problems.iter().filter_map(|it| Some(it.at.as_ref()?.0.as_str())).collect();
        assert_eq!(places, ["steps[0].uses", "steps[1].uses"]);
    }
}
