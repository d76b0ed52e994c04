//! The plugin protocol: one JSON object a line, on standard input and output of `dr-plugin-NAME`.
//! Specified for other languages in `docs/reference/plugin-protocol.md`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Call, CallError, CallKey, Checked, Effect, Host, Manifest, Preview, Secret, Stream};

/// Longest frame in bytes, its newline included. A longer one ends the process that sent it.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// What `dr` sends. Unknown fields are ignored, so that a later `dr` may say more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The first frame: which protocol is spoken.
    Hello {
        /// [`crate::PROTOCOL`].
        protocol: u32,
    },
    /// Do something. One call at a time: the next comes after this one's `result`.
    Call(Box<CallFrame>),
    /// Stop the call `id`. Its `result` is still expected, soon.
    Cancel {
        /// Of the call.
        id: u64,
        /// How.
        level: CancelFrame,
    },
    /// The result of this attempt is durable: what was kept for re-attaching may go. Not answered.
    Forget {
        /// The call as it was.
        call: Box<CallFrame>,
    },
}

/// Any frame, in either direction: what the JSON Schema of the protocol describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Frame {
    /// From `dr`.
    Request(Request),
    /// From the plugin.
    Reply(Reply),
}

/// How a call is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CancelFrame {
    /// End what runs, and report.
    Stop,
    /// Leave a job running on its own, and return.
    Detach,
}

/// Which method a call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`crate::Plugin::preview`].
    Preview,
    /// [`crate::Plugin::apply`].
    Apply,
    /// [`crate::Plugin::check`].
    Check,
    /// [`crate::Plugin::undo`].
    Undo,
}

/// A [`Call`] on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallFrame {
    /// Number of the call; answers carry it.
    pub id: u64,
    /// What to do with the action.
    pub method: Method,
    /// Action without the plugin's name.
    pub action: String,
    /// The step's `with`; a text that holds secrets is `{"$text": ["plain", {"$secret": "name"}]}`.
    #[serde(default)]
    pub input: Value,
    /// The runbook's settings of the plugin, in the same form.
    #[serde(default)]
    pub settings: Value,
    /// The step's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Values of the secrets that `input` and `settings` refer to. Nowhere else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Names the attempt for ever.
    pub key: CallKey,
    /// Milliseconds until `dr` gives up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What repeating the action would do in this step.
    pub effect: Effect,
}

/// What a plugin sends. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    /// The answer to `hello`.
    Hello {
        /// The protocol it speaks.
        protocol: u32,
        /// What it offers.
        manifest: Box<Manifest>,
    },
    /// Where a call stands.
    Progress {
        /// Of the call.
        id: u64,
        /// A line for people.
        message: String,
        /// Share done, 0 to 1, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<f32>,
    },
    /// Output of what the call runs.
    Output {
        /// Of the call.
        id: u64,
        /// Which stream.
        stream: Stream,
        /// The text; bytes that are no UTF-8 are replaced.
        text: String,
    },
    /// The end of a call: exactly one of the fields besides `id`.
    Result(Box<ResultFrame>),
}

/// How a call ended: exactly one of the optional fields is set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ResultFrame {
    /// Of the call.
    pub id: u64,
    /// The `result` of `apply` or `undo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Value>,
    /// The answer of `check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Checked>,
    /// The answer of `preview`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Why there is none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CallError>,
}

impl CallFrame {
    /// A call as a frame.
    #[must_use]
    pub fn new(id: u64, method: Method, call: &Call) -> Self {
        Self {
            id,
            method,
            action: call.action.clone(),
            input: call.input.clone(),
            settings: call.settings.clone(),
            host: call.host.clone(),
            secrets: call
                .secrets
                .iter()
                .map(|(name, secret)| (name.clone(), secret.expose().to_owned()))
                .collect(),
            key: call.key.clone(),
            timeout_ms: call.timeout_ms,
            effect: call.effect,
        }
    }

    /// The frame as a call.
    #[must_use]
    pub fn into_call(self) -> (u64, Method, Call) {
        let call = Call {
            action: self.action,
            input: self.input,
            settings: self.settings,
            host: self.host,
            secrets: self
                .secrets
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
            key: self.key,
            timeout_ms: self.timeout_ms,
            effect: self.effect,
        };
        (self.id, self.method, call)
    }
}
