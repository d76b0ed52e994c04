use std::path::Path;
use std::process::Command;

use super::{GitError, read};

/// Another program made these repositories: that is what they are compared with.
#[expect(clippy::disallowed_methods, reason = "the test needs what git itself writes")]
fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(args).current_dir(folder).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder);
    for (name, value) in
        [("NAME", "ann"), ("EMAIL", "ann@example.com"), ("DATE", "2026-11-20T12:00:00Z")]
    {
        command.env(format!("GIT_AUTHOR_{name}"), value);
        command.env(format!("GIT_COMMITTER_{name}"), value);
    }
    let out = command.output().expect("git");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text").trim().to_owned()
}

fn version(number: u32) -> String {
    // Long and alike, so that git packs one as a delta of the other.
    let lines = (0..400).map(|line| format!("line {line} of a text that is long enough\n"));
    lines.collect::<String>() + &format!("version {number}\n")
}

fn repository() -> tempfile::TempDir {
    let temp = tempfile::tempdir().expect("a folder");
    let top = temp.path();
    git(top, &["init", "-q", "-b", "main"]);
    std::fs::create_dir_all(top.join("runbooks/deep")).expect("a folder");
    for number in 0..6 {
        std::fs::write(top.join("runbooks/deep/r.yaml"), version(number)).expect("a file");
        git(top, &["add", "."]);
        git(top, &["commit", "-q", "-m", &format!("version {number}")]);
    }
    git(top, &["tag", "-a", "v4", "-m", "four", "HEAD~1"]);
    git(top, &["branch", "old", "HEAD~3"]);
    temp
}

fn same_as_git(top: &Path) {
    let head = git(top, &["rev-parse", "HEAD"]);
    for (revision, number) in [
        ("HEAD", 5),
        ("@", 5),
        ("main", 5),
        ("HEAD~2", 3),
        ("HEAD^", 4),
        ("HEAD^^~1", 2),
        ("v4", 4),
        ("v4~4", 0),
        ("old", 2),
        ("refs/heads/old", 2),
        ("heads/old", 2),
        (&head, 5),
        (&head[..9], 5),
    ] {
        let found = read(top, revision, "runbooks/deep/r.yaml").expect(revision).expect(revision);
        assert_eq!(String::from_utf8(found).expect("text"), version(number), "{revision}");
    }
}

#[test]
fn what_git_keeps_is_read_loose_and_packed() {
    let temp = repository();
    let top = temp.path();
    same_as_git(top);
    git(top, &["repack", "-q", "-a", "-d", "-f", "--depth=50"]);
    git(top, &["pack-refs", "--all"]);
    assert!(std::fs::read_dir(top.join(".git/objects/pack")).expect("packs").count() > 0);
    same_as_git(top);

    let deep = top.join("runbooks/deep");
    assert!(read(&deep, "HEAD", "./r.yaml").expect("read").is_some());
    assert!(read(&deep, "HEAD", "../deep/r.yaml").expect("read").is_some());
    for nothing in ["r.yaml", "runbooks/deep", "runbooks/deep/r.yaml/x", "../../../etc/passwd", ""]
    {
        assert!(read(top, "HEAD", nothing).expect(nothing).is_none(), "{nothing}");
    }
    for bad in ["nothing", "HEAD~99", "HEAD^2", "HEAD~x", "../main", "", "0000"] {
        assert!(matches!(read(top, bad, "x"), Err(GitError::Revision(_))), "{bad}");
    }
    let missing = "0".repeat(40);
    assert!(matches!(read(top, &missing, "x"), Err(GitError::Object(_))));
    let outside = tempfile::tempdir().expect("a folder");
    assert!(matches!(read(outside.path(), "HEAD", "x"), Err(GitError::NoRepository(_))));
}

#[test]
fn clones_and_work_trees_are_read() {
    let temp = repository();
    let top = temp.path();
    let other = tempfile::tempdir().expect("a folder");
    let path = |name: &str| other.path().join(name).display().to_string();
    git(top, &["worktree", "add", "-q", &path("tree"), "old"]);
    let found = read(Path::new(&path("tree")), "HEAD", "runbooks/deep/r.yaml").expect("read");
    assert_eq!(found, Some(version(2).into_bytes()));
    git(top, &["clone", "-q", "--shared", ".", &path("clone")]);
    let clone = path("clone");
    let found = read(Path::new(&clone), "origin/main~1", "runbooks/deep/r.yaml").expect("read");
    assert_eq!(found, Some(version(4).into_bytes()));
    let found = read(Path::new(&clone), "origin", "runbooks/deep/r.yaml").expect("read");
    assert_eq!(found, Some(version(5).into_bytes()));
}

#[test]
fn damage_is_told() {
    let temp = repository();
    let top = temp.path();
    git(top, &["repack", "-q", "-a", "-d", "-f"]);
    let packs = std::fs::read_dir(top.join(".git/objects/pack")).expect("packs").flatten();
    let pack = packs.map(|it| it.path()).find(|it| it.extension().is_some_and(|it| it == "pack"));
    let pack = pack.expect("a pack");
    let bytes = std::fs::read(&pack).expect("a pack");
    std::fs::remove_file(&pack).expect("removed");
    for at in (12..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&pack, &damaged).expect("written");
        // Whatever comes of it: no panic, and no endless work.
        let _ = read(top, "HEAD", "runbooks/deep/r.yaml");
    }
}
