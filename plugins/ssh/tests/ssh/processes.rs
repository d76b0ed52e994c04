//! What needs a process of its own: one that is killed, and one with another environment.

use std::process::{Child, Command, Stdio};

use dr_plugin::{Call, Checked, Context, Effect, Secrets};
use serde_json::json;

use crate::bench::{Bench, lives, pid_in, until};

/// Not a test of its own: what the tests below start.
#[tokio::test]
#[ignore = "a part of the tests beside it"]
#[expect(clippy::disallowed_methods, reason = "the call is handed over in the environment")]
async fn caller() {
    let text = std::env::var("DR_TEST_CALL").unwrap();
    let given: serde_json::Value = serde_json::from_str(&text).unwrap();
    let call = Call {
        action: "script".into(),
        input: given["input"].clone(),
        settings: given["settings"].clone(),
        host: serde_json::from_value(given["host"].clone()).unwrap(),
        secrets: Secrets::new(),
        key: serde_json::from_value(given["key"].clone()).unwrap(),
        timeout_ms: None,
        effect: Effect::Once,
    };
    dr_plugin_ssh::plugin().apply(&call, &Context::silent()).await.unwrap();
}

/// Starts another process that makes `call`.
#[expect(clippy::disallowed_methods, reason = "a test starts a process")]
fn call_elsewhere(call: &Call, variables: &[(&str, &str)]) -> Child {
    let text = json!({
        "input": call.input, "settings": call.settings, "host": call.host, "key": call.key,
    });
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::caller", "--ignored", "--quiet"])
        .env("DR_TEST_CALL", text.to_string())
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_job_outlives_its_caller() {
    let bench = Bench::new();
    let rest =
        "echo $$ >\"$PID\"; echo early; while [ ! -e \"$GO\" ]; do sleep 0.02; done; echo late";
    let call = bench.call("a", Effect::Once, bench.counted(rest));
    let mut caller = call_elsewhere(&call, &[]);
    let process = pid_in(&bench.path("pid")).await;
    caller.kill().unwrap();
    caller.wait().unwrap();
    assert!(lives(process));
    assert_eq!(bench.check(&call).await, Checked::Running);
    std::fs::write(bench.path("go"), "").unwrap();
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "early\nlate\n");
    assert_eq!(bench.count(), 1);
}

/// An agent with one key, stopped when dropped.
struct Agent {
    child: Child,
    socket: String,
}

impl Agent {
    #[expect(clippy::disallowed_methods, reason = "a test starts its agent")]
    async fn start(bench: &Bench) -> Self {
        let socket = bench.path("agent").display().to_string();
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the agent listens", || bench.path("agent").exists()).await;
        for key in ["decoy", "identity"] {
            let file = if key == "decoy" { bench.path(key) } else { bench.sshd.identity() };
            if key == "decoy" {
                let made = Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                    .arg(&file)
                    .status();
                assert!(made.unwrap().success());
            }
            let added =
                Command::new("ssh-add").arg("-q").arg(&file).env("SSH_AUTH_SOCK", &socket).status();
            assert!(added.unwrap().success());
        }
        Self { child, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_agent_s_keys_are_taken() {
    let bench = Bench::new();
    let agent = Agent::start(&bench).await;
    let mut call = bench.call("a", Effect::Once, bench.counted("true"));
    call.settings["identity_files"] = json!([]);
    let done = call_elsewhere(&call, &[("SSH_AUTH_SOCK", &agent.socket)]).wait().unwrap();
    assert!(done.success());
    // A key that is named by its public half goes first.
    std::fs::rename(bench.sshd.identity(), bench.path("elsewhere")).unwrap();
    call.settings["identity_files"] = json!([bench.sshd.identity()]);
    call.key.attempt = 2;
    let done = call_elsewhere(&call, &[("SSH_AUTH_SOCK", &agent.socket)]).wait().unwrap();
    assert!(done.success());
    assert_eq!(bench.count(), 2);
    call.key.attempt = 3;
    let done = call_elsewhere(&call, &[("SSH_AUTH_SOCK", "")]).wait().unwrap();
    assert!(!done.success());
}
