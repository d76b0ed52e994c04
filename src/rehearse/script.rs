//! What a rehearsal is told: how steps go, how long they take, what people answer.

use std::collections::BTreeMap;

use dr_plugin::{CallError, ErrorClass};
use serde::Deserialize;
use serde_json::Value;

use crate::event::{Question, RequestKind};
use crate::plan::{Plan, Step, undone_by};
use crate::text::{Expr, nearest};
use crate::time::{Millis, Timestamp};

/// What a rehearsal is told; without a word, everything goes well.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// When the rehearsed run begins. Default: the same moment for every rehearsal.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// How long people take to answer, unless a step says otherwise. Default: one minute.
    #[serde(default)]
    pub people: Option<Duration>,
    /// Steps by their full id.
    #[serde(default)]
    pub steps: BTreeMap<String, Scripted>,
}

/// How one step goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// How long its action takes. Default: its estimate.
    #[serde(default)]
    pub takes: Option<Duration>,
    /// Values of outputs, instead of what their expressions make of the result.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
    /// What its action gives, instead of something plausible.
    #[serde(default)]
    pub result: Option<Value>,
    /// That its action fails.
    #[serde(default)]
    pub fails: Option<Failure>,
    /// What people say at its gate.
    #[serde(default)]
    pub gate: Option<GateAnswer>,
    /// What people say when they are asked how it goes on.
    #[serde(default)]
    pub question: Option<QuestionAnswer>,
    /// How long they take to say so.
    #[serde(default)]
    pub people: Option<Duration>,
}

/// A length of time as it is written: `90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub u64);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let millis: Millis = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(millis.0))
    }
}

/// How an action fails.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What is known about it.
    #[serde(default)]
    pub how: How,
    /// Its code, as `error.code` reads it.
    #[serde(default)]
    pub code: Option<String>,
    /// Its message.
    #[serde(default)]
    pub message: Option<String>,
    /// How many attempts fail. Default: all of them.
    #[serde(default)]
    pub times: Option<u32>,
}

/// In which way an action fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Nothing was done, and it may work later.
    Transient,
    /// Nothing was done, and never will be.
    #[default]
    Permanent,
    /// The target refuses.
    Denied,
    /// It was done, but nobody heard.
    UnknownDone,
    /// It was not done, but nobody heard.
    UnknownNotDone,
    /// Its time runs out, and nobody knows whether it was done.
    Timeout,
    /// It never comes back.
    Hang,
}

/// What people say at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAnswer {
    /// Go on.
    Approve,
    /// Do not.
    Reject,
    /// Nothing.
    Silence,
}

/// What people say when they are asked how a step goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionAnswer {
    /// Go on at the part that failed.
    Retry,
    /// Run the action again.
    Redo,
    /// Pass it over.
    Skip,
    /// It was done.
    Done,
    /// It was not done.
    NotDone,
    /// It has failed.
    Fail,
    /// What is so: whether it was done; a failed step is tried again.
    Truth,
}

/// Why what a rehearsal is told cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScriptError {
    /// What is wrong.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
}

impl ScriptError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn with_help(mut self, help: String) -> Self {
        self.help = Some(help);
        self
    }

    fn did_you_mean<'a>(mut self, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        self.help = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        self
    }
}

impl Script {
    /// Reads a script from YAML.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str) -> Result<Self, ScriptError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let options = serde_yaml::options! { with_snippet: false };
        serde_yaml::from_str_with_options(text, options)
            .map_err(|error| ScriptError::new(error.to_string()))
    }

    /// Takes `STEP.OUTPUT=VALUE` in, or `STEP.result=VALUE`. The value is read as YAML.
    ///
    /// # Errors
    /// A step or output that the plan does not have.
    pub fn set(&mut self, plan: &Plan, name: &str, value: &str) -> Result<(), ScriptError> {
        let value = serde_yaml::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        let Some((step, output)) = name.rsplit_once('.') else {
            return Err(ScriptError {
                message: format!("`{name}` names no output"),
                help: Some("write `--set STEP.OUTPUT=VALUE`".to_owned()),
            });
        };
        let scripted = self.steps.entry(step.to_owned()).or_default();
        if output == "result" {
            scripted.result = Some(value);
        } else {
            scripted.outputs.insert(output.to_owned(), value);
        }
        self.validate(plan)
    }

    /// Whether the plan has all that the script names.
    ///
    /// # Errors
    /// The first name that it does not have.
    pub fn validate(&self, plan: &Plan) -> Result<(), ScriptError> {
        for (id, scripted) in &self.steps {
            let meant: Vec<&Step> =
                all(plan).filter(|step| is_named(id, step.id.as_str())).collect();
            if meant.is_empty() && plan.origin(id).is_none() {
                return Err(ScriptError::new(format!("the plan has no step `{id}`"))
                    .did_you_mean(id, plan.steps.iter().map(|step| step.id.as_str())));
            }
            if meant.is_empty() && !scripted.outputs.is_empty() {
                let whole = template(id);
                return Err(ScriptError::new(format!(
                    "`{id}` is one of several that are made during the run, and has no outputs yet"
                ))
                .with_help(format!(
                    "say what its action gives: `--set '{id}.result={{…}}'`, or set the outputs of \
                     all of them: `--set {whole}.OUTPUT=VALUE`"
                )));
            }
            let outputs = || meant.iter().flat_map(|step| &step.outputs);
            let known = || outputs().map(|output| output.name.as_str());
            if meant.is_empty() {
                continue;
            }
            if let Some(name) = scripted.outputs.keys().find(|&name| known().all(|it| it != name)) {
                let mut error = ScriptError::new(format!("`{id}` has no output `{name}`"))
                    .did_you_mean(name, known());
                let names: Vec<_> = known().collect();
                error.help = error.help.or_else(|| {
                    Some(if names.is_empty() {
                        format!("it has none; what its action gives is `--set '{id}.result={{…}}'`")
                    } else {
                        format!("it has {}", names.join(", "))
                    })
                });
                return Err(error);
            }
        }
        Ok(())
    }

    /// The plan in which scripted outputs are what the script says.
    #[must_use]
    pub fn apply(&self, mut plan: Plan) -> Plan {
        self.apply_to(&mut plan.steps);
        plan
    }

    fn apply_to(&self, steps: &mut [Step]) {
        for step in steps {
            self.apply_to(step.template_mut());
            if let Some(gate) = &mut step.approve {
                // Nobody signs in a rehearsal.
                gate.keys.clear();
            }
            let Some(scripted) = self.step(step.id.as_str()) else { continue };
            for output in &mut step.outputs {
                if let Some(value) = scripted.outputs.get(&output.name)
                    && let Ok(value) = Expr::parse(&constant(value, output.value.source()))
                {
                    output.value = value;
                }
            }
        }
    }

    pub(super) fn step(&self, id: &str) -> Option<&Scripted> {
        self.steps.get(id).or_else(|| self.steps.get(&template(id)))
    }

    /// Whether it says what `--set` with this argument would say.
    pub(super) fn says(&self, set: &str) -> bool {
        let name = set.split_once('=').map_or(set, |(name, _)| name);
        let Some((step, output)) = name.rsplit_once('.') else { return false };
        self.step(step).is_some_and(|it| it.result.is_some() || it.outputs.contains_key(output))
    }

    pub(super) fn people_ms(&self, id: &str) -> u64 {
        let own = self.step(id).and_then(|scripted| scripted.people);
        own.or(self.people).map_or(60_000, |duration| duration.0)
    }
}

impl Failure {
    /// The error of attempt number `attempt`, if it fails.
    pub(super) fn of_attempt(&self, attempt: u32) -> Option<CallError> {
        if self.times.is_some_and(|times| attempt > times) {
            return None;
        }
        let (class, code, message) = match self.how {
            How::Transient => (ErrorClass::Transient, "busy", "the target is busy"),
            How::Permanent => (ErrorClass::Permanent, "exit_1", "the target said no"),
            How::Denied => (ErrorClass::Denied, "denied", "the target refused"),
            How::UnknownDone | How::UnknownNotDone => {
                (ErrorClass::Unknown, "connection_lost", "the connection was lost")
            }
            How::Timeout | How::Hang => (ErrorClass::Unknown, "timeout", "it ran out of time"),
        };
        let code = self.code.as_deref().unwrap_or(code);
        let message = self.message.clone().unwrap_or_else(|| format!("{message} (rehearsed)"));
        Some(CallError::new(class, code, message))
    }
}

/// All steps of a plan, with what takes them back.
fn all(plan: &Plan) -> impl Iterator<Item = &Step> {
    plan.every_step().flat_map(|step| std::iter::once(step).chain(step.undo_steps()))
}

/// Whether a script that names `id` means this step: itself, or all that the runbook calls so.
fn is_named(id: &str, step: &str) -> bool {
    id == step || id == template(step)
}

/// What the runbook calls a step of a loop or round: `restart@web_1/stop` is `restart/stop`.
pub(super) fn template(id: &str) -> String {
    let of = undone_by(id);
    let undo = of.map_or("", |of| &id[of.len()..]);
    let id = of.unwrap_or(id);
    let parts = id.split('/').map(|part| part.split_once('@').map_or(part, |(name, _)| name));
    parts.collect::<Vec<_>>().join("/") + undo
}

/// A value as an expression; a text is a time or a duration where `instead` gives one.
fn constant(value: &Value, instead: &str) -> String {
    match value {
        Value::String(text) => {
            let quoted = value.to_string();
            let gives = |names: [&str; 2]| names.iter().any(|name| instead.contains(name));
            if gives(["timestamp(", "time("]) && text.parse::<Timestamp>().is_ok() {
                format!("timestamp({quoted})")
            } else if gives(["duration(", "seconds("]) && text.parse::<Millis>().is_ok() {
                format!("duration({quoted})")
            } else {
                quoted
            }
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| constant(item, instead)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let of = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), constant(value, instead))
            };
            format!("{{{}}}", map.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// What people who are asked about `question` ask for.
pub(super) fn answer(said: QuestionAnswer, question: Question, done: bool) -> RequestKind {
    match said {
        QuestionAnswer::Retry => RequestKind::Retry,
        QuestionAnswer::Redo => RequestKind::Redo,
        QuestionAnswer::Skip => RequestKind::Skip,
        QuestionAnswer::Done => RequestKind::AssumeDone,
        QuestionAnswer::NotDone => RequestKind::AssumeNotDone,
        QuestionAnswer::Fail => RequestKind::Fail,
        QuestionAnswer::Truth => match (question, done) {
            (Question::OutcomeUnknown, true) => RequestKind::AssumeDone,
            (Question::OutcomeUnknown, false) => RequestKind::AssumeNotDone,
            _ => RequestKind::Retry,
        },
    }
}
