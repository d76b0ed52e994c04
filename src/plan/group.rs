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
