use dr_plugin::{CancelLevel, Checked, Context, Effect, ErrorClass};
use serde_json::json;

use crate::bench::{Bench, lives, pid_in, stoppable, until};

/// Writes its process id, then waits for `$GO`.
const WAIT: &str =
    "echo $$ >\"$PID\"; echo early; while [ ! -e \"$GO\" ]; do sleep 0.02; done; echo late";

#[tokio::test]
async fn a_job_is_done_once_whoever_asks() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted("echo out"));
    assert_eq!(bench.check(&call).await, Checked::NotDone);
    let result = bench.apply(&call).await.unwrap();
    assert_eq!(bench.apply(&call).await.unwrap(), result);
    assert_eq!(bench.check(&call).await, Checked::Done(Some(result)));
    assert_eq!(bench.count(), 1);
    bench.plugin.forget(&call).await;
    assert!(!bench.job(&call).exists());
    let failing = bench.call("b", Effect::Once, json!({"script": "exit 9"}));
    assert_eq!(bench.apply(&failing).await.unwrap_err().code, "exit_9");
    assert_eq!(bench.check(&failing).await, Checked::Running, "who joins it is told the error");
    assert_eq!(bench.apply(&failing).await.unwrap_err().code, "exit_9");
}

#[tokio::test]
async fn a_job_outlives_its_connection() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted(WAIT));
    let dropping = async {
        let process = pid_in(&bench.path("pid")).await;
        for _ in 0..3 {
            until("it is connected", || !bench.sshd.sessions().is_empty()).await;
            bench.sshd.drop_connections();
        }
        assert!(lives(process));
        std::fs::write(bench.path("go"), "").unwrap();
    };
    let (result, ()) = tokio::join!(bench.apply(&call), dropping);
    assert_eq!(result.unwrap()["stdout"], "early\nlate\n");
    assert_eq!(bench.count(), 1);
}

#[tokio::test]
async fn a_launch_whose_answer_is_lost_happens_once() {
    let bench = Bench::new();
    for round in 0..8 {
        let call = bench.call(&format!("s{round}"), Effect::Once, bench.counted("echo ran"));
        let dropping = async {
            // At any point of the connection's life.
            tokio::time::sleep(std::time::Duration::from_millis(15 * round)).await;
            bench.sshd.drop_connections();
        };
        let (result, ()) = tokio::join!(bench.apply(&call), dropping);
        match result {
            Ok(result) => assert_eq!(result["stdout"], "ran\n"),
            // Cut before the login: nothing was sent.
            Err(error) => {
                assert_eq!(
                    (error.class, error.code.as_str()),
                    (ErrorClass::Transient, "unreachable")
                );
                assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "ran\n");
            }
        }
        assert_eq!(bench.count(), usize::try_from(round).unwrap() + 1);
    }
}

/// Not a test of its own: what a test below starts in order to kill it.
#[tokio::test]
#[ignore = "a part of `a_job_outlives_its_caller`"]
#[expect(clippy::disallowed_methods, reason = "the test hands its call over in the environment")]
async fn caller() {
    let text = std::env::var("DR_TEST_CALL").unwrap();
    let given: serde_json::Value = serde_json::from_str(&text).unwrap();
    let call = dr_plugin::Call {
        action: "script".into(),
        input: given["input"].clone(),
        settings: given["settings"].clone(),
        host: serde_json::from_value(given["host"].clone()).unwrap(),
        secrets: dr_plugin::Secrets::new(),
        key: serde_json::from_value(given["key"].clone()).unwrap(),
        timeout_ms: None,
        effect: Effect::Once,
    };
    let _ = dr_plugin_ssh::plugin().apply(&call, &Context::silent()).await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test starts a process to kill it")]
async fn a_job_outlives_its_caller() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted(WAIT));
    let text = json!({
        "input": call.input, "settings": call.settings, "host": call.host, "key": call.key,
    });
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jobs::caller", "--ignored", "--quiet"])
        .env("DR_TEST_CALL", text.to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let process = pid_in(&bench.path("pid")).await;
    caller.kill().unwrap();
    caller.wait().unwrap();
    assert!(lives(process));
    assert_eq!(bench.check(&call).await, Checked::Running);
    std::fs::write(bench.path("go"), "").unwrap();
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "early\nlate\n");
    assert_eq!(bench.count(), 1);
}

#[tokio::test]
async fn a_detached_job_goes_on() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted(WAIT));
    let (stop, context) = stoppable();
    let stopping = async {
        pid_in(&bench.path("pid")).await;
        stop.send(CancelLevel::Detach).unwrap();
    };
    let (result, ()) = tokio::join!(bench.plugin.apply(&call, &context), stopping);
    assert_eq!(result.unwrap_err().code, "detached");
    std::fs::write(bench.path("go"), "").unwrap();
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "early\nlate\n");
    assert_eq!(bench.count(), 1);
}

#[tokio::test]
async fn after_a_reboot_nobody_can_tell() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, bench.counted("true"));
    bench.apply(&call).await.unwrap();
    let job = bench.job(&call);
    std::fs::remove_file(job.join("rc")).unwrap();
    for file in ["owner", "proc"] {
        let text = std::fs::read_to_string(job.join(file)).unwrap();
        let (rest, _) = text.rsplit_once(' ').unwrap();
        std::fs::write(job.join(file), format!("{rest} another-boot\n")).unwrap();
    }
    assert!(matches!(bench.check(&call).await, Checked::CannotTell(_)));
    assert_eq!(bench.apply(&call).await.unwrap_err().code, "host_rebooted");
    assert_eq!(bench.count(), 1);
}

#[tokio::test]
async fn a_joined_job_on_a_host_that_is_gone_is_not_taken_for_undone() {
    let mut bench = Bench::new();
    let mut call = bench.call("a", Effect::Once, bench.counted(WAIT));
    let file = bench.path("pid");
    let process = tokio::select! {
        _ = bench.apply(&call) => panic!("it cannot end"),
        process = pid_in(&file) => process,
    };
    bench.plugin = dr_plugin_ssh::plugin();
    assert_eq!(bench.check(&call).await, Checked::Running);
    bench.plugin.close().await;
    // Nobody listens there.
    call.host.as_mut().unwrap().port = Some(1);
    call.timeout_ms = Some(500);
    let error = bench.apply(&call).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unknown, "{error:?}");
    std::fs::write(bench.path("go"), "").unwrap();
    until("the job is over", || !lives(process)).await;
}
