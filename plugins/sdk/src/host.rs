use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A host of the runbook, resolved for one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Its name in the runbook.
    pub name: String,
    /// DNS name, IP address, or an alias of the user's `ssh_config`.
    pub address: String,
    /// TCP port of the remote shell; absent: the protocol's default or what `ssh_config` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Remote user; absent: what `ssh_config` says, else the local user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Commands on this host run as another user through `sudo -n`.
    #[serde(default, rename = "become", skip_serializing_if = "Option::is_none")]
    pub becomes: Option<Become>,
    /// Free labels, for selecting hosts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Folder for job state on the host; absent: `dr/jobs` under the user's state folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_dir: Option<String>,
}

/// The user that commands become on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Become {
    /// The user that `sudo -n -u` is given.
    pub user: String,
}
