use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{sums, write};
use crate::evidence::{Evidence, sample};

const LAST: fn() -> Evidence = || sample(true);

fn run_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("plan.json", "{}"),
        ("journal.jsonl", "{}\n"),
        ("runbook/shop.yaml", "runbook: shop\n"),
        ("outputs/promote.1.stdout", "done\n"),
        ("run.lock", "held"),
        ("inbox/r1.json", "{}"),
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    dir
}

fn listed(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("SHA256SUMS")).expect("sums");
    text.lines().map(|line| line[66..].to_owned()).collect()
}

#[test]
fn a_session_leaves_its_evidence() {
    let dir = run_folder();
    let written = write(dir.path(), &sample(false)).expect("written");
    assert_eq!(
        listed(dir.path()),
        [
            "VERIFY.txt",
            "evidence.json",
            "journal.jsonl",
            "junit.xml",
            "outputs/promote.1.stdout",
            "plan.json",
            "report.html",
            "report.md",
            "runbook/shop.yaml",
        ]
    );
    for path in [&written.evidence, &written.report, &written.sums] {
        let mode = fs::metadata(path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let back: Evidence =
        serde_json::from_slice(&fs::read(&written.evidence).expect("a file")).expect("evidence");
    assert_eq!(back, sample(false));
    let names: Vec<_> = fs::read_dir(dir.path())
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn the_sums_are_what_sha256sum_says() {
    let dir = run_folder();
    fs::write(dir.path().join("runbook/odd\\name\n.yaml"), "x").expect("written");
    write(dir.path(), &sample(false)).expect("written");
    let check = || {
        #[expect(clippy::disallowed_methods, reason = "the check is that of another program")]
        let status = std::process::Command::new("sha256sum")
            .args(["--quiet", "--strict", "-c", "SHA256SUMS"])
            .current_dir(dir.path())
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .status();
        status.expect("sha256sum").success()
    };
    assert!(check());
    for name in ["journal.jsonl", "evidence.json", "report.md", "plan.json"] {
        let path = dir.path().join(name);
        let before = fs::read(&path).expect("a file");
        let mut after = before.clone();
        after[0] ^= 1;
        fs::write(&path, after).expect("written");
        assert!(!check(), "{name}");
        fs::write(&path, before).expect("written");
    }
    assert!(check());
}

#[test]
fn earlier_sessions_are_kept() {
    let dir = run_folder();
    write(dir.path(), &sample(false)).expect("written");
    let first = fs::read(dir.path().join("evidence.json")).expect("a file");
    let first_sums = fs::read(dir.path().join("SHA256SUMS")).expect("a file");
    write(dir.path(), &LAST()).expect("written");
    let kept = dir.path().join("sessions/1");
    assert_eq!(fs::read(kept.join("evidence.json")).expect("a file"), first);
    assert_eq!(fs::read(kept.join("SHA256SUMS")).expect("a file"), first_sums);
    assert!(listed(dir.path()).contains(&"sessions/1/report.md".to_owned()));
    // Once more changes nothing.
    let before = sums(dir.path()).expect("sums");
    write(dir.path(), &LAST()).expect("written");
    assert_eq!(sums(dir.path()).expect("sums"), before);
    assert!(!dir.path().join("sessions/2").exists());
}

#[test]
fn a_crash_between_two_files_is_made_good() {
    let dir = run_folder();
    write(dir.path(), &sample(false)).expect("written");
    let first = fs::read(dir.path().join("report.md")).expect("a file");
    // The report of the second session is in place and kept aside, its evidence is not.
    fs::create_dir_all(dir.path().join("sessions/1")).expect("a folder");
    fs::copy(dir.path().join("report.md"), dir.path().join("sessions/1/report.md"))
        .expect("copied");
    fs::write(dir.path().join("report.md"), "of the second session").expect("written");
    fs::write(dir.path().join(".evidence.json.new"), "half").expect("written");
    write(dir.path(), &LAST()).expect("written");
    assert_eq!(fs::read(dir.path().join("sessions/1/report.md")).expect("a file"), first);
    assert!(!dir.path().join(".evidence.json.new").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let error = write(Path::new("/proc/no/such/run"), &sample(false)).expect_err("no folder");
    assert!(error.to_string().starts_with("cannot write the evidence at /proc/no/such/run/"));
}

#[test]
fn symbolic_links_are_not_followed() {
    let dir = run_folder();
    std::os::unix::fs::symlink("/etc", dir.path().join("runbook/etc")).expect("a link");
    let lines = sums(dir.path()).expect("sums");
    assert!(lines.iter().all(|line| !line.path.contains("etc/")), "{lines:?}");
}

#[test]
fn the_check_of_the_journal_is_the_documented_one() {
    let lines =
        |text: &str| -> Vec<String> { text.lines().map(|line| line.trim().to_owned()).collect() };
    let guide = lines(include_str!("../../docs/reference/journal.md"));
    let from = guide.iter().position(|line| line.starts_with("prev=$(printf %064d")).expect("it");
    let to = guide.iter().position(|line| line.starts_with("echo \"$n records")).expect("its end");
    let check = &guide[from..=to];
    let shipped = lines(include_str!("VERIFY.txt"));
    assert!(shipped.windows(check.len()).any(|window| window == check));
}
