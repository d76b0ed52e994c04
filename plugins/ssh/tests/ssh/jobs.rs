use dr_plugin::{CancelLevel, Checked, Effect, ErrorClass};
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

#[tokio::test]
async fn a_silent_connection_is_given_up_for_a_new_one() {
    let bench = Bench::new();
    let mut call = bench.call("a", Effect::Once, bench.counted(WAIT));
    call.settings["keepalive"] = json!("1s");
    let silencing = async {
        pid_in(&bench.path("pid")).await;
        until("it is connected", || !bench.sshd.sessions().is_empty()).await;
        bench.sshd.freeze_connections();
        std::fs::write(bench.path("go"), "").unwrap();
    };
    let (result, ()) = tokio::join!(bench.apply(&call), silencing);
    assert_eq!(result.unwrap()["stdout"], "early\nlate\n");
    assert_eq!(bench.count(), 1);
}
