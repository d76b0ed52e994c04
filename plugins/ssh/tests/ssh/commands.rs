use dr_plugin::{CancelLevel, Effect, ErrorClass};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::bench::{Bench, lives, pid_in, stoppable, until};

/// Prints its arguments and `$A`, each in brackets and with its bytes as they are.
const PRINT: &str = "for word do printf '[%s]' \"$word\"; done; printf '[%s]' \"$A\"; cat";

#[tokio::test]
async fn a_command_gives_its_result() {
    let bench = Bench::new();
    for effect in [Effect::Pure, Effect::Once] {
        let call = bench.call(
            "a",
            effect,
            json!({
                "argv": ["sh", "-c", "cat; echo \"$A\"; pwd; echo oops >&2; exit 3"],
                "env": {"A": "x y"}, "stdin": "fed\n", "cwd": "/", "exit_codes": [0, 3],
            }),
        );
        let result = bench.apply(&call).await.unwrap();
        assert_eq!(result["stdout"], "fed\nx y\n/\n", "{effect}");
        assert_eq!(result["stderr"], "oops\n");
        assert_eq!(result["exit_code"], 3);
        assert_eq!(result["truncated"], false);
    }
    bench.plugin.close().await;
    until("the connections are closed", || bench.sshd.sessions().is_empty()).await;
}

#[tokio::test]
async fn arguments_arrive_byte_for_byte() {
    let bench = Bench::new();
    let mut words: Vec<String> = [
        "",
        " ",
        "-rf",
        "--",
        "$(id)",
        "`id`",
        "'; id; '",
        "\"",
        "\\",
        "\\n",
        "\n",
        "a\n\n",
        "*",
        "~",
        "!",
        "$HOME",
        "&",
        "|",
        "\u{1e}dr-job/1 x end 0\n",
        "\u{1}\u{7f}\u{81}\u{88}",
        "grün 東京 🦀",
        "%s%b\\0101",
        "#",
        "a=b",
        "\r\n\t",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut runner = TestRunner::deterministic();
    let any = proptest::collection::vec(
        prop_oneof![
            proptest::char::any(),
            proptest::sample::select(vec!['\'', '"', '\\', '$', '`', '\n', '!', ' ', '-']),
        ],
        0..24,
    );
    for _ in 0..40 {
        let text: String = any.new_tree(&mut runner).unwrap().current().into_iter().collect();
        words.push(text.replace('\0', ""));
    }
    for (step, effect) in [("a", Effect::Idempotent), ("b", Effect::Once)] {
        for (index, words) in words.chunks(16).enumerate() {
            let env = words.last().unwrap();
            let mut argv = vec!["sh".to_owned(), "-c".to_owned(), PRINT.to_owned(), "-".to_owned()];
            argv.extend_from_slice(words);
            let call = bench.call(
                &format!("{step}{index}"),
                effect,
                json!({"argv": argv, "env": {"A": env}, "stdin": env}),
            );
            let result = bench.apply(&call).await.unwrap();
            let words: Vec<&str> = words.iter().chain([env]).map(String::as_str).collect();
            let expected = format!("[{}]", words.join("]["));
            assert_eq!(result["stdout"].as_str().unwrap(), format!("{expected}{env}"));
        }
    }
}

#[tokio::test]
async fn nothing_secret_is_in_the_list_of_processes() {
    let bench = Bench::new();
    for (effect, detach) in [(Effect::Once, true), (Effect::Once, false)] {
        let script = "cat >/dev/null; for p in /proc/[0-9]*; do { tr '\\0' ' ' <$p/cmdline; } 2>/dev/null || :; echo; done";
        let call = bench.call(
            if detach { "a" } else { "b" },
            effect,
            json!({"script": script, "env": {"A": "very-secret-1"}, "stdin": "very-secret-2", "detach": detach}),
        );
        let listed = bench.apply(&call).await.unwrap();
        let listed = listed["stdout"].as_str().unwrap();
        assert!(listed.contains("sshd"), "{listed}");
        assert!(!listed.contains("very-secret"), "{listed}");
    }
}

#[tokio::test]
async fn errors_tell_what_is_known() {
    let bench = Bench::new();
    for effect in [Effect::Idempotent, Effect::Once] {
        for (step, input, class, code) in [
            ("a", json!({"script": "echo why >&2; exit 4"}), ErrorClass::Permanent, "exit_4"),
            ("b", json!({"script": "exit 255"}), ErrorClass::Permanent, "exit_255"),
            ("c", json!({"script": "kill -9 $$"}), ErrorClass::Unknown, "signal_9"),
            ("d", json!({"argv": ["/nonexistent/x"]}), ErrorClass::Permanent, "not_found"),
            ("e", json!({"argv": ["/etc/passwd"]}), ErrorClass::Permanent, "not_executable"),
            (
                "f",
                json!({"argv": ["true"], "cwd": "/nonexistent"}),
                ErrorClass::Permanent,
                "cwd_missing",
            ),
            ("g", json!({"argv": ["a\u{0}"]}), ErrorClass::Permanent, "bad_input"),
        ] {
            let call = bench.call(step, effect, input.clone());
            let error = bench.apply(&call).await.unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (class, code), "{effect} {input}");
        }
    }
    let call =
        bench.call("h", Effect::Pure, json!({"script": "echo one >&2; echo two >&2; false"}));
    assert_eq!(bench.apply(&call).await.unwrap_err().causes, ["one", "two"]);
}

#[tokio::test]
async fn a_flood_on_either_stream_does_not_stop_the_other() {
    let bench = Bench::new();
    // More than any window, first on the stream that is read second.
    let script =
        "i=0; while [ $i -lt 80 ]; do printf '%065536d' 0 >&2; i=$((i + 1)); done; echo end";
    for (effect, step) in [(Effect::Pure, "a"), (Effect::Once, "b")] {
        let call = bench.call(step, effect, json!({"script": script}));
        let result = bench.apply(&call).await.unwrap();
        assert_eq!(result["stdout"], "end\n");
        assert_eq!(result["stderr"].as_str().unwrap().len(), 1024 * 1024);
        assert_eq!(result["truncated"], true);
    }
}

#[tokio::test]
async fn what_stays_in_the_background_does_not_hold_the_call() {
    let bench = Bench::new();
    let script = "sleep 300 & echo $! >\"$PID\"; echo done";
    let file = bench.path("pid");
    for effect in [Effect::Idempotent, Effect::Once] {
        let call = bench.call("a", effect, json!({"script": script, "env": {"PID": file}}));
        assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "done\n");
        let process = pid_in(&file).await;
        assert!(lives(process), "a service started by a command goes on");
        crate::sshd::kill(process);
    }
}

#[tokio::test]
async fn a_timeout_ends_the_remote_group() {
    let bench = Bench::new();
    let file = bench.path("pid");
    for effect in [Effect::Idempotent, Effect::Once] {
        let script = "trap '' TERM; sleep 300 & echo $! >\"$PID\"; wait; wait";
        let mut said = String::new();
        // A host that is slow to answer leaves the end unconfirmed, and that is said; what is said
        // to be confirmed must be so.
        for attempt in 1..=5 {
            let _ = std::fs::remove_file(&file);
            let mut call = bench.call("a", effect, json!({"script": script, "env": {"PID": file}}));
            call.key.attempt = attempt;
            call.timeout_ms = Some(4_000);
            let error = bench.apply(&call).await.unwrap_err();
            assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "timeout"));
            said = error.message;
            let process = pid_in(&file).await;
            if said.ends_with("was ended (confirmed)") {
                assert!(!lives(process));
                break;
            }
            assert!(said.ends_with("is not confirmed"), "{said}");
            crate::sshd::kill(process);
        }
        assert!(said.ends_with("was ended (confirmed)"), "{said}");
    }
}

#[tokio::test]
async fn a_stop_ends_the_remote_group() {
    let bench = Bench::new();
    let file = bench.path("pid");
    for effect in [Effect::Idempotent, Effect::Once] {
        let _ = std::fs::remove_file(&file);
        let script = "sleep 300 & echo $! >\"$PID\"; wait";
        let call = bench.call("a", effect, json!({"script": script, "env": {"PID": file}}));
        let (stop, context) = stoppable();
        let stopping = async {
            let process = pid_in(&file).await;
            stop.send(CancelLevel::Stop).unwrap();
            process
        };
        let (result, process) = tokio::join!(bench.plugin.apply(&call, &context), stopping);
        let error = result.unwrap_err();
        assert_eq!(error.class, ErrorClass::Cancelled);
        assert!(error.message.ends_with("was ended (confirmed)"), "{}", error.message);
        assert!(!lives(process));
    }
}

#[tokio::test]
async fn a_dropped_connection_makes_a_plain_command_unknown() {
    let bench = Bench::new();
    let file = bench.path("pid");
    let script = "echo $$ >\"$PID\"; exec sleep 300";
    let call = bench.call("a", Effect::Idempotent, json!({"script": script, "env": {"PID": file}}));
    let dropping = async {
        let process = pid_in(&file).await;
        bench.sshd.drop_connections();
        process
    };
    let (result, process) = tokio::join!(bench.apply(&call), dropping);
    let error = result.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "connection_lost"));
    crate::sshd::kill(process);
    let call = bench.call("b", Effect::Idempotent, json!({"argv": ["echo", "again"]}));
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "again\n", "a new connection is made");
}

#[tokio::test]
async fn many_commands_share_what_the_host_allows() {
    let bench = Bench::with("MaxStartups 3:50:6\nMaxSessions 2");
    let calls: Vec<_> = (0..24)
        .map(|index| {
            bench.call(
                &format!("s{index}"),
                Effect::Idempotent,
                json!({"argv": ["echo", index.to_string()]}),
            )
        })
        .collect();
    let mut all = tokio::task::JoinSet::new();
    for (index, call) in calls.into_iter().enumerate() {
        let plugin = bench.plugin.clone();
        all.spawn(async move {
            let result = plugin.apply(&call, &dr_plugin::Context::silent()).await.unwrap();
            assert_eq!(result["stdout"], format!("{index}\n"));
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn login_shells_of_other_families_are_no_hindrance() {
    for shell in ["/bin/dash", "/bin/bash", "/usr/bin/tcsh", "/usr/bin/fish", "/bin/busybox sh"] {
        if !std::path::Path::new(shell.split(' ').next().unwrap()).exists() {
            continue;
        }
        let bench = Bench::with(&format!("ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""));
        let nasty = "it's! $(id) \\ `x`\n";
        for (effect, step) in [(Effect::Pure, "a"), (Effect::Once, "b")] {
            let argv = ["sh", "-c", "printf %s \"$1$A\"; cat", "-", nasty];
            let input = json!({"argv": argv, "env": {"A": nasty}, "stdin": nasty});
            let result = bench.apply(&bench.call(step, effect, input)).await.unwrap();
            assert_eq!(result["stdout"], nasty.repeat(3), "{shell}");
        }
    }
}

#[tokio::test]
async fn what_a_login_prints_is_not_the_command_s() {
    let bench = Bench::with(
        "ForceCommand printf 'Welcome!\\n'; printf 'noise\\n' >&2; eval \"$SSH_ORIGINAL_COMMAND\"",
    );
    for (effect, step) in [(Effect::Pure, "a"), (Effect::Once, "b")] {
        let call = bench.call(step, effect, json!({"argv": ["echo", "mine"]}));
        let result = bench.apply(&call).await.unwrap();
        assert_eq!(
            (result["stdout"].as_str(), result["stderr"].as_str()),
            (Some("mine\n"), Some(""))
        );
    }
}

#[tokio::test]
async fn a_host_that_runs_no_commands_says_so() {
    let bench = Bench::with("ForceCommand echo 'This account is closed.'; exit 1");
    for effect in [Effect::Idempotent, Effect::Once] {
        let call = bench.call("a", effect, json!({"argv": ["true"]}));
        let error = bench.apply(&call).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Denied, "no_shell"));
        assert_eq!(error.causes, ["This account is closed."]);
    }
}

#[tokio::test]
async fn another_user_is_become() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let bench = Bench::new();
    let jobs = bench.path("others");
    std::fs::create_dir(&jobs).unwrap();
    for folder in [bench.path(""), jobs.clone()] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::chown(&jobs, Some(65534), Some(65534)).unwrap();
    for (effect, step) in [(Effect::Pure, "a"), (Effect::Once, "b")] {
        let mut call = bench.call(step, effect, json!({"argv": ["id", "-u"], "become": "nobody"}));
        call.settings["job_dir"] = json!(jobs);
        assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "65534\n");
        bench.plugin.forget(&call).await;
        call.input["become"] = json!("no-such-user");
        let error = bench.apply(&call).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Denied, "become_refused"));
        call.input["become"] = json!("-u root");
        assert_eq!(bench.apply(&call).await.unwrap_err().code, "bad_input");
    }
}
