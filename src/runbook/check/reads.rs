use std::ops::Range;

use serde_json::Value;

use super::checker::{Checker, texts};
use super::scope::{ROOTS, Scope};
use crate::runbook::nearest;
use crate::runbook::{
    DocPath, ExpectDoc, Problem, SeverityDoc, StepDoc, ValidationCheckDoc, codes,
};
use crate::text::{Expr, Path, Segment, Templated, TextError};

/// Members of `run`, `host` and a step that may be read.
const RUN: &[&str] = &["id", "mode", "style", "environment", "declared_at", "incident_at", "now"];
const HOST: &[&str] = &["name", "address", "port", "user", "become", "labels", "job_dir"];
const STEP: &[&str] = &["outputs", "status", "started_at", "finished_at", "duration_ms"];
const ERROR: &[&str] = &["class", "code", "message"];

/// Who reads.
#[derive(Clone, Copy)]
struct Reader<'r> {
    /// Full id of its node in the graph; none where steps cannot be read at all.
    node: Option<&'r str>,
    /// The step, for its own outputs.
    step: Option<&'r StepDoc>,
    /// How many of its outputs exist already.
    outputs: usize,
    is_text: bool,
}

const NOBODY: Reader<'static> = Reader { node: None, step: None, outputs: 0, is_text: true };

impl Checker<'_> {
    /// Every text and decision of a step.
    pub(super) fn step_reads(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        let all = step.outputs.len();
        let text =
            Reader { node: Some(&step.id.value), step: Some(step), outputs: all, is_text: true };
        let decision = Reader { is_text: false, ..text };
        let after = if step.uses.is_some() { Scope::AFTER_ACTION } else { Scope::WITHOUT_ACTION };
        // Steps with the id of an earlier one have no node of their own.
        if self.steps.get(step.id.value.as_str()) != Some(&index) {
            return;
        }
        if let Some(when) = &step.when {
            self.decision(&Scope::WHEN, decision, when, || at.field("when"));
        }
        if let Some(approve) = &step.approve {
            let at = at.field("approve").field("message");
            self.template(&Scope::QUESTION, text, &approve.message, &at);
        }
        if let Some(with) = &step.with {
            self.with(text, with, &at.field("with"));
        }
        for (position, (name, output)) in step.outputs.iter().enumerate() {
            let reader = Reader { outputs: position, ..decision };
            self.decision(&after, reader, &output.value, || at.field("outputs").field(name));
        }
        for (position, expect) in step.expect.iter().enumerate() {
            self.expect(&after, text, expect, &|| at.field("expect").index(position));
        }
        if let Some(moment) = &step.recovery_point {
            self.decision(&after, decision, moment, || at.field("recovery_point"));
        }
        if let Some(when) = step.retry.as_ref().and_then(|retry| retry.when.as_ref()) {
            self.decision(&Scope::RETRY, decision, when, || at.field("retry").field("when"));
        }
        if let Some(repeat) = &step.repeat {
            let at = at.field("repeat");
            self.decision(&Scope::UNTIL, decision, &repeat.until, || at.field("until"));
            if let Some(tolerate) = &repeat.tolerate {
                self.decision(&Scope::TOLERATE, decision, tolerate, || at.field("tolerate"));
            }
        }
        if let Some(check) = &step.check {
            let at = at.field("check");
            if let Some(with) = &check.with {
                self.with(text, with, &at.field("with"));
            }
            let reader = Reader { outputs: 0, ..decision };
            self.decision(&Scope::CHECK, reader, &check.done, || at.field("done"));
            if let Some(running) = &check.running {
                self.decision(&Scope::CHECK, reader, running, || at.field("running"));
            }
        }
    }

    /// Every text and decision of a check of a validation; `node` is its full id.
    pub(super) fn validation_reads(
        &mut self,
        check: &ValidationCheckDoc,
        node: &str,
        at: &DocPath,
    ) {
        let text = Reader { node: Some(node), ..NOBODY };
        if let Some(with) = &check.with {
            self.with(text, with, &at.field("with"));
        }
        for (position, expect) in check.expect.iter().enumerate() {
            self.expect(&Scope::CHECK, text, expect, &|| at.field("expect").index(position));
        }
    }

    /// A text outside the steps.
    pub(super) fn text(&mut self, scope: &Scope, text: &str, at: &DocPath) {
        if text.contains("{{") {
            self.template(scope, NOBODY, text, at);
        }
    }

    fn expect(
        &mut self,
        scope: &Scope,
        text: Reader<'_>,
        expect: &ExpectDoc,
        at: &dyn Fn() -> DocPath,
    ) {
        let decision = Reader { is_text: false, ..text };
        // The short form is the condition itself.
        let is_short = expect.message.is_none() && expect.severity.is_none();
        let that = || if is_short { at() } else { at().field("that") };
        self.decision(scope, decision, &expect.that, that);
        if let Some(message) = &expect.message
            && message.contains("{{")
        {
            self.template(scope, text, message, &at().field("message"));
        }
        if let Some(SeverityDoc::Computed(severity)) = &expect.severity {
            self.decision(scope, decision, severity, || at().field("severity"));
        }
    }

    fn with(&mut self, reader: Reader<'_>, with: &Value, at: &DocPath) {
        let mut found = Vec::new();
        texts(with, at, &mut found);
        let argv = at.field("argv").0;
        let script = at.field("script");
        for (at, text) in found {
            if at == script {
                self.help(
                    codes::TEXT_IN_SCRIPT,
                    at,
                    "a shell would read what is pasted here as code",
                    "hand the value in as a variable: `env: { NAME: \"{{ … }}\" }`, and write \
                     `\"$NAME\"` in the script",
                );
                continue;
            }
            let in_argv = at.0.starts_with(&argv);
            for path in self.template(&Scope::WITH, reader, text, &at) {
                if in_argv && path.root() == "secrets" {
                    self.push(
                        Problem::error(
                            codes::SECRET_IN_ARGV,
                            at.clone(),
                            format!("every process of that machine could read `{path}` here"),
                        )
                        .within(find(text, &path))
                        .with_help("hand it in by `env`, by `stdin`, or as a file"),
                    );
                }
            }
        }
    }

    /// Checks a template; gives the names it reads.
    fn template(
        &mut self,
        scope: &Scope,
        reader: Reader<'_>,
        text: &str,
        at: &DocPath,
    ) -> Vec<Path> {
        let parsed = Templated::parse(&Value::from(text));
        match parsed.and_then(|template| template.paths()) {
            Ok(paths) => {
                for path in &paths {
                    self.path(scope, reader, path, text, &|| at.clone());
                }
                paths
            }
            Err(error) => {
                self.unreadable(codes::BAD_TEXT, error, at.clone());
                Vec::new()
            }
        }
    }

    fn decision(
        &mut self,
        scope: &Scope,
        reader: Reader<'_>,
        source: &str,
        at: impl Fn() -> DocPath,
    ) {
        match Expr::parse(source).and_then(|expression| expression.paths()) {
            Ok(paths) => {
                for path in &paths {
                    self.path(scope, reader, path, source, &at);
                }
            }
            Err(error) => self.unreadable(codes::BAD_DECISION, error, at()),
        }
    }

    fn unreadable(&mut self, code: &'static str, error: TextError, at: DocPath) {
        let mut problem = Problem::error(code, at, error.message).within(error.span);
        problem.help = error.help;
        self.push(problem);
    }

    fn path(
        &mut self,
        scope: &Scope,
        reader: Reader<'_>,
        path: &Path,
        source: &str,
        at: &dyn Fn() -> DocPath,
    ) {
        let root = path.root();
        let mut say = |code, message: String, help: String| {
            let problem = Problem::error(code, at(), message).with_help(help);
            self.problems.push(problem.within(find(source, path)));
        };
        if !scope.roots.contains(&root) {
            if ROOTS.contains(&root) {
                say(
                    codes::NAME_NOT_HERE,
                    format!("`{root}` cannot be read in {}", scope.place),
                    match (root, scope.roots) {
                        ("secrets", _) => {
                            "secrets may stand in `with` and in plugin settings only".into()
                        }
                        (_, []) => "write the value itself".to_owned(),
                        (_, roots) => format!("available here: {}", roots.join(", ")),
                    },
                );
            } else {
                let help = self.meant(root, scope);
                let problem =
                    Problem::error(codes::UNKNOWN_NAME, at(), format!("there is no name `{root}`"))
                        .with_help(help);
                self.push(problem.within(find(source, path)));
            }
            return;
        }
        let Some(Segment::Field(member)) = path.0.get(1) else { return };
        let document = self.document;
        let unknown: Option<(String, Vec<&str>)> = match root {
            "run" if member == "now" && reader.is_text => {
                say(
                    codes::NAME_NOT_HERE,
                    "`run.now` cannot be read in a text: it would differ each time".to_owned(),
                    "compute it in `outputs`, and write `steps.ID.outputs.NAME`".to_owned(),
                );
                None
            }
            "run" => missing(member, "`run`", RUN),
            "host" => missing(member, "`host`", HOST),
            "error" => missing(member, "`error`", ERROR),
            "values" => {
                let everywhere = document.environments.values();
                let known = document.values.contains_key(member)
                    || (!document.environments.is_empty()
                        && everywhere.clone().all(|e| e.values.contains_key(member)));
                let names = document.values.keys().map(String::as_str);
                (!known).then(|| ("`values`".to_owned(), names.collect()))
            }
            "inputs" => (!document.inputs.contains_key(member)).then(|| {
                ("`inputs`".to_owned(), document.inputs.keys().map(String::as_str).collect())
            }),
            "secrets" => (!document.secrets.contains_key(member)).then(|| {
                ("`secrets`".to_owned(), document.secrets.keys().map(String::as_str).collect())
            }),
            "hosts" => {
                let known = document.hosts.contains_key(member)
                    || document.environments.values().any(|e| e.hosts.contains_key(member));
                match path.field(2) {
                    _ if !known => Some((
                        "`hosts`".to_owned(),
                        document.hosts.keys().map(String::as_str).collect(),
                    )),
                    Some(field) => missing(field, "a host", HOST),
                    None => None,
                }
            }
            "outputs" => {
                let all = reader.step.map(|step| &step.outputs);
                let position = all.and_then(|outputs| outputs.get_index_of(member));
                if position.is_none_or(|position| position >= reader.outputs) {
                    let names = all.into_iter().flat_map(|outputs| outputs.keys());
                    let names: Vec<_> = names.take(reader.outputs).map(String::as_str).collect();
                    let help = match nearest(member, names.iter().copied()) {
                        Some(close) => format!("did you mean `{close}`?"),
                        None if position.is_some() => "an output may read those before it".into(),
                        None => format!("add `{member}` to the step's `outputs`"),
                    };
                    say(
                        codes::UNKNOWN_OUTPUT,
                        format!("the step has no output `{member}` at this point"),
                        help,
                    );
                }
                None
            }
            "steps" => {
                self.read_of_step(reader, path, member, source, at);
                None
            }
            _ => None,
        };
        if let Some((of, names)) = unknown {
            let name = if root == "hosts" && document.hosts.contains_key(member) {
                path.field(2).unwrap_or(member)
            } else {
                member
            };
            let help = match nearest(name, names.iter().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None if names.is_empty() => format!("the runbook has no {root}"),
                None => format!("there are {}", names.join(", ")),
            };
            let problem =
                Problem::error(codes::UNKNOWN_NAME, at(), format!("there is no `{name}` in {of}"));
            self.push(problem.within(find(source, path)).with_help(help));
        }
    }

    fn read_of_step(
        &mut self,
        reader: Reader<'_>,
        path: &Path,
        id: &str,
        source: &str,
        at: &dyn Fn() -> DocPath,
    ) {
        let document = self.document;
        let mut say = |code, message: String, help: String| {
            let problem = Problem::error(code, at(), message).with_help(help);
            self.problems.push(problem.within(find(source, path)));
        };
        let Some(step) = self.steps.get(id).map(|index| &document.steps[*index]) else {
            let help = match nearest(id, self.steps.keys().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "name a step of this runbook".to_owned(),
            };
            say(codes::UNKNOWN_NAME, format!("there is no step `{id}`"), help);
            return;
        };
        let is_self = reader.step.is_some_and(|own| own.id.value == id);
        if is_self {
            say(
                codes::NOT_AN_ANCESTOR,
                format!("`{id}` reads itself"),
                "its own results are `result` and `outputs`".to_owned(),
            );
            return;
        }
        if let Some(node) = reader.node
            && !self.graph.is_ancestor(id, node)
        {
            say(
                codes::NOT_AN_ANCESTOR,
                format!("`{node}` does not wait for `{id}`, so what it reads may not exist yet"),
                format!("add `{id}` to its `needs` or `after`"),
            );
            return;
        }
        let Some(field) = path.field(2) else { return };
        if let Some((_, names)) = missing(field, "", STEP) {
            let help = match nearest(field, names.iter().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None if step.outputs.contains_key(field) => {
                    format!("write `steps.{id}.outputs.{field}`")
                }
                None => format!("a step has {}", names.join(", ")),
            };
            say(codes::UNKNOWN_NAME, format!("there is no `{field}` in a step"), help);
            return;
        }
        if field != "outputs" {
            return;
        }
        let Some(output) = path.field(3) else { return };
        if !step.outputs.contains_key(output) {
            let help = match nearest(output, step.outputs.keys().map(String::as_str)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("add `outputs: {{ {output}: \"result…\" }}` to `{id}`"),
            };
            say(codes::UNKNOWN_OUTPUT, format!("`{id}` has no output `{output}`"), help);
            return;
        }
        let skippable = step.when.is_some()
            || step
                .approve
                .as_ref()
                .is_some_and(|gate| gate.on_reject == Some(crate::plan::OnReject::Skip));
        if skippable && !has_default(reader, id, output, source) {
            let full = format!("steps.{id}.outputs.{output}");
            let help = if reader.is_text {
                format!("give it a default: `{{{{default {full} \"…\"}}}}`")
            } else {
                format!("give it a default: `has({full}) ? {full} : …`")
            };
            say(
                codes::OUTPUT_OF_SKIPPABLE,
                format!("`{id}` may be skipped, and then it has no `{output}`"),
                help,
            );
        }
    }

    /// What an unknown root was probably meant to be.
    fn meant(&self, root: &str, scope: &Scope) -> String {
        let document = self.document;
        for (section, is_there) in [
            ("values", document.values.contains_key(root)),
            ("inputs", document.inputs.contains_key(root)),
            ("secrets", document.secrets.contains_key(root)),
            ("hosts", document.hosts.contains_key(root)),
            ("steps", self.steps.contains_key(root)),
        ] {
            if is_there && scope.roots.contains(&section) {
                return format!("write `{section}.{root}`");
            }
        }
        match nearest(root, scope.roots.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None if scope.roots.is_empty() => "write the value itself".to_owned(),
            None => format!("available here: {}", scope.roots.join(", ")),
        }
    }
}

/// Whether the reader says what holds when the step was skipped: a default, or a `when` of its own
/// that asks how the step ended.
fn has_default(reader: Reader<'_>, id: &str, output: &str, source: &str) -> bool {
    let squeezed: String = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let full = format!("steps.{id}.outputs.{output}");
    let own_when = reader.step.and_then(|step| step.when.as_deref()).unwrap_or_default();
    squeezed.contains(&format!("has({full})"))
        || squeezed.contains(&format!("default {full}"))
        || own_when.contains(&format!("steps.{id}.status"))
}

fn missing<'k>(name: &str, of: &str, known: &[&'k str]) -> Option<(String, Vec<&'k str>)> {
    (!known.contains(&name)).then(|| (of.to_owned(), known.to_vec()))
}

/// Where a source reads a path: as far as it is written in the usual way.
fn find(source: &str, path: &Path) -> Option<Range<usize>> {
    let full = path.to_string();
    let fields: Vec<_> = (0..path.0.len()).map_while(|part| path.field(part)).collect();
    (1..=fields.len())
        .rev()
        .map(|length| fields[..length].join("."))
        .chain([full])
        .find_map(|text| word(source, &text))
}

/// A whole word, not the end of a longer name.
fn word(source: &str, text: &str) -> Option<Range<usize>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    source.match_indices(text).find_map(|(start, _)| {
        let end = start + text.len();
        let alone = !source[..start].ends_with(is_name)
            && !source[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        alone.then_some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_as_whole_words() {
        let path = |text: &str| Path(text.split('.').map(|t| Segment::Field(t.into())).collect());
        for (source, text, found) in [
            ("values.zone == 'x'", "values.zone", Some(0..11)),
            ("my_values.zone + values.zone", "values.zone", Some(17..28)),
            ("values.zones + values.zone", "values.zone", Some(15..26)),
            ("values['zone']", "values.zone", Some(0..6)),
            ("nothing", "values.zone", None),
        ] {
            assert_eq!(find(source, &path(text)), found, "{source}");
        }
    }
}
