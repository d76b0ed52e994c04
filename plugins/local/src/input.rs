use std::collections::BTreeMap;

use dr_plugin::job::default_interpreter;
use schemars::JsonSchema;
use serde::Deserialize;

/// `with` of `local.command`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandInput {
    /// The command and its arguments. No shell sees them: nothing needs quoting.
    #[schemars(length(min = 1), extend("x-local-file" = "first"))]
    pub argv: Vec<String>,
    /// Working directory; absent: the one that `dr` was started in.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Environment variables besides those of `dr`. The way to hand over secrets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What the command reads on its standard input.
    #[serde(default)]
    pub stdin: String,
    /// Exit codes that are no error.
    #[serde(default = "zero")]
    #[schemars(length(min = 1))]
    pub exit_codes: Vec<i32>,
    /// Run it as a job that survives `dr` and is joined again by a resume. Default: yes, unless the
    /// step is pure or idempotent.
    #[serde(default)]
    pub detach: Option<bool>,
}

/// `with` of `local.script`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptInput {
    /// The script. Values reach it as environment variables.
    pub script: String,
    /// What runs it; the script follows as one argument, after `-c` (perl, ruby, node: `-e`).
    #[serde(default = "default_interpreter")]
    #[schemars(length(min = 1))]
    pub interpreter: Vec<String>,
    /// Working directory; absent: the one that `dr` was started in.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Environment variables besides those of `dr`. The way to hand over values and secrets.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What the script reads on its standard input.
    #[serde(default)]
    pub stdin: String,
    /// Exit codes that are no error.
    #[serde(default = "zero")]
    #[schemars(length(min = 1))]
    pub exit_codes: Vec<i32>,
    /// Run it as a job that survives `dr` and is joined again by a resume. Default: yes, unless the
    /// step is pure or idempotent.
    #[serde(default)]
    pub detach: Option<bool>,
}

/// Settings of the plugin `local`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder for the state of jobs: absolute, or beginning with `~/`. Default: `dr/jobs` under the
    /// user's state folder (`$XDG_STATE_HOME`, else `~/.local/state`).
    #[serde(default)]
    pub job_dir: Option<String>,
}

fn zero() -> Vec<i32> {
    vec![0]
}
