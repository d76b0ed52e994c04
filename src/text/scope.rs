//! Which names there are, and where each may be read.

use std::collections::BTreeSet;

use super::functions::TYPES;
use super::nearest::{nearest, suggestion};
use super::{Path, Read, Segment, TextError};

/// Where a text or decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Addresses and users of hosts.
    HostSetting,
    /// Settings of a plugin.
    PluginSetting,
    /// `host` of a step: which host it acts on.
    StepHost,
    /// `with` of a step, a check or an undo.
    With,
    /// `with` of a step that includes a runbook: its inputs.
    IncludedInputs,
    /// `for_each`.
    ForEach,
    /// `when` of a step.
    When,
    /// `outputs` of a step.
    Outputs,
    /// `expect`, `severity` and `recovery_point` of a step.
    Expect,
    /// The `message` of an expectation.
    ExpectMessage,
    /// `repeat.until`.
    Until,
    /// `retry.when`, `repeat.tolerate` and `expect_error`.
    Error,
    /// `done` and `running` of a check.
    Check,
    /// The message of a gate.
    GateMessage,
}

impl Place {
    /// The roots that can be read there.
    #[must_use]
    pub const fn roots(self) -> &'static [&'static str] {
        match self {
            Self::HostSetting => &["inputs", "values"],
            Self::PluginSetting => &["inputs", "secrets", "values"],
            Self::StepHost | Self::When | Self::ForEach | Self::GateMessage => STEP,
            Self::With | Self::IncludedInputs => WITH,
            Self::Outputs | Self::Expect | Self::ExpectMessage => RESULT,
            Self::Check => CHECK,
            Self::Until => UNTIL,
            Self::Error => ERROR,
        }
    }

    /// Whether it holds text, not a decision: `run.now` is not there.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Self::HostSetting
                | Self::PluginSetting
                | Self::StepHost
                | Self::With
                | Self::IncludedInputs
                | Self::ExpectMessage
                | Self::GateMessage
        )
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HostSetting => "the settings of a host",
            Self::PluginSetting => "the settings of a plugin",
            Self::StepHost => "`host`",
            Self::With => "`with`",
            Self::IncludedInputs => "the inputs of an included runbook",
            Self::ForEach => "`for_each`",
            Self::When => "`when`",
            Self::Outputs => "`outputs`",
            Self::Expect => "`expect`",
            Self::ExpectMessage => "the message of an expectation",
            Self::Until => "`repeat.until`",
            Self::Error => "a condition over an error",
            Self::Check => "`check`",
            Self::GateMessage => "the message of a gate",
        }
    }
}

const STEP: &[&str] = &["host", "hosts", "inputs", "item", "run", "self", "steps", "values"];
const WITH: &[&str] =
    &["host", "hosts", "inputs", "item", "run", "secrets", "self", "steps", "values"];
const CHECK: &[&str] =
    &["host", "hosts", "inputs", "item", "result", "run", "self", "steps", "values"];
const RESULT: &[&str] =
    &["host", "hosts", "inputs", "item", "outputs", "result", "run", "self", "steps", "values"];
const UNTIL: &[&str] = &[
    "host",
    "hosts",
    "inputs",
    "item",
    "iteration",
    "outputs",
    "previous",
    "result",
    "run",
    "self",
    "steps",
    "values",
];
const ERROR: &[&str] =
    &["error", "host", "hosts", "inputs", "item", "iteration", "run", "self", "steps", "values"];

/// All roots, wherever they may be read.
const ROOTS: [&str; 14] = [
    "error",
    "host",
    "hosts",
    "inputs",
    "item",
    "iteration",
    "outputs",
    "previous",
    "result",
    "run",
    "secrets",
    "self",
    "steps",
    "values",
];
/// The members of `run`.
const RUN: [&str; 7] = ["declared_at", "environment", "id", "incident_at", "mode", "now", "style"];
/// The members of a step.
const OF_STEP: [&str; 6] =
    ["duration_ms", "finished_at", "items", "outputs", "started_at", "status"];
/// The members of an error.
const OF_ERROR: [&str; 3] = ["class", "code", "message"];

/// Whether an element of a loop cannot be called `name`: it would hide another name, or is a word
/// of the expression language.
#[must_use]
pub fn is_reserved_name(name: &str) -> bool {
    const WORDS: [&str; 21] = [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ];
    (ROOTS.contains(&name) && name != "item") || WORDS.contains(&name) || TYPES.contains(&name)
}

/// Whether a name has its value when a plan is made. An `item` is known if its list is, which the
/// caller knows.
#[must_use]
pub fn known_at_plan_time(path: &Path) -> bool {
    match path.root() {
        "values" | "inputs" | "hosts" | "host" => true,
        "run" => matches!(path.field(1), Some("mode" | "style" | "environment")),
        _ => false,
    }
}

/// What a runbook declares, as far as names can be checked against it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    /// Names of `values`.
    pub values: BTreeSet<String>,
    /// Names of `inputs`.
    pub inputs: BTreeSet<String>,
    /// Names of `hosts`.
    pub hosts: BTreeSet<String>,
    /// Names of `secrets`.
    pub secrets: BTreeSet<String>,
    /// Ids of the steps that can be named from here, without a path.
    pub steps: BTreeSet<String>,
    /// What loops around the place call their element: `item`, or the name given by `as`.
    pub items: BTreeSet<String>,
    /// Outputs of the step itself. Empty: not checked.
    pub outputs: BTreeSet<String>,
}

impl Vocabulary {
    /// Every read at `place` that names nothing, each with its place, in the order of `reads`.
    ///
    /// Whether a step that is named is an ancestor, and has that output, is not asked here.
    #[must_use]
    pub fn check(&self, reads: &[Read], place: Place) -> Vec<TextError> {
        let wrong = |read: &Read| {
            let mut error = self.check_path(&read.path, place).err()?;
            error.span.clone_from(&read.span);
            error.pointer.clone_from(&read.pointer);
            if let Some(advice) = &read.dashed {
                error.help = Some(advice.clone());
            }
            Some(error)
        };
        reads.iter().filter_map(wrong).collect()
    }

    /// Whether there is such a name at `place`.
    ///
    /// # Errors
    /// An unknown name, or one that is not known there.
    pub fn check_path(&self, path: &Path, place: Place) -> Result<(), TextError> {
        let root = path.root();
        if self.items.contains(root) {
            return Ok(());
        }
        let roots = place.roots();
        if !roots.contains(&root) || root == "item" {
            return Err(self.misplaced(root, place));
        }
        match root {
            "values" => declared(path, &self.values, "value"),
            "inputs" => declared(path, &self.inputs, "input"),
            "hosts" => declared(path, &self.hosts, "host"),
            "secrets" => declared(path, &self.secrets, "secret"),
            "steps" => {
                declared(path, &self.steps, "step")?;
                among(path, 2, &OF_STEP)
            }
            "outputs" if !self.outputs.is_empty() => declared(path, &self.outputs, "output"),
            "run" if place.is_text() && path.field(1) == Some("now") => {
                Err(TextError::new("`run.now` cannot be used in text"))
            }
            "run" => among(path, 1, &RUN),
            "self" => among(path, 1, &OF_STEP),
            "error" => among(path, 1, &OF_ERROR),
            _ => Ok(()),
        }
    }

    fn misplaced(&self, root: &str, place: Place) -> TextError {
        let here = place.roots().iter().copied().filter(|known| *known != "item");
        let here: Vec<&str> = here.chain(self.items.iter().map(String::as_str)).collect();
        if root == "item" {
            return TextError::new("there is no `item` here")
                .help("only steps under `for_each` have one");
        }
        if ROOTS.contains(&root) {
            return TextError::new(format!("`{root}` is not known in {}", place.name()))
                .help(format!("known there: `{}`", here.join("`, `")));
        }
        let error = TextError::new(format!("there is no `{root}`"));
        let members: [(&str, &BTreeSet<String>); 5] = [
            ("values", &self.values),
            ("inputs", &self.inputs),
            ("hosts", &self.hosts),
            ("steps", &self.steps),
            ("outputs", &self.outputs),
        ];
        for (of, names) in members {
            if here.contains(&of) && names.contains(root) {
                return error.help(format!("did you mean `{of}.{root}`?"));
            }
        }
        match nearest(root, here.iter().copied()) {
            Some(close) => error.help(format!("did you mean `{close}`?")),
            None => error.help(format!("names begin with `{}`", here.join("`, `"))),
        }
    }
}

fn declared(path: &Path, names: &BTreeSet<String>, what: &str) -> Result<(), TextError> {
    match path.0.get(1) {
        Some(Segment::Field(name)) if !names.contains(name) => {
            let error = TextError::new(format!("there is no {what} `{name}`"));
            Err(match suggestion(name, names.iter().map(String::as_str)) {
                Some(help) => error.help(help),
                None => error,
            })
        }
        Some(Segment::Index(_)) => Err(TextError::new(format!("`{}` is no list", path.root()))),
        _ => Ok(()),
    }
}

fn among(path: &Path, position: usize, members: &[&str]) -> Result<(), TextError> {
    match path.0.get(position) {
        Some(Segment::Field(name)) if !members.contains(&name.as_str()) => {
            let error = TextError::new(format!(
                "there is no `{name}` in `{}`",
                Path(path.0[..position].to_vec())
            ));
            Err(match suggestion(name, members.iter().copied()) {
                Some(help) => error.help(help),
                None => error,
            })
        }
        _ => Ok(()),
    }
}
