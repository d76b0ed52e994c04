//! What steps, attempts and runs can be: closed vocabularies of events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a run is asked to stop.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CancelRequest {
    /// Start nothing new; running steps finish.
    Drain,
    /// Stop running attempts as well.
    Stop,
}

/// Why a step is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its own `when` is false.
    When,
    /// Its phase is not taken.
    Phase,
    /// A person said so.
    Person,
    /// Its gate was rejected, and says `on_reject: skip`.
    Rejected,
    /// It closes a step that was never started.
    NotOpened,
    /// It takes back a step of which it was found out that it was not done.
    NotDone,
}

/// Why steps that were over are to run once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reopening {
    /// What they opened was closed, and work that needs it goes on.
    Closed,
    /// They were taken back, or what they said was read before that.
    TakenBack,
}

/// What a person is asked about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Nobody can tell whether it was applied.
    OutcomeUnknown,
    /// It failed and says `on_failure: ask`.
    Failed,
}

/// What an attempt is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The step's action.
    Apply,
    /// Finding out whether the action was done.
    Check,
    /// A reading of `repeat`.
    Repeat,
    /// A reading of a service's validation.
    Validate,
    /// Compensation.
    Undo,
}

impl Purpose {
    /// The word used in keys and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Check => "check",
            Self::Repeat => "repeat",
            Self::Validate => "validate",
            Self::Undo => "undo",
        }
    }
}

/// What is known about an attempt that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it should.
    Succeeded,
    /// It did not.
    Failed,
    /// Its time was up.
    TimedOut,
    /// It was stopped.
    Cancelled,
    /// It may or may not have been applied.
    Unknown,
}

/// Where a step stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Something it names is not over.
    Pending,
    /// It could start; a slot is missing.
    Ready,
    /// It waits for a person or for a moment.
    Waiting,
    /// An attempt is under way.
    Running,
    /// Done.
    Succeeded,
    /// Done, with a remark, or failed under `on_failure: warn`.
    Warned,
    /// It failed.
    Failed,
    /// It failed because its time was up.
    TimedOut,
    /// Passed over by decision.
    Skipped,
    /// Prevented by what became of others.
    Blocked,
    /// Prevented or stopped by a cancel.
    Cancelled,
    /// Nobody knows whether it was applied; a person is asked.
    Unknown,
    /// Taken back.
    Undone,
    /// Could not be taken back.
    UndoFailed,
}

impl StepState {
    /// Whether the step is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Ready | Self::Waiting | Self::Running | Self::Unknown)
    }

    /// Whether a need on the step is met: succeeded, warned, or passed over by decision.
    #[must_use]
    pub fn is_met(self) -> bool {
        matches!(self, Self::Succeeded | Self::Warned | Self::Skipped)
    }

    /// The word used in expressions, events and on screens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Skipped => "skipped",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Undone => "undone",
            Self::UndoFailed => "undo_failed",
        }
    }
}

/// How a session of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that was to be done was done, in time.
    Succeeded,
    /// Everything was done, but an objective was missed.
    ObjectiveMissed,
    /// A step failed.
    Failed,
    /// A step failed, and everything was taken back.
    Unwound,
    /// Somebody stopped it.
    Cancelled,
    /// An undo, closing or cleanup step failed: something is half done.
    Stuck,
}

impl Verdict {
    /// The word used in events and on screens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::ObjectiveMissed => "objective_missed",
            Self::Failed => "failed",
            Self::Unwound => "unwound",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
        }
    }

    /// Whether the run is over for good: nothing may follow.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::ObjectiveMissed)
    }
}
