use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dr_plugin::{Call, CallError, CallKey, Cancel, Context, Effect, Plugin, Secrets};
use serde_json::{Value, json};

/// A plugin, a folder for its jobs, and a folder to leave traces in.
pub(crate) struct Bench {
    pub(crate) plugin: Arc<dyn Plugin>,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { plugin: dr_plugin_local::plugin(), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn jobs(&self) -> PathBuf {
        self.path("jobs")
    }

    pub(crate) fn call(&self, step: &str, effect: Effect, input: Value) -> Call {
        let action = if input.get("script").is_some() { "script" } else { "command" };
        Call {
            action: action.to_owned(),
            input,
            settings: json!({"job_dir": self.jobs()}),
            host: None,
            secrets: Secrets::new(),
            key: CallKey {
                run: "r1".into(),
                step: step.into(),
                purpose: "apply".into(),
                attempt: 1,
            },
            timeout_ms: None,
            effect,
        }
    }

    pub(crate) async fn apply(&self, call: &Call) -> Result<Value, CallError> {
        self.plugin.apply(call, &Context::silent()).await
    }

    pub(crate) async fn check(&self, call: &Call) -> dr_plugin::Checked {
        self.plugin.check(call, &Context::silent()).await.unwrap()
    }

    /// The job's own folder.
    pub(crate) fn job(&self, call: &Call) -> PathBuf {
        self.jobs().join(call.key.as_token())
    }
}

/// A context whose stop the test holds.
pub(crate) fn stoppable() -> (tokio::sync::watch::Sender<dr_plugin::CancelLevel>, Context) {
    let (sender, cancel) = Cancel::new();
    (sender, Context { cancel, ..Context::silent() })
}

/// Waits until `condition` holds; panics when it does not within a time that only a hang exceeds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

/// The process id that a command wrote to `file`.
pub(crate) async fn pid_in(file: &Path) -> i32 {
    until("the command wrote its process id", || {
        std::fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'))
    })
    .await;
    std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

/// Whether a process is alive and not just uncollected.
pub(crate) fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Sends KILL to one process.
pub(crate) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}
