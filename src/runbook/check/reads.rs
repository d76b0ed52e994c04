use serde_json::Value;

use super::checker::{Checker, may_hold_template, texts};
use super::members::{Wrong, known_field, wrong_output_of, wrong_self};
use super::undo_steps::{MOST, Siblings};
use crate::plan::OnReject;
use crate::runbook::{
    DocPath, ExpectDoc, ForEachDoc, Part, Problem, SeverityDoc, StepDoc, ValidationCheckDoc, codes,
    is_path, nearest,
};
use crate::text::has_braces;
use crate::text::{Expr, Path, Place, Read, Segment, Templated, TextError, known_at_plan_time};

/// Who reads, and where.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r> {
    /// Full id of its node in the graph; none where steps cannot be read at all.
    node: Option<&'r str>,
    /// The step, if it is one.
    step: Option<&'r StepDoc>,
    /// What it calls `self`: the step that it takes back or closes.
    own: Option<&'r StepDoc>,
    /// Its position in the outline.
    index: Option<usize>,
    /// The group whose steps are seen first.
    inside: Option<usize>,
    /// How many of the step's outputs exist already.
    outputs: usize,
    place: Place,
    /// The action that `result` is of, if it is not that of the step.
    probe: Option<&'r str>,
    /// The steps that take another one back together with it.
    beside: Option<Beside<'r>>,
}

/// Steps that take another one back together, and which of them reads.
#[derive(Clone, Copy)]
struct Beside<'r> {
    siblings: &'r Siblings<'r>,
    steps: &'r [StepDoc],
    position: usize,
}

/// Outside of every step.
const NOWHERE: Reader<'static> = Reader {
    node: None,
    step: None,
    own: None,
    index: None,
    inside: None,
    outputs: 0,
    place: Place::With,
    probe: None,
    beside: None,
};

impl Reader<'_> {
    pub(super) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

impl Checker<'_> {
    /// Every text and decision of a step.
    pub(super) fn step_reads(&mut self, index: usize, step: &StepDoc, at: &DocPath) {
        // A step with the id of an earlier one has no node of its own.
        if self.outline.first_named(index) != index {
            return;
        }
        let declared = *self.outline.get(index);
        let id = self.outline.id(index);
        let parent = declared.parent.map(|parent| parent as usize);
        let closed = step.closes.as_deref().and_then(|name| self.outline.named(name, parent));
        // What a group gives is computed at its end, of what is inside it.
        let reader = Reader {
            node: Some(id.as_str()),
            step: Some(step),
            own: closed.map(|closed| self.outline.get(closed).doc),
            index: Some(index),
            inside: if declared.is_group() { Some(index) } else { parent },
            outputs: step.outputs.len(),
            place: Place::With,
            probe: None,
            beside: None,
        };
        let begin = format!("{id}!begin");
        let before = if declared.is_compound() {
            Reader { node: Some(&begin), inside: parent, ..reader }
        } else {
            reader
        };
        self.all_reads(reader, before, step, at);
        if let Some(undo) = &step.undo {
            let undo = undo.as_step(step);
            let reader = Reader { step: Some(&undo), own: Some(step), outputs: 0, ..reader };
            self.all_reads(reader, reader, &undo, &at.field("undo"));
        }
        let several = step.undo.as_ref().and_then(|undo| Some((undo, undo.steps.as_ref()?)));
        if let Some((undo, steps)) = several.filter(|(_, steps)| steps.len() <= MOST) {
            let siblings = Siblings::new(undo, steps);
            for (position, part) in steps.iter().enumerate() {
                let body = undo.part_as_step(part, step);
                let beside = Some(Beside { siblings: &siblings, steps, position });
                let outputs = body.outputs.len();
                let reader =
                    Reader { step: Some(&body), own: Some(step), outputs, beside, ..reader };
                let at = at.field("undo").field("steps").index(position);
                self.all_reads(reader, reader, &body, &at);
            }
        }
    }

    /// `before` reads what is decided before the step begins.
    fn all_reads(&mut self, reader: Reader<'_>, before: Reader<'_>, step: &StepDoc, at: &DocPath) {
        if let Some(when) = &step.when {
            self.decision(before.at(Place::When), when, || at.field("when"));
        }
        if let Some(ForEachDoc::Expr(source)) = &step.for_each {
            self.decision(before.at(Place::ForEach), source, || at.field("for_each"));
        }
        if let Some(approve) = &step.approve {
            let at = at.field("approve").field("message");
            self.template(before.at(Place::GateMessage), &approve.message, &at);
        }
        if let Some(with) = &step.with {
            // What an included runbook is given is computed before it begins.
            match step.uses.as_deref().filter(|uses| is_path(uses)) {
                Some(path) => {
                    let reader = before.at(Place::IncludedInputs);
                    self.included_reads(reader, path, with, &at.field("with"));
                }
                None => self.with(reader, with, || at.field("with")),
            }
        }
        for (position, (name, output)) in step.outputs.iter().enumerate() {
            let reader = Reader { outputs: position, ..reader.at(Place::Outputs) };
            let at = at.field("outputs").field(name);
            self.decision(reader, &output.value, || at.clone());
            if output.secret {
                self.captures(&output.value, &at);
            }
        }
        for (position, expect) in step.expect.iter().enumerate() {
            let reader = reader.at(Place::Expect);
            self.expect(reader, expect, &|| at.field("expect").index(position));
        }
        if let Some(error) = &step.expect_error {
            self.decision(reader.at(Place::Error), error, || at.field("expect_error"));
        }
        if let Some(moment) = &step.recovery_point {
            self.decision(reader.at(Place::Expect), moment, || at.field("recovery_point"));
        }
        if let Some(when) = step.retry.as_ref().and_then(|retry| retry.when.as_ref()) {
            self.decision(reader.at(Place::Error), when, || at.field("retry").field("when"));
        }
        if let Some(repeat) = &step.repeat {
            let at = at.field("repeat");
            self.decision(reader.at(Place::Until), &repeat.until, || at.field("until"));
            if let Some(tolerate) = &repeat.tolerate {
                self.decision(reader.at(Place::Error), tolerate, || at.field("tolerate"));
            }
        }
        if let Some(check) = &step.check {
            let at = at.field("check");
            if let Some(with) = &check.with {
                self.with(reader, with, || at.field("with"));
            }
            let reader = Reader { probe: Some(&check.uses), ..reader.at(Place::Check) };
            self.decision(reader, &check.done, || at.field("done"));
            if let Some(running) = &check.running {
                self.decision(reader, running, || at.field("running"));
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
        let reader = Reader { node: Some(node), probe: Some(&check.uses), ..NOWHERE };
        if let Some(with) = &check.with {
            self.with(reader, with, || at.field("with"));
        }
        for (position, expect) in check.expect.iter().enumerate() {
            let reader = reader.at(Place::Check);
            self.expect(reader, expect, &|| at.field("expect").index(position));
        }
    }

    /// A text outside the steps, or the name of a host.
    pub(super) fn text(&mut self, place: Place, text: &str, at: &DocPath) {
        self.template(NOWHERE.at(place), text, at);
    }

    /// The host that a step names by a text.
    pub(super) fn host_text(&mut self, step: usize, text: &str, at: &DocPath) {
        self.template(Reader { index: Some(step), ..NOWHERE.at(Place::StepHost) }, text, at);
    }

    fn expect(&mut self, reader: Reader<'_>, expect: &ExpectDoc, at: &dyn Fn() -> DocPath) {
        // The short form is the condition itself.
        let is_short = expect.message.is_none() && expect.severity.is_none();
        let that = || if is_short { at() } else { at().field("that") };
        self.decision(reader, &expect.that, that);
        if let Some(message) = &expect.message {
            // The message of a validation's expectation reads what the expectation reads.
            let reader = match reader.place {
                Place::Expect => reader.at(Place::ExpectMessage),
                _ => reader,
            };
            self.template(reader, message, &at().field("message"));
        }
        if let Some(SeverityDoc::Computed(severity)) = &expect.severity {
            self.decision(reader, severity, || at().field("severity"));
        }
    }

    fn with(&mut self, reader: Reader<'_>, with: &Value, at: impl FnOnce() -> DocPath) {
        if !may_hold_template(with) {
            return;
        }
        let at = at();
        let mut found = Vec::new();
        texts(with, &at, &mut found);
        let argv = at.field("argv").0;
        let script = at.field("script");
        for (at, text) in found {
            let reads = self.template(reader, text, &at);
            if at == script
                && let Some(first) = reads.first()
            {
                let problem = Problem::error(
                    codes::TEXT_IN_SCRIPT,
                    at.clone(),
                    "a shell would read what is pasted here as code",
                );
                self.push(problem.within(first.span.clone()).with_help(
                    "hand the value in as a variable: `env: { NAME: \"{{ … }}\" }`, and write \
                     `\"$NAME\"` in the script",
                ));
            }
            if at.0.starts_with(&argv) {
                let secret = |read: &&Read| self.is_secret(reader, &read.path);
                let secrets: Vec<&Read> = reads.iter().filter(secret).collect();
                for read in secrets {
                    let message =
                        format!("every process of that machine could read `{}` here", read.path);
                    let problem = Problem::error(codes::SECRET_IN_ARGV, at.clone(), message);
                    self.push(
                        problem
                            .within(read.span.clone())
                            .with_help("hand it in by `env`, by `stdin`, or as a file"),
                    );
                }
            }
        }
    }

    /// Checks a template; gives the names it reads.
    pub(super) fn template(&mut self, reader: Reader<'_>, text: &str, at: &DocPath) -> Vec<Read> {
        if !has_braces(text) {
            return Vec::new();
        }
        match Templated::parse(&Value::from(text)).and_then(|template| template.reads()) {
            Ok(reads) => {
                for read in &reads {
                    self.read(reader, read, &|| at.clone());
                }
                reads
            }
            Err(error) if text.contains("run.now") && error.message.contains("run.now") => {
                self.text_error(codes::NAME_NOT_HERE, error, at.clone());
                Vec::new()
            }
            Err(error) => {
                self.text_error(codes::BAD_TEXT, error, at.clone());
                Vec::new()
            }
        }
    }

    fn decision(&mut self, reader: Reader<'_>, source: &str, at: impl Fn() -> DocPath) {
        let parsed = match Expr::parse(source) {
            Ok(parsed) => parsed,
            Err(error) => return self.text_error(codes::BAD_DECISION, error, at()),
        };
        match parsed.reads() {
            Ok(reads) => {
                for read in reads {
                    self.read(reader, read, &at);
                }
            }
            Err(error) => self.text_error(codes::BAD_DECISION, error, at()),
        }
    }

    /// A secret leaves the result before anything else is decided.
    fn captures(&mut self, source: &str, at: &DocPath) {
        // What cannot be read is told already.
        let Ok(expr) = Expr::parse(source) else { return };
        let reads = expr.reads().unwrap_or_default();
        for read in reads.iter().filter(|read| read.path.root() != "result") {
            let message =
                format!("a secret is taken out of `result`, and this reads `{}`", read.path);
            let problem = Problem::error(codes::NAME_NOT_HERE, at.clone(), message);
            self.push(
                problem
                    .within(read.span.clone())
                    .with_help("read `result` alone; texts may put several values together"),
            );
        }
    }

    /// Whether the path names a secret.
    pub(super) fn is_secret(&self, reader: Reader<'_>, path: &Path) -> bool {
        path.root() == "secrets" || self.is_secret_input(path) || self.is_captured(reader, path)
    }

    fn is_secret_input(&self, path: &Path) -> bool {
        let input = path.field(1).filter(|_| path.root() == "inputs");
        input.and_then(|name| self.document.inputs.get(name)).is_some_and(|input| input.secret)
    }

    /// Whether the path names an output that is a secret.
    fn is_captured(&self, reader: Reader<'_>, path: &Path) -> bool {
        let secret = |step: &StepDoc, name: Option<&str>| {
            name.and_then(|name| step.outputs.get(name)).is_some_and(|output| output.secret)
        };
        match path.root() {
            "outputs" => reader.step.is_some_and(|step| secret(step, path.field(1))),
            "self" => reader.own.is_some_and(|own| secret(own, path.field(2))),
            "steps" => {
                let read = path.field(1).and_then(|id| self.outline.named(id, reader.inside));
                let output = if path.field(2) == Some("items") { 5 } else { 3 };
                read.is_some_and(|index| secret(self.outline.get(index).doc, path.field(output)))
            }
            _ => false,
        }
    }

    fn text_error(&mut self, code: &'static str, error: TextError, at: DocPath) {
        let problem = Problem::error(code, at, error.message).within(error.span);
        let help = error.help.unwrap_or_else(|| {
            let what = if code == codes::BAD_DECISION { "expressions" } else { "templates" };
            format!("the page of {code} shows how {what} are written")
        });
        self.push(problem.with_help(help));
    }

    fn read(&mut self, reader: Reader<'_>, read: &Read, at: &dyn Fn() -> DocPath) {
        if let Err((code, message, help)) = self.wrong(reader, read) {
            let help = read.dashed.clone().or(help);
            let mut problem = Problem::error(code, at(), message).within(read.span.clone());
            problem.help = help;
            self.push(problem);
        } else if !reader.place.is_text() && self.is_captured(reader, &read.path) {
            let message = format!("`{}` is a secret: no decision reads it", read.path);
            let problem = Problem::error(codes::NAME_NOT_HERE, at(), message);
            let help = "put it into a text of `with`; what must be decided about it, decide over \
                        `result` in the step that captures it";
            self.push(problem.within(read.span.clone()).with_help(help));
        } else if !reader.place.roots().contains(&"secrets") && self.is_secret_input(&read.path) {
            let message =
                format!("`{}` is a secret, which {} cannot have", read.path, reader.place.name());
            let problem = Problem::error(codes::NAME_NOT_HERE, at(), message);
            let help = "put it into a text of `with`, or into a setting of a plugin";
            self.push(problem.within(read.span.clone()).with_help(help));
        }
    }

    fn wrong(&self, reader: Reader<'_>, read: &Read) -> Result<(), Wrong> {
        let (path, place) = (&read.path, reader.place);
        let root = path.root();
        let told = |step: &StepDoc, name: &str| {
            step.approve.as_ref().is_some_and(|gate| gate.inputs.contains_key(name))
        };
        if let ("outputs", Some(step), Some(name)) = (root, reader.step, path.field(1))
            && told(step, name)
            && !matches!(place, Place::GateMessage | Place::When | Place::StepHost)
        {
            return Ok(());
        }
        if root == "self" && reader.own.is_none() {
            let message = "there is no `self` here".to_owned();
            let help = "an `undo` calls the step that it takes back `self`, a closing step the \
                        step that it closes; elsewhere write `steps.ID`";
            return Err((codes::NAME_NOT_HERE, message, Some(help.to_owned())));
        }
        if let Some(index) = reader.index {
            // What a loop goes over is found before there is an element.
            let skip = usize::from(place == Place::ForEach);
            if self.outline.item_names(index).skip(skip).any(|item| item == root) {
                return Ok(());
            }
        }
        if let Err(error) = self.vocabulary.check_path(path, place) {
            let is_somewhere = [Place::With, Place::Until, Place::Error]
                .into_iter()
                .any(|place| place.roots().contains(&root));
            let misplaced = is_somewhere && !place.roots().contains(&root)
                || root == "item"
                || (root == "run" && path.field(1) == Some("now"));
            let code = if misplaced { codes::NAME_NOT_HERE } else { codes::UNKNOWN_NAME };
            let help = error.help.unwrap_or_else(|| match (misplaced, path.field(1)) {
                (true, _) => "compute it in the `outputs` of a step, and read that".to_owned(),
                (false, Some(name)) => format!("declare `{name}` in `{root}`, or correct the name"),
                (false, None) => "correct the name".to_owned(),
            });
            return Err((code, error.message, Some(help)));
        }
        if place == Place::StepHost && !known_at_plan_time(path) {
            let message = format!("`{path}` is not known when a plan is made, and a host must be");
            let help = "write the name of a host, or read it from `inputs` or `values`".to_owned();
            return Err((codes::NAME_NOT_HERE, message, Some(help)));
        }
        match root {
            "host" => known_field(path, 1),
            "hosts" => known_field(path, 2),
            "steps" => self.wrong_step(reader, read),
            "outputs" => wrong_output(reader, path),
            "self" => reader.own.map_or(Ok(()), |own| wrong_self(own, path)),
            "result" if reader.step.is_some_and(|step| step.uses.is_none()) => {
                let help = "its outputs and conditions can read other steps and `run`".to_owned();
                let message = "this step calls no action, so there is no `result`".to_owned();
                Err((codes::NAME_NOT_HERE, message, Some(help)))
            }
            "result" if reader.step.is_some_and(|step| step.expect_error.is_some()) => {
                let help = "an action that fails gives no result".to_owned();
                let message = "the action must fail here, so there is no `result`".to_owned();
                Err((codes::NAME_NOT_HERE, message, Some(help)))
            }
            "result" => {
                let own = || reader.step.and_then(|step| step.uses.as_deref());
                reader.probe.or_else(own).map_or(Ok(()), |uses| self.wrong_result(uses, path))
            }
            _ => Ok(()),
        }
    }

    fn wrong_step(&self, reader: Reader<'_>, read: &Read) -> Result<(), Wrong> {
        let path = &read.path;
        let Some(id) = path.field(1) else {
            let message = "which step is read must be written, not computed".to_owned();
            let help = "write `steps.ID.outputs.NAME`".to_owned();
            return Err((codes::NOT_AN_ANCESTOR, message, Some(help)));
        };
        if let Some(beside) = reader.beside
            && let Some(position) = beside.siblings.position(id)
        {
            return wrong_beside(beside, position, path);
        }
        if let Some(inner) = reader.inside.and_then(|group| self.outline.get(group).included())
            && let Some(Part::Runbook(part)) = self.parts.get(inner)
            && let Some(step) = part.document.steps.iter().find(|step| step.id.value == id)
        {
            return match (path.field(2), path.field(3)) {
                (Some("outputs"), Some(output)) => wrong_output_of(step, id, output),
                _ => Ok(()),
            };
        }
        let Some(index) = self.outline.named(id, reader.inside) else {
            let message = format!("there is no step `{id}` here");
            let help = "a step inside a group is seen by its siblings alone: declare `outputs` on \
                        the group, and read those";
            return Err((codes::UNKNOWN_NAME, message, Some(help.to_owned())));
        };
        let read_step = *self.outline.get(index);
        let step = read_step.doc;
        if reader.index == Some(index) && reader.own.is_some_and(|own| std::ptr::eq(own, step)) {
            let help = "write `self` instead of its name".to_owned();
            let message = format!("here `{id}` is called `self`");
            return Err((codes::NOT_AN_ANCESTOR, message, Some(help)));
        }
        if reader.index == Some(index) {
            let help = "its own results are `result` and `outputs`".to_owned();
            return Err((codes::NOT_AN_ANCESTOR, format!("`{id}` reads itself"), Some(help)));
        }
        let full = self.outline.id(index);
        if let Some(node) = reader.node
            && !self.waits(full.as_str(), node)
        {
            let message =
                format!("`{node}` does not wait for `{id}`, so what it reads may not exist yet");
            let help = if reader.step.is_some() {
                format!("add `{id}` to its `needs` or `after`")
            } else {
                format!(
                    "a validation waits for its service's own steps: let one of them need `{id}`"
                )
            };
            return Err((codes::NOT_AN_ANCESTOR, message, Some(help)));
        }
        let is_loop = step.for_each.is_some();
        match path.field(2) {
            Some("items") if !is_loop => {
                let message = format!("`{id}` is no loop, so it has no `items`");
                let help = format!("write `steps.{id}.outputs`");
                return Err((codes::UNKNOWN_NAME, message, Some(help)));
            }
            Some("outputs") if is_loop => {
                let message = format!("`{id}` is a loop: each element has outputs of its own");
                let help = format!("write `steps.{id}.items[ELEMENT].outputs`");
                return Err((codes::UNKNOWN_NAME, message, Some(help)));
            }
            _ => {}
        }
        let (Some("outputs"), Some(output)) = (path.field(2), path.field(3)) else {
            return Ok(());
        };
        wrong_output_of(step, id, output)?;
        let may_skip = |gate: &crate::runbook::ApproveDoc| gate.on_reject == Some(OnReject::Skip);
        let skippable = step.when.is_some() || step.approve.as_ref().is_some_and(may_skip);
        // A step that asks in its own `when` how the other ended knows what it reads.
        let asks = || {
            let when = reader.step.and_then(|step| step.when.as_deref()).unwrap_or_default();
            when.contains(&format!("steps.{id}.status"))
        };
        if skippable && !read.guarded && !asks() {
            let full = format!("steps.{id}.outputs.{output}");
            let help = if reader.place.is_text() {
                format!("give it a default: `{{{{default {full} \"…\"}}}}`")
            } else {
                format!("give it a default: `has({full}) ? {full} : …`")
            };
            let message = format!("`{id}` may be skipped, and then it has no `{output}`");
            return Err((codes::OUTPUT_OF_SKIPPABLE, message, Some(help)));
        }
        Ok(())
    }
}

/// What is read of a step that takes another one back together with the reader.
fn wrong_beside(beside: Beside<'_>, position: usize, path: &Path) -> Result<(), Wrong> {
    let step = &beside.steps[position];
    let id = &step.id.value;
    if position == beside.position {
        let help = "its own results are `result` and `outputs`".to_owned();
        return Err((codes::NOT_AN_ANCESTOR, format!("`{id}` reads itself"), Some(help)));
    }
    if !beside.siblings.waits(beside.position, position) {
        let own = &beside.steps[beside.position].id.value;
        let message =
            format!("`{own}` does not wait for `{id}`, so what it reads may not exist yet");
        let help = format!("add `{id}` to its `needs` or `after`");
        return Err((codes::NOT_AN_ANCESTOR, message, Some(help)));
    }
    match (path.field(2), path.field(3)) {
        (Some("outputs"), Some(output)) => wrong_output_of(step, id, output),
        _ => Ok(()),
    }
}

fn wrong_output(reader: Reader<'_>, path: &Path) -> Result<(), Wrong> {
    let (Some(step), Some(Segment::Field(name))) = (reader.step, path.0.get(1)) else {
        return Ok(());
    };
    let position = step.outputs.get_index_of(name.as_str());
    if position.is_some_and(|position| position < reader.outputs) {
        return Ok(());
    }
    let names = step.outputs.keys().take(reader.outputs).map(String::as_str);
    let help = match nearest(name, names) {
        Some(close) => format!("did you mean `{close}`?"),
        None if position.is_some() => "an output can read those that stand before it".to_owned(),
        None => format!("add `{name}` to the step's `outputs`"),
    };
    let message = format!("the step has no output `{name}` at this point");
    Err((codes::UNKNOWN_OUTPUT, message, Some(help)))
}
