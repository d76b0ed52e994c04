use std::collections::BTreeMap;

use dr_plugin::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of the plugin: what all requests of a runbook share.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Put before a `url` that begins with `/`.
    #[serde(default)]
    pub(crate) base_url: Option<String>,
    /// Headers of every request; those of a step win.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Credentials of every request, unless a step has its own.
    #[serde(default)]
    pub(crate) auth: Option<Auth>,
    /// TLS of every request.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// How long connecting may take. Default 5s.
    #[serde(default)]
    pub(crate) connect_timeout: Option<Period>,
}

/// Credentials: exactly one of the keys.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// `Authorization: Bearer …`
    #[serde(default)]
    pub(crate) bearer: Option<String>,
    /// `Authorization: Basic …`
    #[serde(default)]
    pub(crate) basic: Option<Basic>,
}

/// A user name and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basic {
    /// The user.
    pub(crate) user: String,
    /// The password: `{{ secrets.NAME }}`.
    pub(crate) password: String,
}

/// TLS settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// A PEM file with certificate authorities that are trusted besides the system's.
    #[serde(default)]
    pub(crate) ca_file: Option<String>,
    /// A PEM file with a client certificate and its key.
    #[serde(default)]
    pub(crate) identity_file: Option<String>,
    /// Accept any certificate. Only for finding out what a broken site still says.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// `with` of `http.request`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestInput {
    /// Where to: `https://…`, or a path under the settings' `base_url`.
    pub(crate) url: String,
    /// The method. Default GET.
    #[serde(default)]
    pub(crate) method: HttpMethod,
    /// Parameters appended to the URL.
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
    /// Headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// A body as text.
    #[serde(default)]
    pub(crate) body: Option<String>,
    /// A body as JSON; sets `Content-Type`.
    #[serde(default)]
    pub(crate) json: Option<Value>,
    /// Credentials.
    #[serde(default)]
    pub(crate) auth: Option<Auth>,
    /// TLS, instead of the settings'.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
    /// Statuses that are a result. Default: any below 400 for methods other than GET and HEAD;
    /// for these any at all, so that `expect` decides.
    #[serde(default)]
    pub(crate) status: Option<Vec<u16>>,
    /// Follow redirects. Default true.
    #[serde(default = "yes")]
    pub(crate) follow: bool,
}

fn yes() -> bool {
    true
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum HttpMethod {
    /// Reads.
    #[default]
    Get,
    /// Reads the headers.
    Head,
    /// Acts.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl HttpMethod {
    pub(crate) fn reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    pub(crate) fn as_reqwest(self) -> reqwest::Method {
        match self {
            Self::Get => reqwest::Method::GET,
            Self::Head => reqwest::Method::HEAD,
            Self::Post => reqwest::Method::POST,
            Self::Put => reqwest::Method::PUT,
            Self::Patch => reqwest::Method::PATCH,
            Self::Delete => reqwest::Method::DELETE,
        }
    }
}

/// `result` of `http.request`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RequestResult {
    /// Status code.
    pub(crate) status: u16,
    /// Headers, names in lower case; of repeated ones the last.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body as text, at most 1 MiB of it.
    pub(crate) body: String,
    /// The body as JSON, if it is JSON; else null.
    pub(crate) json: Value,
    /// Whether the body was longer.
    pub(crate) truncated: bool,
    /// Milliseconds until the body was read.
    pub(crate) duration_ms: u64,
    /// Where the answer came from, after redirects.
    pub(crate) url: String,
}

/// `with` of `http.check`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckInput {
    /// Where to, read with GET.
    pub(crate) url: String,
    /// Requests, one after the other. Default 20.
    #[serde(default = "twenty")]
    pub(crate) requests: u32,
    /// Pause between requests. Default none.
    #[serde(default)]
    pub(crate) pause: Option<Period>,
    /// Limit of each request. Default 5s.
    #[serde(default)]
    pub(crate) request_timeout: Option<Period>,
    /// Statuses that count as good. Default 200 to 299.
    #[serde(default)]
    pub(crate) status: Option<Vec<u16>>,
    /// Headers.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Credentials.
    #[serde(default)]
    pub(crate) auth: Option<Auth>,
    /// TLS, instead of the settings'.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
}

fn twenty() -> u32 {
    20
}

/// `result` of `http.check`. Percentiles are of good answers, by nearest rank; null without any.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct CheckResult {
    /// Requests made.
    pub(crate) requests: u32,
    /// Good answers.
    pub(crate) good: u32,
    /// Good answers among all, 0 to 1.
    pub(crate) share: f64,
    /// Half of the good answers were faster, milliseconds.
    pub(crate) p50_ms: Option<u64>,
    /// Nine of ten were faster.
    pub(crate) p90_ms: Option<u64>,
    /// 99 of 100 were faster.
    pub(crate) p99_ms: Option<u64>,
    /// The slowest.
    pub(crate) max_ms: Option<u64>,
    /// How many answers had each status; `error` counts those without one.
    pub(crate) statuses: BTreeMap<String, u32>,
    /// The last error, if any request had none.
    pub(crate) last_error: Option<String>,
}
