//! What people ask of a run, and who they are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{RequestId, StepId};

/// What a person can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Let the gate open.
    Approve,
    /// Keep the gate shut: the step fails or is skipped, as the gate says.
    Reject,
    /// Go on at the part of the step that failed.
    Retry,
    /// Run the step's action again.
    Redo,
    /// Pass the step over. What needs a failed step stays blocked.
    Skip,
    /// The action was in fact done.
    AssumeDone,
    /// The action was in fact not done: it is launched again.
    AssumeNotDone,
    /// Count the step as failed.
    Fail,
    /// Stop the run: start nothing new, let running steps finish.
    Cancel,
    /// Stop the run's attempts now.
    CancelNow,
    /// Take back what was done: the answer to a failed step or to a point of no return.
    Undo,
    /// Stop the run and take back what was done.
    CancelUndo,
    /// Start nothing new and end the session, so that the run can be resumed where it is.
    Pause,
}

/// A person or a mechanism that acted on a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// Login name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// How it reached the run: `terminal`, `inbox`, `signal`, `command line`.
    pub via: String,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

/// Something a person asks of a run: on the command line of `execute` and `resume`, through the
/// inbox, or at the terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// Names it: a second copy is ignored.
    pub id: RequestId,
    /// The step it is about; absent for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// What is asked.
    pub ask: RequestKind,
    /// Who asks.
    pub by: Actor,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the gate asks for, if it is approved.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// What whoever asks has signed, if they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

impl Request {
    /// The command that asks the same of a run.
    #[must_use]
    pub fn command(&self, run: &str) -> String {
        let step = self.step.as_ref().map_or("STEP", StepId::as_str);
        match self.ask {
            RequestKind::Approve => format!("dr approve {run} {step}"),
            RequestKind::Reject | RequestKind::Fail => {
                format!("dr approve {run} {step} --reject 'REASON'")
            }
            RequestKind::Retry => format!("dr resume {run} --retry {step}"),
            RequestKind::Redo => format!("dr resume {run} --redo {step}"),
            RequestKind::Skip => format!("dr resume {run} --skip {step} --reason 'REASON'"),
            RequestKind::AssumeDone => {
                format!("dr resume {run} --assume {step}=done --reason 'REASON'")
            }
            RequestKind::AssumeNotDone => format!("dr resume {run} --assume {step}=not-done"),
            RequestKind::Cancel => format!("dr cancel {run}"),
            RequestKind::CancelNow => format!("dr cancel {run} --now"),
            RequestKind::Undo | RequestKind::CancelUndo => format!("dr cancel {run} --undo"),
            RequestKind::Pause => format!("dr pause {run}"),
        }
    }
}

/// A line and a signature over it: `ssh-keygen -Y verify -n dr-approve@v1` says the same of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// The line, without a newline.
    pub challenge: String,
    /// The signature in its armor.
    pub signature: String,
}
