use dr_plugin::{CallError, Checked, Host};
use serde_json::Value;

use crate::event::{
    Actor, CancelRequest, Event, EventKind, LossAccepted, Purpose, Request, RunStarted, Verdict,
};
use crate::id::StepId;
use crate::plan::Uses;
use crate::time::Timestamp;

/// What the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An event of the journal, in order. Only before [`Input::Start`]; yields no effects.
    Replayed(Box<Event>),
    /// A session begins: the first one if nothing was replayed.
    Start(Box<Session>),
    /// A fact that the driver contributes (`preflight_finished`, `clock_moved`): it is appended like
    /// the machine's own events. Only after [`Input::Start`].
    Noted(Box<EventKind>),
    /// A launched attempt came back.
    AttemptDone {
        /// Which.
        ticket: Ticket,
        /// With what.
        result: AttemptResult,
    },
    /// A timer went off.
    TimerFired(Timer),
    /// A person asks something.
    Answer(Request),
    /// Somebody asks the run to stop.
    Cancel {
        /// Who.
        by: Actor,
        /// How.
        level: CancelRequest,
        /// Why.
        reason: Option<String>,
    },
}

/// What a session starts with.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Facts of the run; of a resumed one only `by` and `attended` count.
    pub started: RunStarted,
    /// Why it is resumed.
    pub reason: Option<String>,
    /// What the kept inbox asks, then `--assume`, `--redo`, `--retry`, `--skip` of the command line:
    /// they are followed in this order.
    pub requests: Vec<Request>,
    /// Requests of the kept inbox that are not for the run as it is, each with why.
    pub refused: Vec<(Request, String)>,
    /// What of the journal was given up because it was damaged.
    pub lost: Option<LossAccepted>,
}

/// What the machine wants done. All appends of a batch are durable before anything else of it
/// happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this.
    Append(Box<Event>),
    /// Start this attempt. Its `attempt_started` precedes it in the same batch; of the readings of a
    /// `repeat`, which only read, that of the first one speaks for all.
    Launch(Box<Launch>),
    /// Call back at this time (immediately, if it has passed). Replaces an earlier timer of the same
    /// name.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When.
        at: Timestamp,
    },
    /// Stop a running attempt; it still comes back as [`Input::AttemptDone`].
    StopAttempt(Ticket),
    /// The session is over. The last effect.
    Finish(Ending),
}

/// How a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With a verdict; `run_finished` is written.
    Verdict(Verdict),
    /// Only people's decisions are missing and nobody is there; `run_paused` is written.
    Paused(Vec<StepId>),
}

/// Names a launched attempt within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names a timer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The next attempt or reading of a step is due.
    Next(StepId),
    /// The time of a step's gate is up.
    Gate(StepId),
    /// A step's gate asks again.
    Remind(StepId),
    /// The time of a step's `repeat` is up.
    Repeat(StepId),
    /// A step lets others start first no longer.
    Yield(StepId),
    /// Objectives are to be looked at again.
    Objectives,
}

/// An attempt as the driver is to perform it.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// Comes back with the result.
    pub ticket: Ticket,
    /// The step.
    pub step: StepId,
    /// Number of the attempt, from 1: with run, step and purpose it is the call's key.
    pub attempt: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// What to call: of a check by another action, that action.
    pub uses: Uses,
    /// Under what name the plan has the settings that its plugin is called with.
    pub settings: String,
    /// How to call it.
    pub kind: LaunchKind,
    /// Target.
    pub host: Option<Host>,
    /// Rendered arguments; secrets are references.
    pub input: Value,
    /// Effect that counts for the step.
    pub effect: dr_plugin::Effect,
    /// Limit in milliseconds. The plugin ends the attempt; the driver only if the plugin does not.
    pub timeout_ms: Option<u64>,
}

/// Which method of the plugin is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchKind {
    /// `apply`.
    Apply,
    /// `check`, with the key of the attempt whose outcome is unknown (purpose `apply`).
    Check,
    /// `undo`.
    Undo,
}

/// What an attempt came back with.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptResult {
    /// From `apply` or `undo`.
    Applied(Result<Value, CallError>),
    /// From `check`.
    Checked(Result<Checked, CallError>),
}
