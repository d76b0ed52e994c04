//! Steps that include another runbook.

use serde_json::Value;

use super::checker::{Checker, texts};
use super::groups::{of_one_step, present};
use super::reads::Reader;
use crate::plan::{allowed, from_json};
use crate::runbook::{DocPath, Part, Problem, Runbook, StepDoc, codes};
use crate::text::{Read, Templated};

const NAME_ONE: &str =
    "name a runbook of this repository, from the folder of this one: `./parts/restore.yaml`";

impl Checker<'_> {
    /// Whether the path of an included runbook leads to one, and whether it takes what it is given.
    pub(super) fn include(&mut self, step: &StepDoc, path: &str, at: &DocPath) {
        let id = &step.id.value;
        let place = at.field("uses");
        let own = [
            ("steps", step.steps.is_some(), "move them into the included runbook, or beside it"),
            ("host", step.host.is_some(), "the steps inside name their hosts themselves"),
            ("takes", !step.takes.is_empty(), "say it on the steps inside"),
            ("sleep", step.sleep.is_some(), "put the wait into a step of its own"),
            ("undo", step.undo.is_some(), "say it on the steps inside"),
            (
                "repeat",
                step.repeat.is_some() && step.for_each.is_some(),
                "put it into a group, and repeat that or go over that",
            ),
            ("expect_error", step.expect_error.is_some(), "say it on the step inside that fails"),
        ];
        let keys = own.into_iter().chain(of_one_step(step));
        self.meaningless(at, format_args!("`{id}` includes another runbook"), present(keys));
        match self.parts.get(path) {
            Some(Part::Runbook(runbook)) => {
                let runbook = std::sync::Arc::clone(runbook);
                self.include_inputs(&runbook, step, at);
                if let Some(lock) = runbook.document.loop_locks().next() {
                    self.help(
                        codes::INCLUDE,
                        place,
                        format!(
                            "a loop of `{path}` locks `{lock}`, which only a run of its own can"
                        ),
                        "say `locks` at the head of that runbook",
                    );
                }
            }
            Some(Part::Unread(unread)) => {
                let file = unread.file.clone();
                self.help(
                    codes::INCLUDE,
                    place,
                    format!("`{path}` cannot be read as a runbook"),
                    format!("mend {file} first"),
                );
            }
            Some(Part::Nothing(why)) => {
                let message = format!("`{path}` {why}");
                self.help(codes::INCLUDE, place, message, NAME_ONE);
            }
            None => {
                let message = format!("`{path}` is not there");
                self.help(codes::INCLUDE, place, message, NAME_ONE);
            }
        }
    }

    /// What the inputs of the included runbook `path` are given: a secret to those that are one, and
    /// to no others.
    pub(super) fn included_reads(
        &mut self,
        reader: Reader<'_>,
        path: &str,
        with: &Value,
        at: &DocPath,
    ) {
        let part = match self.parts.get(path) {
            Some(Part::Runbook(part)) => Some(std::sync::Arc::clone(part)),
            _ => None,
        };
        for (name, value) in with.as_object().into_iter().flatten() {
            let at = at.field(name);
            let input = part.as_ref().and_then(|part| part.document.inputs.get(name));
            let is_secret = input.is_some_and(|input| input.secret);
            let mut found = Vec::new();
            texts(value, &at, &mut found);
            let mut alone = false;
            for (at, text) in found {
                let reads = self.template(reader, text, &at);
                let secret = |read: &&Read| self.is_secret(reader, &read.path);
                let secrets: Vec<&Read> = reads.iter().filter(secret).collect();
                alone = value.is_string()
                    && matches!((reads.as_slice(), secrets.as_slice()), ([one], [_]) if !one.guarded)
                    && text.starts_with("{{")
                    && text.ends_with("}}");
                if let (Some(read), Some(_), false) = (secrets.first(), input, is_secret) {
                    let message =
                        format!("`{}` is a secret, and the input `{name}` is none", read.path);
                    let help = format!("say `secret: true` at the input `{name}`");
                    let problem = Problem::error(codes::INCLUDE, at, message);
                    self.push(problem.within(read.span.clone()).with_help(help));
                }
            }
            if is_secret && !alone {
                self.help(
                    codes::INCLUDE,
                    at,
                    format!("the input `{name}` is a secret: it is given one, and nothing else"),
                    format!(
                        "`{name}: \"{{{{ secrets.NAME }}}}\"`, a secret input or a captured secret; \
                         what is written here everybody can read"
                    ),
                );
            }
        }
    }

    fn include_inputs(&mut self, runbook: &Runbook, step: &StepDoc, at: &DocPath) {
        let at = at.field("with");
        let inputs = &runbook.document.inputs;
        let given = match &step.with {
            None => None,
            Some(Value::Object(given)) => Some(given),
            Some(_) => {
                self.help(
                    codes::INCLUDE,
                    at,
                    "`with` gives the inputs of the included runbook by name",
                    "write `with: { NAME: VALUE }`",
                );
                return;
            }
        };
        for (name, value) in given.into_iter().flatten() {
            // What is given to a secret one is told with what it reads.
            if inputs.get(name).is_some_and(|input| input.secret) {
                continue;
            }
            let Some(input) = inputs.get(name) else {
                let names = inputs.keys().map(String::as_str);
                self.unknown(codes::INCLUDE, at.field(name), "input", name, names);
                continue;
            };
            let is_text = Templated::parse(value).is_ok_and(|template| !template.is_known());
            if is_text {
                continue;
            }
            let read = from_json(input.kind, value).and_then(|value| {
                allowed(input.kind, input.choices.as_deref(), input.pattern.as_deref(), &value)
            });
            if let Err(why) = read {
                self.help(
                    codes::INCLUDE,
                    at.field(name),
                    format!("input `{name}`: {why}"),
                    format!("{} says what it takes", runbook.file),
                );
            }
        }
        for (name, input) in inputs {
            if input.default.is_none() && given.is_none_or(|given| !given.contains_key(name)) {
                let about = input.description.as_deref();
                let about = about.map(|text| format!(" ({text})")).unwrap_or_default();
                self.help(
                    codes::INCLUDE,
                    if given.is_some() {
                        at.clone()
                    } else {
                        DocPath(at.0.replace(".with", ".uses"))
                    },
                    format!("{} needs its input `{name}`{about}", runbook.file),
                    format!("give it: `with: {{ {name}: … }}`"),
                );
            }
        }
    }
}
