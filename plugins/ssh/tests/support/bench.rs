//! A plugin and a host to try it on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dr_plugin::{
    Call, CallError, CallKey, Cancel, CancelLevel, Context, Effect, Host, Plugin, Secrets,
};
use serde_json::{Value, json};

use crate::sshd::Sshd;

pub(crate) struct Bench {
    pub(crate) plugin: Arc<dyn Plugin>,
    pub(crate) sshd: Sshd,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With lines of configuration for its sshd.
    pub(crate) fn with(extra: &str) -> Self {
        Self {
            plugin: dr_plugin_ssh::plugin(),
            sshd: Sshd::start(extra),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn call(&self, step: &str, effect: Effect, input: Value) -> Call {
        let action = if input.get("script").is_some() { "script" } else { "command" };
        Call {
            action: action.to_owned(),
            input,
            settings: json!({
                "config": "",
                "known_hosts": self.sshd.known_hosts(),
                "identity_files": [self.sshd.identity()],
                "job_dir": self.path("jobs"),
                "connect_timeout": "10s",
            }),
            host: Some(Host {
                name: "db".into(),
                address: "127.0.0.1".into(),
                port: Some(self.sshd.port),
                user: None,
                becomes: None,
                labels: BTreeMap::new(),
                job_dir: None,
            }),
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
        self.path("jobs").join(call.key.as_token())
    }

    /// A script that counts its starts, then goes on with `rest`, which knows `$PID` and `$GO`.
    pub(crate) fn counted(&self, rest: &str) -> Value {
        json!({
            "script": format!("echo x >>\"$COUNT\"\n{rest}"),
            "env": {"COUNT": self.path("count"), "PID": self.path("pid"), "GO": self.path("go")},
        })
    }

    /// How often such scripts were started.
    pub(crate) fn count(&self) -> usize {
        std::fs::read_to_string(self.path("count")).map_or(0, |text| text.lines().count())
    }
}

/// A context whose stop the test holds.
pub(crate) fn stoppable() -> (tokio::sync::watch::Sender<CancelLevel>, Context) {
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
pub(crate) fn lives(process: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with(['Z', 'X'])))
        .unwrap_or(false)
}
