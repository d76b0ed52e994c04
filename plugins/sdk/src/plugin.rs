use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Call, CallError, Cancel, Manifest};

/// A provider of actions and probes. Object-safe; implementations keep their own connections.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// What it offers. Constant for the life of the process.
    fn manifest(&self) -> Manifest;

    /// Says, read-only, what `apply` would change and whether it could.
    ///
    /// # Errors
    /// As for [`Plugin::apply`]; an unreachable target is a preview, not an error.
    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let _ = (call, context);
        Ok(Preview::of(PreviewStatus::Ok))
    }

    /// Performs the action and gives its `result`.
    ///
    /// # Errors
    /// [`CallError`]; its class must be `unknown` whenever the action may have been applied.
    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError>;

    /// Says, read-only, whether the attempt with this key was done. Called only where the manifest
    /// says `has_check`.
    ///
    /// # Errors
    /// What hindered the check itself.
    async fn check(&self, call: &Call, context: &Context) -> Result<Checked, CallError> {
        let _ = (call, context);
        Ok(Checked::CannotTell("this action has no check of its own".to_owned()))
    }

    /// Takes a performed action back. Called only where the manifest says `has_undo`.
    ///
    /// # Errors
    /// As for [`Plugin::apply`].
    async fn undo(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let _ = context;
        Err(CallError::permanent("no_undo", format!("`{}` cannot be undone", call.action)))
    }

    /// The result of the attempt is on disk: what was kept for re-attaching may be cleaned away.
    /// Best effort.
    async fn forget(&self, call: &Call) {
        let _ = call;
    }

    /// The run is over: close connections. Best effort.
    async fn close(&self) {}
}

/// What became of an attempt whose result was not seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// It was done; the result, where it is still known.
    Done(Option<Value>),
    /// It was not started: applying it with the same key is safe.
    NotDone,
    /// It is still going: applying it with the same key re-attaches.
    Running,
    /// Nobody can tell, and why.
    CannotTell(String),
}

/// What a preview found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreviewStatus {
    /// It could be done now.
    Ok,
    /// It would change what `changes` lists.
    WouldChange,
    /// The target is already as asked.
    AlreadySo,
    /// The target does not answer.
    Unreachable,
    /// The target refuses us.
    Denied,
    /// The target does not exist or run yet.
    NotYet,
}

/// The answer of a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The finding.
    pub status: PreviewStatus,
    /// Lines for people: `A shop.example.com 10.0.0.1 → 10.1.0.1, TTL 60`.
    pub changes: Vec<String>,
}

impl Preview {
    /// A finding without changes.
    #[must_use]
    pub fn of(status: PreviewStatus) -> Self {
        Self { status, changes: Vec::new() }
    }
}

/// Where a chunk of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where a call reports while it runs. Must not block: what cannot be taken is dropped.
pub trait Progress: Send + Sync {
    /// A line about where the call stands, with a share in `0.0..=1.0` where it is known.
    fn progress(&self, message: &str, share: Option<f32>);
    /// Raw output of the command.
    fn output(&self, stream: Stream, chunk: &[u8]);
}

/// What a running call is given besides its [`Call`].
#[derive(Clone)]
pub struct Context {
    /// Stop requests.
    pub cancel: Cancel,
    /// Reports.
    pub progress: Arc<dyn Progress>,
}

impl Context {
    /// A context that is never cancelled and reports nowhere.
    #[must_use]
    pub fn silent() -> Self {
        struct Nowhere;
        impl Progress for Nowhere {
            fn progress(&self, _: &str, _: Option<f32>) {}
            fn output(&self, _: Stream, _: &[u8]) {}
        }
        Self { cancel: Cancel::never(), progress: Arc::new(Nowhere) }
    }
}
