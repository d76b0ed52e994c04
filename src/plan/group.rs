use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::id::StepId;
use crate::text::Expr;

/// Code of the error of a group or loop in which something failed.
pub const FAILED_INSIDE: &str = "failed_inside";

/// What ends with a step: a group, one element of a loop, or a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The steps directly inside it; of a loop, its elements in order. They count by their ends.
    pub of: Vec<StepId>,
    /// Of an `undo` alone: its beginning and its steps, which stand nowhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<serde_json::Value>")]
    pub undoing: Vec<Step>,
    /// Set for a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Loop>,
}

/// What makes a group a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Loop {
    /// Elements at once; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Elements that may fail before the loop does.
    pub max_failures: u32,
    /// Elements that are only known during the run; absent once they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Items>,
    /// Set for a group that is repeated: its elements are rounds, one after the other. The condition
    /// is the step's `repeat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Rounds>,
}

/// What is done in each round of a group that is repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rounds {
    /// The steps of one round, `*` in place of its number: `drain@*/list`.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub template: Vec<Step>,
}

impl Loop {
    /// The steps of an element or round, where they are made during the run.
    #[must_use]
    pub fn template(&self) -> &[Step] {
        let items = self.items.as_ref().map(|items| &items.template);
        items.or_else(|| self.rounds.as_ref().map(|rounds| &rounds.template)).map_or(&[], |it| it)
    }

    /// The same, to be changed.
    pub fn template_mut(&mut self) -> &mut [Step] {
        match (&mut self.items, &mut self.rounds) {
            (Some(items), _) => &mut items.template,
            (None, Some(rounds)) => &mut rounds.template,
            (None, None) => &mut [],
        }
    }
}

impl Step {
    /// Set on the step that ends a loop.
    #[must_use]
    pub fn each(&self) -> Option<&Loop> {
        self.group.as_ref()?.each.as_ref()
    }

    /// Set on the step that ends a group which is repeated.
    #[must_use]
    pub fn rounds(&self) -> Option<&Rounds> {
        self.each()?.rounds.as_ref()
    }

    /// The steps of an element or round of the loop that it ends, where they are made during the
    /// run.
    #[must_use]
    pub fn template(&self) -> &[Step] {
        self.each().map_or(&[], Loop::template)
    }

    /// The same, to be changed.
    pub fn template_mut(&mut self) -> &mut [Step] {
        let each = self.group.as_mut().and_then(|group| group.each.as_mut());
        each.map_or(&mut [], Loop::template_mut)
    }
}

/// Elements that are only known during the run, and what is done for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Items {
    /// Gives the list or map when the loop begins.
    pub from: Expr,
    /// What texts and decisions call the element.
    pub name: String,
    /// How many are expected.
    pub estimate: u32,
    /// How many there may be.
    pub max_items: u32,
    /// Whether there may be none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty: bool,
    /// The steps of one element, `*` in place of its name: `restore@*/copy`.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub template: Vec<Step>,
}
