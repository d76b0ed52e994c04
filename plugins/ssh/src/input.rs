use std::collections::BTreeMap;

use dr_plugin::job::default_interpreter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `with` of `ssh.command`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandInput {
    /// The command and its arguments. No shell sees them: nothing needs quoting.
    #[schemars(length(min = 1))]
    pub argv: Vec<String>,
    /// Working directory; absent: the one that the login gives.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Environment variables besides those of the login. The way to hand over secrets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What the command reads on its standard input.
    #[serde(default)]
    pub stdin: String,
    /// Exit codes that are no error.
    #[serde(default = "zero")]
    #[schemars(length(min = 1))]
    pub exit_codes: Vec<i32>,
    /// Run it as a job that survives the connection and `dr`, and is joined again by a resume.
    /// Default: yes, unless the step is pure or idempotent.
    #[serde(default)]
    pub detach: Option<bool>,
    /// The user to become through `sudo -n`; absent: what the host says.
    #[serde(default, rename = "become")]
    pub becomes: Option<String>,
}

/// `with` of `ssh.script`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptInput {
    /// The script. Values reach it as environment variables.
    pub script: String,
    /// What runs it; the script follows as one argument, after `-c` (perl, ruby, node: `-e`).
    #[serde(default = "default_interpreter")]
    #[schemars(length(min = 1))]
    pub interpreter: Vec<String>,
    /// Working directory; absent: the one that the login gives.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Environment variables besides those of the login. The way to hand over values and secrets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What the script reads on its standard input.
    #[serde(default)]
    pub stdin: String,
    /// Exit codes that are no error.
    #[serde(default = "zero")]
    #[schemars(length(min = 1))]
    pub exit_codes: Vec<i32>,
    /// Run it as a job that survives the connection and `dr`, and is joined again by a resume.
    /// Default: yes, unless the step is pure or idempotent.
    #[serde(default)]
    pub detach: Option<bool>,
    /// The user to become through `sudo -n`; absent: what the host says.
    #[serde(default, rename = "become")]
    pub becomes: Option<String>,
}

/// `with` of `ssh.upload`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadInput {
    /// The file here.
    #[schemars(extend("x-local-file" = true))]
    pub src: String,
    /// The file there, by its full name: a folder is refused.
    pub dest: String,
    /// Permissions in octal (`0644`); absent: those of the file that is replaced, else `0644`.
    #[serde(default)]
    pub mode: Option<String>,
    /// The user to become through `sudo -n`; absent: what the host says.
    #[serde(default, rename = "become")]
    pub becomes: Option<String>,
}

/// `with` of `ssh.download`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadInput {
    /// The file there.
    pub src: String,
    /// The file here, by its full name: a folder is refused.
    pub dest: String,
    /// The user to become through `sudo -n`; absent: what the host says.
    #[serde(default, rename = "become")]
    pub becomes: Option<String>,
}

/// `result` of `ssh.upload` and `ssh.download`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transferred {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

/// Settings of the plugin `ssh`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Login name, where the host names none; absent: what `config` says, else the local user.
    #[serde(default)]
    pub user: Option<String>,
    /// TCP port, where the host names none; absent: what `config` says, else 22.
    #[serde(default)]
    pub port: Option<u16>,
    /// File of known host keys; absent: what `config` says, else `~/.ssh/known_hosts` and
    /// `/etc/ssh/ssh_known_hosts`.
    #[serde(default)]
    pub known_hosts: Option<String>,
    /// Private keys to log in with, besides the agent's; absent: what `config` says, else the usual
    /// ones under `~/.ssh`.
    #[serde(default)]
    pub identity_files: Option<Vec<String>>,
    /// File in the format of `ssh_config`; empty: none. Default: `~/.ssh/config`.
    #[serde(default)]
    pub config: Option<String>,
    /// Time for connection and login, such as `10s`. Default: 10 s.
    #[serde(default)]
    pub connect_timeout: Option<String>,
    /// After so long without a sign of the host, it is asked for one; after three without an answer
    /// the connection counts as lost. Default: 15 s.
    #[serde(default)]
    pub keepalive: Option<String>,
    /// Folder for the state of jobs, where the host names none: absolute, or beginning with `~/`.
    /// Default: `dr/jobs` under the remote user's state folder.
    #[serde(default)]
    pub job_dir: Option<String>,
}

fn zero() -> Vec<i32> {
    vec![0]
}
