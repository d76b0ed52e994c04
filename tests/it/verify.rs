//! `dr verify`: what was changed in a run's folder is found.

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
