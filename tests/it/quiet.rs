//! `dr check`, `dr plan` and `dr diff` start no process and open no socket, as the kernel sees it.

use std::process::Command;

use crate::dr;

const RUNBOOK: &str = "
runbook: quiet
hosts: { web: { address: web.example.com } }
secrets: { pw: [{ command: [echo, secret] }] }
steps:
  - { id: one, needs: [], host: web, uses: ssh.command, with: { argv: [uptime], env: { PW: '{{ secrets.pw }}' } }, effect: pure }
  - { id: two, needs: [one], uses: local.command, with: { argv: [./here.sh] }, effect: once }
  - { id: three, needs: [two], host: web, uses: postgres.query, with: { sql: select 1 } }
";

/// System calls that `dr` makes with these arguments, of those that start a process or open a
/// socket.
fn calls(dr: &dr_testkit::Dr, arguments: &[&str]) -> Vec<String> {
    let log = dr.path("calls.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e"]);
    command.arg("trace=execve,execveat,fork,vfork,clone,clone3,socket,socketpair,connect,bind");
    command.arg("-o").arg(&log).arg(env!("CARGO_BIN_EXE_dr")).args(arguments);
    let ended = command.current_dir(dr.folder()).env("HOME", dr.folder()).output().unwrap();
    assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("execve("), "strace sees dr itself: {text}");
    let mut lines = text.lines().filter(|line| !line.contains("CLONE_THREAD"));
    // Its own start.
    assert!(lines.next().unwrap().contains("execve("));
    lines
        .filter(|line| !line.contains("+++") && !line.contains("resumed"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn looking_at_a_runbook_starts_nothing_and_contacts_nobody() {
    let dr = dr()
        .runbook(RUNBOOK)
        .file("here.sh", "true\n")
        .file("old.yaml", "runbook: quiet\nsteps: [{ id: one, uses: sim.probe }]\n");
    let status = Command::new("git").args(["init", "-q"]).current_dir(dr.folder()).status();
    assert!(status.unwrap().success());
    for arguments in [
        ["add", "old.yaml"].as_slice(),
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "old"],
    ] {
        let status = Command::new("git").args(arguments).current_dir(dr.folder()).status();
        assert!(status.unwrap().success());
    }
    for arguments in [
        ["check", "runbook.yaml"].as_slice(),
        &["plan", "runbook.yaml"],
        &["plan", "runbook.yaml", "--format", "html", "-o", "plan.json"],
        &["plan", "plan.json"],
        &["diff", "HEAD:old.yaml", "runbook.yaml", "--format", "markdown"],
    ] {
        let calls = calls(&dr, arguments);
        assert!(calls.is_empty(), "{arguments:?}:\n{}", calls.join("\n"));
    }
}
