use std::collections::BTreeMap;

use serde_json::Value;

use crate::id::StepId;
use crate::words::{Mode, Phase, Style};

/// What a plan is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRequest {
    /// `--env`; absent: the default environment.
    pub environment: Option<String>,
    /// `--input`, by name.
    pub inputs: BTreeMap<String, InputValue>,
    /// `--phase`; empty: the runbook's default phases.
    pub phases: Vec<Phase>,
    /// Live or drill.
    pub mode: Mode,
    /// `--style`; absent: graceful, if the runbook does not care.
    pub style: Option<Style>,
    /// `--skip`, with the reason.
    pub skips: Vec<Skip>,
    /// `--parallelism`.
    pub parallelism: Option<u32>,
    /// `--effort`: schedules to try for a better one. Absent: 5,000, fewer for large runbooks; 0: no
    /// search, only fixed candidates.
    pub effort: Option<usize>,
}

impl Default for PlanRequest {
    fn default() -> Self {
        Self {
            environment: None,
            inputs: BTreeMap::new(),
            phases: Vec::new(),
            mode: Mode::Live,
            style: None,
            skips: Vec::new(),
            parallelism: None,
            effort: None,
        }
    }
}

/// A step that a person leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The step.
    pub step: StepId,
    /// Why.
    pub reason: Option<String>,
}

/// The value of an input.
#[derive(Debug, Clone, PartialEq)]
pub enum InputValue {
    /// As it was typed on the command line; read according to the input's type.
    Text(String),
    /// As data.
    Json(Value),
    /// A secret of the runbook that includes this one, by its name there.
    Secret(String),
}

impl From<&str> for InputValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
