//! `dr verify`: what was changed in a run's folder is found, and what was never written is told and made.

use std::path::{Path, PathBuf};

use crate::dr;

const RUNBOOK: &str = "
runbook: sample
services: { web: { rto: 5m } }
steps:
  - { id: one, service: web, needs: [], uses: local.command, with: { argv: [echo, hello] }, effect: idempotent }
  - { id: two, service: web, needs: [one], uses: sim.action }
";

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

#[test]
fn every_changed_byte_is_found() {
    let dr = dr().runbook(RUNBOOK);
    dr.args(["execute", "runbook.yaml"]).run().code(0);
    dr.args(["verify", "last"]).run().code(0).prints("the run is complete");
    let run = dr.last_run();
    let verify = || dr.args([std::ffi::OsStr::new("verify"), run.as_os_str()]).run();
    let mut all = Vec::new();
    files(&run, &mut all);
    all.retain(|path| path.file_name().is_some_and(|name| name != "run.lock"));
    assert!(all.len() >= 9, "{all:?}");
    // A few bytes of each file, with each of their bits in turn.
    let most = dr_testkit::cases(3, 20);
    for path in all {
        let before = std::fs::read(&path).unwrap();
        let step = (before.len() / most).max(1);
        for at in (0..before.len()).step_by(step) {
            let mut after = before.clone();
            after[at] ^= 1 << (at % 8);
            std::fs::write(&path, &after).unwrap();
            let ended = verify();
            assert_eq!(ended.code, Some(8), "byte {at} of {}\n{ended}", path.display());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(verify().code, Some(8), "{} is gone", path.display());
        std::fs::write(&path, &before).unwrap();
    }
    dr.args(["verify", "last"]).run().code(0);
}

#[test]
fn a_copy_is_checked_and_what_is_not_complete_is_told() {
    let dr = dr().runbook(RUNBOOK);
    dr.args(["execute", "runbook.yaml"]).run().code(0);
    let run = dr.last_run();
    let copied = dr.path("bundle");
    let status = std::process::Command::new("cp").arg("-r").args([&run, &copied]).status();
    assert!(status.unwrap().success());
    std::fs::write(copied.join("more.txt"), "mine").unwrap();
    let ended = dr.args(["verify", "bundle"]).run().code(0);
    ended.prints("note: more.txt is no part of the evidence");
    std::fs::write(copied.join("outputs/more"), "mine").unwrap();
    let ended = dr.args(["verify", "bundle", "--format", "json"]).run().code(8).says("DR4002");
    let json = ended.json();
    assert_eq!(json["verifies"], false);
    assert_eq!(json["checks"][0]["problems"][0], "outputs/more is not in SHA256SUMS");

    // Somebody cuts the journal and makes the sums anew: the run is then not complete.
    std::fs::remove_file(copied.join("outputs/more")).unwrap();
    let journal = std::fs::read_to_string(copied.join("journal.jsonl")).unwrap();
    let cut: Vec<&str> = journal.lines().collect();
    let cut = cut[..cut.len() - 1].join("\n") + "\n";
    std::fs::write(copied.join("journal.jsonl"), cut).unwrap();
    let ended = dr.args(["verify", "bundle"]).run().code(8);
    ended.prints("no close record").prints("journal.jsonl has changed");
    dr.args(["verify", "nothing"]).run().code(2).says("DR3001");
}

/// What a killed process leaves of the evidence of a session that was over.
fn leave(run: &Path, left: &[&str]) {
    for name in
        ["report.md", "report.html", "junit.xml", "VERIFY.txt", "evidence.json", "SHA256SUMS"]
    {
        if !left.contains(&name) {
            std::fs::remove_file(run.join(name)).unwrap();
        }
    }
}

#[test]
fn evidence_that_was_never_whole_is_completed() {
    let dr = dr().runbook(RUNBOOK);
    dr.args(["execute", "runbook.yaml"]).run().code(0);
    let run = dr.last_run();
    let sums = std::fs::read(run.join("SHA256SUMS")).unwrap();
    let written = "note: the evidence was not complete; written from the journal: ";

    leave(&run, &["report.md", "report.html"]);
    let ended = dr.args(["verify", "last"]).run().code(8).says("DR4003").prints("SHA256SUMS");
    let id = run.file_name().unwrap().to_str().unwrap();
    let ended = ended.says(&format!("`dr report {id}`")).prints("evidence.json is missing");
    assert!(!ended.stderr.contains("copy"), "{ended}");
    let json = dr.args(["verify", "last", "--format", "json"]).run().code(8).json();
    let lacks = ["junit.xml", "VERIFY.txt", "evidence.json", "SHA256SUMS"];
    assert_eq!(json["lacks"], serde_json::json!(lacks));
    dr.args(["report", "last"]).run().code(0).says(&format!("{written}{}", lacks.join(", ")));
    dr.args(["verify", "last"]).run().code(0);
    assert_eq!(std::fs::read(run.join("SHA256SUMS")).unwrap(), sums);
    let ended = dr.args(["report", "last"]).run().code(0);
    assert_eq!(ended.stderr, "", "it is whole");

    leave(&run, &[]);
    let ended = dr.args(["resume", "last"]).run().code(2).says("verdict is succeeded");
    ended.says(written);
    dr.args(["verify", "last"]).run().code(0);
    assert_eq!(std::fs::read(run.join("SHA256SUMS")).unwrap(), sums);

    // A document that is gone is put back; one that was changed is left to be found.
    std::fs::remove_file(run.join("report.html")).unwrap();
    let before = std::fs::read(run.join("report.md")).unwrap();
    std::fs::write(run.join("report.md"), "mine").unwrap();
    dr.args(["report", "last"]).run().code(0).says(&format!("{written}report.html"));
    let ended = dr.args(["verify", "last"]).run().code(8).says("DR4002");
    ended.prints("report.md has changed");
    assert_eq!(dr.read(run.join("report.md")), "mine");
    std::fs::write(run.join("report.md"), before).unwrap();
    dr.args(["verify", "last"]).run().code(0);
}

#[test]
fn evidence_of_a_later_session_is_completed() {
    const FAILS: &str = "
runbook: sample
steps:
  - { id: one, needs: [], uses: local.script, effect: idempotent, with: { script: 'test -e mended' } }
";
    let dr = dr().runbook(FAILS);
    dr.args(["execute", "runbook.yaml"]).run().code(5);
    let run = dr.last_run();
    let first = dr.path("first");
    let copy = |from: &Path, to: &Path| {
        let status = std::process::Command::new("cp").arg("-rT").args([from, to]).status();
        assert!(status.unwrap().success());
    };
    copy(&run, &first);
    std::fs::write(dr.path("mended"), "").unwrap();
    dr.args(["resume", "last", "--retry", "one"]).run().code(0);
    // Killed before the first file of the second session was in place.
    std::fs::remove_dir_all(run.join("sessions")).unwrap();
    leave(&run, &[]);
    for name in
        ["report.md", "report.html", "junit.xml", "VERIFY.txt", "evidence.json", "SHA256SUMS"]
    {
        copy(&first.join(name), &run.join(name));
    }
    dr.args(["verify", "last"]).run().code(8).says("DR4003");
    dr.args(["report", "last"]).run().code(0).says("evidence.json, SHA256SUMS");
    dr.args(["verify", "last"]).run().code(0);
    let kept = |name: &str| std::fs::read(run.join("sessions/1").join(name)).unwrap();
    assert_eq!(kept("SHA256SUMS"), std::fs::read(first.join("SHA256SUMS")).unwrap());

    // A journal that goes on from another one was changed.
    let sums = dr.read(run.join("SHA256SUMS"));
    let other = |line: &str| {
        if line.ends_with("  journal.jsonl") {
            format!("{:064}  journal.jsonl\n", 0)
        } else {
            format!("{line}\n")
        }
    };
    std::fs::write(run.join("SHA256SUMS"), sums.lines().map(other).collect::<String>()).unwrap();
    dr.args(["report", "last"]).run().code(0);
    dr.args(["verify", "last"]).run().code(8).says("DR4002");
}

#[test]
fn evidence_that_found_no_place_is_written_later() {
    // A folder in the way of a file stands for a disk that is full.
    const IN_THE_WAY: &str = "
runbook: sample
steps:
  - { id: one, needs: [], uses: local.script, effect: idempotent, with: { script: 'cd .dr/runs/*; mkdir SHA256SUMS' } }
";
    let dr = dr().runbook(IN_THE_WAY);
    let ended = dr.args(["execute", "runbook.yaml"]).run().code(0).says("DR4001");
    let run = dr.last_run();
    let id = run.file_name().unwrap().to_str().unwrap();
    // A long line is broken.
    let said: String = ended.stderr.split_whitespace().collect();
    assert!(said.contains(&format!("`drreport{id}`completestheevidence")), "{ended}");
    dr.args(["report", "last"]).run().code(4).says("DR4001").prints("sample");
    std::fs::remove_dir(run.join("SHA256SUMS")).unwrap();
    dr.args(["report", "last"]).run().code(0).says("written from the journal: SHA256SUMS");
    dr.args(["verify", "last"]).run().code(0);
}
