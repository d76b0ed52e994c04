//! Terminals that are typed at, that go away, that nobody reads, and that were never there.

use std::fs;
use std::process::{Command, Stdio};

use dr_testkit::{Dr, eventually};
use rustix::process::Signal;

use crate::dr;

const SLOW: &str = "runbook: slow
steps:
  - { id: first, needs: [], uses: local.script, effect: idempotent, timeout: 80s, with: { script: 'touch started; while [ ! -e go ]; do echo waiting; sleep 0.05; done' } }
  - { id: second, needs: [first], uses: local.script, effect: idempotent, timeout: 80s, with: { script: 'touch second.txt' } }
";

fn slow() -> Dr {
    dr().runbook(SLOW)
}

fn is_there(dr: &Dr, file: &str) {
    eventually(file, || dr.path(file).exists().then_some(()));
}

fn go(dr: &Dr) {
    fs::write(dr.path("go"), "").unwrap();
}

/// Waits until the last run has ended with this verdict.
fn ended(dr: &Dr, verdict: &str) {
    let journal = dr.last_run().join("journal.jsonl");
    let close = format!("\"verdict\":\"{verdict}\"");
    eventually("the run is over", || {
        fs::read_to_string(&journal).unwrap().contains(&close).then_some(())
    });
}

#[test]
fn one_ctrl_c_lets_running_steps_finish() {
    let dr = slow();
    let mut run = dr.args(["execute", "runbook.yaml"]).on_terminal();
    is_there(&dr, "started");
    run.types("\u{3}");
    run.shows("lets running steps finish");
    go(&dr);
    let ended = run.finish().code(5);
    assert!(ended.stdout.contains("dr resume"), "{ended}");
    assert!(!dr.path("second.txt").exists());
    dr.args(["resume", "last"]).run().code(0);
}

#[test]
fn a_second_ctrl_c_stops_them() {
    let dr = slow();
    let mut run = dr.args(["execute", "runbook.yaml"]).on_terminal();
    is_there(&dr, "started");
    run.types("\u{3}");
    run.shows("lets running steps finish");
    run.types("\u{3}");
    run.shows("stops running steps now");
    run.finish().code(5);
    go(&dr);
    dr.args(["resume", "last"]).run().code(0);
    is_there(&dr, "second.txt");
}

#[test]
fn a_run_whose_terminal_is_gone_goes_on_and_can_be_watched() {
    let dr = slow();
    let run = dr.args(["execute", "runbook.yaml"]).on_terminal();
    is_there(&dr, "started");
    run.kill();
    // From another terminal, all of it is seen, what was before as well.
    let watch = dr.args(["watch", "last", "--format", "lines"]).spawn();
    watch.says("slow in default");
    go(&dr);
    let seen = watch.finish().code(0);
    for part in ["step first: succeeded", "step second: succeeded"] {
        assert!(seen.stderr.contains(part), "{part}\n{seen}");
    }
    ended(&dr, "succeeded");
    let kept = dr.last_run().join("run.log");
    eventually("the summary is kept", || {
        let kept = fs::read_to_string(&kept).unwrap_or_default();
        (kept.contains("step second: succeeded") && kept.contains("succeeded after")).then_some(())
    });
}

#[test]
fn a_hang_up_ends_nothing() {
    let dr = slow();
    let run = dr.args(["execute", "runbook.yaml", "--format", "lines"]).spawn();
    is_there(&dr, "started");
    run.signal(Signal::HUP);
    run.says("the run goes on");
    go(&dr);
    run.finish().code(0);
}

#[test]
fn a_run_that_nobody_reads_goes_on() {
    let dr = slow();
    // The reader goes away after the first line.
    let run = dr.args(["execute", "runbook.yaml", "--format", "json"]).reader_leaves();
    is_there(&dr, "started");
    go(&dr);
    let ended = run.finish().code(0).says("nobody takes the output any more");
    assert!(dr.path("second.txt").exists(), "{ended}");
    let kept = fs::read_to_string(dr.last_run().join("run.log")).unwrap();
    assert!(kept.contains("step second: succeeded"), "{kept}");
}

#[test]
fn output_that_is_followed_ends_with_its_reader() {
    let dr = slow();
    let run = dr.args(["execute", "runbook.yaml", "--format", "lines"]).spawn();
    is_there(&dr, "started");
    dr.args(["logs", "last", "-f"]).reader_leaves().finish().code(0);
    dr.args(["show", "last"]).run().code(0).prints("running after");
    go(&dr);
    run.finish().code(0);
}

#[test]
fn a_run_is_handed_over_to_itself() {
    let dr = slow();
    let started = dr.args(["execute", "runbook.yaml", "--detach"]).run().code(0);
    for part in ["goes on by itself", "dr watch", "dr cancel", "run.log"] {
        assert!(started.stdout.contains(part), "{part}\n{started}");
    }
    is_there(&dr, "started");
    dr.args(["execute", "runbook.yaml", "--detach"]).run().code(9).says("is locked by run");
    dr.args(["show", "last"]).run().code(0).prints("running after");
    go(&dr);
    dr.args(["watch", "last"]).run().code(0);
    let kept = dr.last_run().join("run.log");
    eventually("the summary is kept", || {
        fs::read_to_string(&kept).unwrap_or_default().contains("succeeded after").then_some(())
    });

    // What is wrong is said at once, with its exit code.
    let bad = dr.file("bad.yaml", "runbook: bad\nsteps: []\nx: 1\n");
    bad.args(["execute", "bad.yaml", "--detach"]).run().code(3);
    bad.args(["execute", "runbook.yaml", "--detach", "--format", "json"]).run().code(2);
    bad.args(["resume", "last", "--detach"]).run().code(2).says("the run is over");
}

#[test]
fn a_result_that_nobody_reads_is_no_error() {
    let dr = slow();
    let program = env!("CARGO_BIN_EXE_dr");
    let script = format!("'{program}' plan runbook.yaml --format json | head -c 1 >/dev/null");
    let ended = Command::new("bash")
        .args(["-o", "pipefail", "-c", &script])
        .current_dir(dr.folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}
