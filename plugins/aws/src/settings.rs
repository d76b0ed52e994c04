use std::time::Duration;

use dr_plugin::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of an AWS plugin. Credentials come from AWS's own chain (environment, profiles, SSO,
/// `credential_process`, container and instance roles) and are never part of a runbook.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The region. Default: that of the profile or of `AWS_REGION`.
    #[serde(default)]
    pub region: Option<String>,
    /// The profile in AWS's configuration files. Default: `AWS_PROFILE`, else `default`.
    #[serde(default)]
    pub profile: Option<String>,
    /// A role to assume with those credentials: its ARN.
    #[serde(default)]
    pub role: Option<String>,
    /// The external id that the role asks for.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Where the API is served instead of AWS's own address: `https://…`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// How long one request may take. Default 10s.
    #[serde(default)]
    pub request_timeout: Option<Period>,
    /// Pause between two looks at something that is waited for, and before a request is sent again.
    /// Default 2s.
    #[serde(default)]
    pub poll: Option<Period>,
}

/// How long a request may take unless the settings say otherwise.
const REQUEST: Duration = Duration::from_secs(10);

impl Settings {
    /// How long a request may take.
    #[must_use]
    pub fn request_limit(&self) -> Duration {
        self.request_timeout.map_or(REQUEST, |period| period.0)
    }
}
