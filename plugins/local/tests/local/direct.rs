use dr_plugin::{CancelLevel, Effect, ErrorClass};
use serde_json::json;

use crate::support::{Bench, lives, pid_in, stoppable};

#[tokio::test]
async fn a_command_gives_its_result() {
    let bench = Bench::new();
    let call = bench.call(
        "a",
        Effect::Pure,
        json!({
            "argv": ["sh", "-c", "cat; echo \"$A\"; pwd; echo oops >&2; exit 3"],
            "env": {"A": "x y"}, "stdin": "fed\n", "cwd": "/", "exit_codes": [0, 3],
        }),
    );
    let result = bench.apply(&call).await.unwrap();
    assert_eq!(result["stdout"], "fed\nx y\n/\n");
    assert_eq!(result["stderr"], "oops\n");
    assert_eq!(result["exit_code"], 3);
    assert_eq!(result["truncated"], false);
    assert!(!bench.jobs().exists(), "what may be repeated needs no job");
}

#[tokio::test]
async fn errors_tell_what_is_known() {
    let bench = Bench::new();
    let plain = bench.path("plain");
    std::fs::write(&plain, "no program").unwrap();
    for (input, class, code) in [
        (json!({"argv": ["sh", "-c", "echo why >&2; exit 4"]}), ErrorClass::Permanent, "exit_4"),
        (json!({"argv": ["sh", "-c", "kill -9 $$"]}), ErrorClass::Unknown, "signal_9"),
        (json!({"argv": ["/nonexistent/x"]}), ErrorClass::Permanent, "not_found"),
        (json!({"argv": [plain]}), ErrorClass::Permanent, "not_executable"),
        (json!({"argv": ["true"], "cwd": "/nonexistent"}), ErrorClass::Permanent, "cwd_missing"),
        (json!({"argv": []}), ErrorClass::Permanent, "bad_input"),
        (json!({"argv": ["a\u{0}b"]}), ErrorClass::Permanent, "bad_input"),
        (json!({"argv": ["true"], "typo": 1}), ErrorClass::Permanent, "bad_input"),
        (
            json!({"argv": ["echo", {"$text": [{"$secret": "pw"}]}]}),
            ErrorClass::Permanent,
            "secret_in_argv",
        ),
    ] {
        let error =
            bench.apply(&bench.call("a", Effect::Idempotent, input.clone())).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (class, code), "{input}");
    }
    let call =
        bench.call("a", Effect::Pure, json!({"script": "echo one >&2; echo two >&2; false"}));
    assert_eq!(bench.apply(&call).await.unwrap_err().causes, ["one", "two"]);
}

#[tokio::test]
async fn a_flood_is_cut_and_said_to_be() {
    let bench = Bench::new();
    let script = "i=0; while [ $i -lt 40 ]; do printf '%065536d' 0; printf '%065536d' 0 >&2; i=$((i + 1)); done";
    let result = bench.apply(&bench.call("a", Effect::Pure, json!({"script": script}))).await;
    let result = result.unwrap();
    assert_eq!(result["truncated"], true);
    assert_eq!(result["stdout"].as_str().unwrap().len(), 1024 * 1024);
    assert_eq!(result["stderr"].as_str().unwrap().len(), 1024 * 1024);
}

#[tokio::test]
async fn what_stays_in_the_background_does_not_hold_the_call() {
    let bench = Bench::new();
    let file = bench.path("pid");
    let script = "sleep 300 & echo $! >\"$FILE\"; echo done";
    let call =
        bench.call("a", Effect::Idempotent, json!({"script": script, "env": {"FILE": file}}));
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "done\n");
    let pid = pid_in(&file).await;
    assert!(lives(pid), "a service started by a command goes on");
    crate::support::kill(pid);
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group() {
    let bench = Bench::new();
    let file = bench.path("pid");
    // The shell ignores TERM: only KILL ends it and its child.
    let script = "trap '' TERM; sleep 300 & echo $! >\"$FILE\"; wait";
    let mut call =
        bench.call("a", Effect::Idempotent, json!({"script": script, "env": {"FILE": file}}));
    call.timeout_ms = Some(3_000);
    let error = bench.apply(&call).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "timeout"));
    assert!(error.message.ends_with("was ended (confirmed)"), "{}", error.message);
    assert!(!lives(pid_in(&file).await));
}

#[tokio::test]
async fn a_stop_ends_the_whole_group() {
    for level in [CancelLevel::Stop, CancelLevel::Detach] {
        let bench = Bench::new();
        let file = bench.path("pid");
        let script = "sleep 300 & echo $! >\"$FILE\"; wait";
        let call =
            bench.call("a", Effect::Idempotent, json!({"script": script, "env": {"FILE": file}}));
        let (stop, context) = stoppable();
        let stopping = async {
            let pid = pid_in(&file).await;
            stop.send(level).unwrap();
            pid
        };
        let (result, pid) = tokio::join!(bench.plugin.apply(&call, &context), stopping);
        let error = result.unwrap_err();
        assert_eq!(error.class, ErrorClass::Cancelled);
        assert!(error.message.ends_with("was ended (confirmed)"), "{}", error.message);
        assert!(!lives(pid));
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing() {
    let bench = Bench::new();
    let file = bench.path("pid");
    let script = "echo $$ >\"$FILE\"; exec sleep 300";
    let call =
        bench.call("a", Effect::Idempotent, json!({"script": script, "env": {"FILE": file}}));
    let pid = tokio::select! {
        _ = bench.apply(&call) => panic!("it cannot end"),
        pid = pid_in(&file) => pid,
    };
    crate::support::until("the group is gone", || !lives(pid)).await;
}
