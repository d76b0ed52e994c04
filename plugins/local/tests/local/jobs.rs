use std::path::Path;

use dr_plugin::{CancelLevel, Checked, Effect, ErrorClass};
use serde_json::{Value, json};

use crate::support::{Bench, kill, lives, pid_in, stoppable, until};

/// A script that counts its starts in `$COUNT`, then goes on with `rest`.
fn counted(bench: &Bench, rest: &str) -> Value {
    json!({
        "script": format!("echo x >>\"$COUNT\"\n{rest}"),
        "env": {"COUNT": bench.path("count"), "PID": bench.path("pid"), "GO": bench.path("go")},
    })
}

fn count(bench: &Bench) -> usize {
    std::fs::read_to_string(bench.path("count")).map_or(0, |text| text.lines().count())
}

fn first_word(file: &Path) -> i32 {
    std::fs::read_to_string(file).unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_job_gives_its_result_and_is_done_once() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, counted(&bench, "echo out; echo err >&2"));
    assert_eq!(bench.check(&call).await, Checked::NotDone);
    let result = bench.apply(&call).await.unwrap();
    assert_eq!(
        (result["stdout"].as_str(), result["stderr"].as_str()),
        (Some("out\n"), Some("err\n"))
    );
    assert_eq!(bench.apply(&call).await.unwrap(), result, "the same key joins the same job");
    assert_eq!(bench.check(&call).await, Checked::Done(Some(result)));
    assert_eq!(count(&bench), 1);
    bench.plugin.forget(&call).await;
    assert_eq!(std::fs::read_dir(bench.jobs()).unwrap().count(), 0);
}

#[tokio::test]
async fn values_reach_a_job_byte_for_byte_and_unseen() {
    let bench = Bench::new();
    let nasty = "$(id) '; halt -f / \" \\ \\n \u{1}\u{81}é\n\n";
    let call = bench.call(
        "a",
        Effect::Once,
        json!({
            "argv": ["sh", "-c", "printf %s \"$1$2$A\"; cat; tr '\\0' ' ' </proc/$PPID/cmdline >&2", "-", nasty, "", ],
            "env": {"A": nasty}, "stdin": format!("{nasty}\u{0}end"),
        }),
    );
    let result = bench.apply(&call).await.unwrap();
    assert_eq!(result["stdout"], format!("{nasty}{nasty}{nasty}\u{0}end"));
    assert!(!result["stderr"].as_str().unwrap().contains("halt -f"));
}

#[tokio::test]
async fn errors_of_a_job_are_those_of_a_command() {
    let bench = Bench::new();
    for (step, input, class, code) in [
        ("a", json!({"script": "echo why >&2; exit 4"}), ErrorClass::Permanent, "exit_4"),
        ("b", json!({"script": "exit 137"}), ErrorClass::Permanent, "exit_137"),
        ("c", json!({"script": "kill -9 $$"}), ErrorClass::Unknown, "signal_9"),
        ("d", json!({"script": "kill -15 $$"}), ErrorClass::Unknown, "signal_15"),
        ("e", json!({"argv": ["/nonexistent/x"]}), ErrorClass::Permanent, "not_found"),
        ("f", json!({"argv": ["/etc/passwd"]}), ErrorClass::Permanent, "not_executable"),
        (
            "g",
            json!({"argv": ["true"], "cwd": "/nonexistent"}),
            ErrorClass::Permanent,
            "cwd_missing",
        ),
    ] {
        let call = bench.call(step, Effect::Once, input.clone());
        let error = bench.apply(&call).await.unwrap_err();
        let code =
            if code == "bad_env" && error.code == "not_started" { "not_started" } else { code };
        assert_eq!((error.class, error.code.as_str()), (class, code), "{input}");
    }
}

#[tokio::test]
async fn a_job_has_the_signals_of_any_command() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, json!({"script": "kill -INT $$; echo survived"}));
    assert_eq!(bench.apply(&call).await.unwrap_err().code, "signal_2");
}

#[tokio::test]
async fn a_lost_caller_finds_its_job_again() {
    let bench = Bench::new();
    let rest =
        "echo $$ >\"$PID\"; echo early; while [ ! -e \"$GO\" ]; do sleep 0.02; done; echo late";
    let call = bench.call("a", Effect::Once, counted(&bench, rest));
    let file = bench.path("pid");
    tokio::select! {
        _ = bench.apply(&call) => panic!("it cannot end"),
        _ = pid_in(&file) => {}
    }
    // Another process would start with a plugin of its own.
    let other = dr_plugin_local::plugin();
    let context = dr_plugin::Context::silent();
    assert_eq!(other.check(&call, &context).await.unwrap(), Checked::Running);
    std::fs::write(bench.path("go"), "").unwrap();
    assert_eq!(other.apply(&call, &context).await.unwrap()["stdout"], "early\nlate\n");
    assert_eq!(count(&bench), 1);
}

#[tokio::test]
async fn a_detached_job_goes_on() {
    let bench = Bench::new();
    let rest = "echo $$ >\"$PID\"; while [ ! -e \"$GO\" ]; do sleep 0.02; done; echo late";
    let call = bench.call("a", Effect::Once, counted(&bench, rest));
    let (stop, context) = stoppable();
    let stopping = async {
        pid_in(&bench.path("pid")).await;
        stop.send(CancelLevel::Detach).unwrap();
    };
    let (result, ()) = tokio::join!(bench.plugin.apply(&call, &context), stopping);
    assert_eq!(result.unwrap_err().code, "detached");
    assert_eq!(bench.check(&call).await, Checked::Running);
    std::fs::write(bench.path("go"), "").unwrap();
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "late\n");
    assert_eq!(count(&bench), 1);
}

#[tokio::test]
async fn a_stop_and_a_timeout_end_a_job() {
    let bench = Bench::new();
    let rest = "trap '' TERM; sleep 300 & echo $! >\"$PID\"; wait; wait";
    let mut call = bench.call("a", Effect::Once, counted(&bench, rest));
    call.timeout_ms = Some(4_000);
    let error = bench.apply(&call).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "timeout"));
    assert!(error.message.ends_with("was ended (confirmed)"), "{}", error.message);
    assert!(!lives(pid_in(&bench.path("pid")).await));
    assert!(matches!(bench.check(&call).await, Checked::CannotTell(_)));

    std::fs::remove_file(bench.path("pid")).unwrap();
    let call = bench.call("b", Effect::Once, counted(&bench, rest));
    let (stop, context) = stoppable();
    let stopping = async {
        let pid = pid_in(&bench.path("pid")).await;
        stop.send(CancelLevel::Stop).unwrap();
        pid
    };
    let (result, pid) = tokio::join!(bench.plugin.apply(&call, &context), stopping);
    let error = result.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert!(error.message.ends_with("was ended (confirmed)"), "{}", error.message);
    assert!(!lives(pid));
}

/// The instants at which a job may be cut, and what is known after each.
#[tokio::test]
async fn killed_before_the_exec_means_not_done() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, counted(&bench, "echo ran"));
    // After the claim: a folder, and nothing in it.
    std::fs::create_dir_all(bench.job(&call)).unwrap();
    assert_eq!(bench.check(&call).await, Checked::NotDone);
    assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "ran\n");

    // After the claim, with a supervisor that is gone, and one that took the claim away and died.
    for (step, turn) in [("b", None), ("c", Some("void\n"))] {
        let call = bench.call(step, Effect::Once, counted(&bench, "echo ran"));
        std::fs::create_dir_all(bench.job(&call)).unwrap();
        std::fs::write(bench.job(&call).join("owner"), "1 1 1 elsewhere\n").unwrap();
        if let Some(turn) = turn {
            std::fs::write(bench.job(&call).join("turn"), turn).unwrap();
        }
        assert_eq!(bench.check(&call).await, Checked::NotDone);
        assert_eq!(bench.apply(&call).await.unwrap()["stdout"], "ran\n");
    }
    assert_eq!(count(&bench), 3);
}

#[tokio::test]
async fn killed_after_the_exec_means_unknown() {
    let bench = Bench::new();
    let rest = "echo $$ >\"$PID\"; exec sleep 300";
    let call = bench.call("a", Effect::Once, counted(&bench, rest));
    let file = bench.path("pid");
    let pid = tokio::select! {
        _ = bench.apply(&call) => panic!("it cannot end"),
        pid = pid_in(&file) => pid,
    };
    // Without its supervisor the command is still seen running; without both nobody can tell.
    kill(first_word(&bench.job(&call).join("owner")));
    assert_eq!(bench.check(&call).await, Checked::Running);
    kill(pid);
    until("the command is gone", || !lives(pid)).await;
    assert!(matches!(bench.check(&call).await, Checked::CannotTell(_)));
    let error = bench.apply(&call).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "job_vanished"));
    assert_eq!(count(&bench), 1);
}

#[tokio::test]
async fn a_record_that_was_not_renamed_does_not_count() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, counted(&bench, "true"));
    bench.apply(&call).await.unwrap();
    let job = bench.job(&call);
    std::fs::rename(job.join("rc"), job.join("rc.tmp")).unwrap();
    until("its supervisor is gone", || !lives(first_word(&job.join("owner")))).await;
    assert!(matches!(bench.check(&call).await, Checked::CannotTell(_)));
    assert_eq!(count(&bench), 1);
}

#[tokio::test]
async fn after_a_reboot_nobody_can_tell() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, counted(&bench, "true"));
    bench.apply(&call).await.unwrap();
    let job = bench.job(&call);
    std::fs::remove_file(job.join("rc")).unwrap();
    for file in ["owner", "proc"] {
        let text = std::fs::read_to_string(job.join(file)).unwrap();
        let (rest, _) = text.rsplit_once(' ').unwrap();
        std::fs::write(job.join(file), format!("{rest} another-boot\n")).unwrap();
    }
    match bench.check(&call).await {
        Checked::CannotTell(why) => assert!(why.contains("started again"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.apply(&call).await.unwrap_err().code, "host_rebooted");
    assert_eq!(count(&bench), 1);
}

#[tokio::test]
async fn many_callers_of_one_key_share_one_job() {
    let bench = Bench::new();
    let call = bench.call("a", Effect::Once, counted(&bench, "sleep 0.1; echo ran"));
    let all = tokio::join!(
        bench.apply(&call),
        bench.apply(&call),
        bench.apply(&call),
        bench.apply(&call),
        bench.apply(&call),
    );
    for result in [all.0, all.1, all.2, all.3, all.4] {
        assert_eq!(result.unwrap()["stdout"], "ran\n");
    }
    assert_eq!(count(&bench), 1);
}

#[tokio::test]
async fn a_job_folder_of_another_kind_is_refused() {
    let bench = Bench::new();
    std::fs::write(bench.jobs(), "a file").unwrap();
    let call = bench.call("a", Effect::Once, json!({"argv": ["true"]}));
    assert_eq!(bench.apply(&call).await.unwrap_err().code, "job_dir");
    let mut call = bench.call("a", Effect::Once, json!({"argv": ["true"]}));
    call.settings = json!({"job_dir": "relative"});
    assert_eq!(bench.apply(&call).await.unwrap_err().code, "bad_input");
}

#[tokio::test]
async fn the_job_folder_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let call = bench.call(
        "a",
        Effect::Once,
        json!({"script": "umask; echo x >\"$F\"", "env": {"F": bench.path("made")}}),
    );
    bench.apply(&call).await.unwrap();
    for folder in [bench.jobs(), bench.job(&call)] {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let file = std::fs::metadata(bench.job(&call).join("out")).unwrap();
    assert_eq!(file.permissions().mode() & 0o077, 0);
}

#[tokio::test]
async fn a_long_output_is_read_to_its_end() {
    let bench = Bench::new();
    let script = "i=0; while [ $i -lt 100 ]; do printf '%065535d\\n' 0; i=$((i + 1)); done; echo last >&2; exit 5";
    let call = bench.call("a", Effect::Once, json!({"script": script, "exit_codes": [5]}));
    let result = bench.apply(&call).await.unwrap();
    assert_eq!(result["stdout"].as_str().unwrap().len(), 1024 * 1024);
    assert_eq!((&result["truncated"], &result["stderr"]), (&json!(true), &json!("last\n")));
}
