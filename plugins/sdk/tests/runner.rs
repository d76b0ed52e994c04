//! The job runner's text in real shells, cut at its instants.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dr_plugin::job::{Answer, JobState, Report, Request, Task};

/// One shell, one folder of jobs.
struct Bench {
    shell: String,
    folder: tempfile::TempDir,
}

/// The shells of this machine that may be somewhere's `/bin/sh`.
fn benches() -> Vec<Bench> {
    let shells = ["/bin/dash", "/bin/bash", "/bin/busybox"];
    let benches: Vec<Bench> = shells
        .into_iter()
        .filter(|shell| Path::new(shell).exists())
        .map(|shell| {
            let folder = tempfile::tempdir().unwrap();
            // busybox is what it is called.
            let link = folder.path().join("sh");
            std::os::unix::fs::symlink(shell, &link).unwrap();
            let shell =
                if shell.ends_with("box") { link.display().to_string() } else { shell.into() };
            Bench { shell, folder }
        })
        .collect();
    assert!(!benches.is_empty());
    benches
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn launch(&self, key: &str, task: &Task) -> Option<Report> {
        self.launch_past(key, task, "")
    }

    /// Launches with `stubs` before all other programs.
    fn launch_past(&self, key: &str, task: &Task, stubs: &str) -> Option<Report> {
        let request =
            Request::Launch { payload: task.for_launch(), wait: Duration::from_millis(300) };
        report(self.perform(key, &request, stubs))
    }

    fn poll(&self, key: &str) -> JobState {
        let request = Request::Poll { wait: Duration::ZERO, out: 0, err: 0 };
        report(self.perform(key, &request, "")).unwrap().state
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts the shell and knows its path")]
    fn perform(&self, key: &str, request: &Request, stubs: &str) -> Option<Answer> {
        let jobs = self.path("jobs").display().to_string();
        let mut child = Command::new(&self.shell)
            .args(["-c", "dr_text=$1; shift; eval \"$dr_text\"", "dr-job"])
            .arg(Request::text().replace("/bin/sh", &self.shell))
            .args(request.args(key, &jobs))
            .env("PATH", format!("{stubs}:{}", std::env::var("PATH").unwrap()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A shell that is killed before it reads does not mind.
        let _ = child.stdin.take().unwrap().write_all(request.stdin());
        Answer::parse(&child.wait_with_output().unwrap().stdout, key)
    }

    /// A task that counts its starts, then goes on with `rest`.
    fn counted(&self, rest: &str) -> Task {
        let script = format!("echo x >>'{}'; {rest}", self.path("count").display());
        task(&["sh", "-c", &script])
    }

    fn count(&self) -> usize {
        std::fs::read_to_string(self.path("count")).map_or(0, |text| text.lines().count())
    }

    /// A folder with one program that takes the place of another: a script.
    fn stub(&self, name: &str, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.path(&format!("stub-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder.display().to_string()
    }

    /// Waits until the job is in a state that lasts.
    fn settled(&self, key: &str) -> JobState {
        for _ in 0..2_000 {
            match self.poll(key) {
                JobState::Running => std::thread::sleep(Duration::from_millis(10)),
                state => return state,
            }
        }
        panic!("{}: the job does not end", self.shell);
    }
}

fn task(argv: &[&str]) -> Task {
    Task { argv: argv.iter().map(|word| (*word).to_owned()).collect(), ..Task::default() }
}

fn report(answer: Option<Answer>) -> Option<Report> {
    match answer {
        Some(Answer::Report(report)) => Some(report),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Without the time that it took.
fn bare(state: JobState) -> JobState {
    match state {
        JobState::Exited(code, _) => JobState::Exited(code, 0),
        JobState::Signalled(signal, _) => JobState::Signalled(signal, 0),
        other => other,
    }
}

#[test]
fn ends_are_recorded_as_they_were() {
    for bench in benches() {
        for (key, script, state) in [
            ("a", "exit 0", JobState::Exited(0, 0)),
            ("b", "exit 3", JobState::Exited(3, 0)),
            ("c", "exit 129", JobState::Exited(129, 0)),
            ("d", "exit 137", JobState::Exited(137, 0)),
            ("e", "kill -9 $$", JobState::Signalled(9, 0)),
            ("f", "kill -15 $$", JobState::Signalled(15, 0)),
            ("g", "kill -2 $$", JobState::Signalled(2, 0)),
        ] {
            bench.launch(key, &task(&["sh", "-c", script])).unwrap();
            assert_eq!(bare(bench.settled(key)), state, "{} {script}", bench.shell);
        }
        bench.launch("h", &task(&["/nonexistent/x"])).unwrap();
        assert_eq!(bench.settled("h"), JobState::NotExecuted("127".into()), "{}", bench.shell);
        bench.launch("i", &task(&["/etc/passwd"])).unwrap();
        assert_eq!(bench.settled("i"), JobState::NotExecuted("126".into()), "{}", bench.shell);
    }
}

#[test]
fn what_is_given_arrives_byte_for_byte() {
    for bench in benches() {
        let nasty = "'$(id)' `id` \\n \\0101 \"x\" ! é\u{81}\u{88}\u{1}\n\n";
        let mut task =
            task(&["sh", "-c", "printf '[%s]' \"$@\" \"$A\"; cat", "-", nasty, "", "-n"]);
        task.env.insert("A".into(), nasty.into());
        task.stdin = format!("{nasty}\0{}", "long ".repeat(40_000));
        bench.launch("a", &task).unwrap();
        bench.settled("a");
        let report = bench.launch("a", &task).unwrap();
        let expected = format!("[{nasty}][][-n][{nasty}]{}", task.stdin);
        assert_eq!(report.out_size, expected.len() as u64, "{}", bench.shell);
        assert_eq!(report.out, expected.as_bytes()[..report.out.len()], "{}", bench.shell);
    }
}

#[test]
fn a_part_of_a_payload_starts_nothing() {
    for bench in benches() {
        let task = bench.counted("true");
        let whole = task.for_launch();
        for length in (0..whole.bytes.len()).step_by(37) {
            let mut payload = whole.clone();
            payload.bytes.truncate(length);
            let request = Request::Launch { payload, wait: Duration::ZERO };
            let answer = bench.perform("a", &request, "");
            assert_eq!(answer, Some(Answer::Refused("truncated".into())), "{}", bench.shell);
        }
        assert_eq!((bench.count(), bench.poll("a")), (0, JobState::Absent));
    }
}

#[test]
fn cut_before_the_exec_it_was_not_done_and_runs_once() {
    // Each stub is a program that the runner calls at that instant, and kills whoever called it.
    let instants = [
        ("mkdir", "/bin/mkdir \"$@\"; case $* in *jobs/*) kill -9 $PPID ;; esac"),
        ("setsid", "read -r supervisor rest <owner; kill -9 \"$supervisor\""),
        ("env", "read -r supervisor rest <owner; kill -9 \"$supervisor\" $PPID"),
    ];
    for bench in benches() {
        for (name, script) in instants {
            let stubs = bench.stub(name, script);
            let task = bench.counted("echo ran");
            let before = bench.count();
            // Nobody may be left to answer.
            let first = bench.launch_past(name, &task, &stubs);
            if let Some(first) = first {
                assert!(
                    matches!(first.state, JobState::Unstarted | JobState::Running),
                    "{} {name}: {:?}",
                    bench.shell,
                    first.state
                );
            }
            assert_eq!(bench.settled(name), JobState::Unstarted, "{} {name}", bench.shell);
            assert_eq!(bench.count(), before, "{} {name}", bench.shell);
            bench.launch(name, &task).unwrap();
            assert_eq!(bare(bench.settled(name)), JobState::Exited(0, 0), "{} {name}", bench.shell);
            assert_eq!(bench.count(), before + 1, "{} {name}", bench.shell);
        }
    }
}

#[test]
fn cut_after_its_turn_nobody_can_tell_and_it_does_not_run_again() {
    let instants = [
        // After the turn was taken, before the exec: as good as begun.
        (
            "sync",
            "case $1 in turn) read -r supervisor rest <owner; kill -9 \"$supervisor\" $PPID ;; esac",
            0,
        ),
        // After the record was written, before it got its name.
        ("mv", "kill -9 $PPID", 1),
    ];
    for bench in benches() {
        for (name, script, runs) in instants {
            let stubs = bench.stub(name, script);
            let task = bench.counted("echo ran");
            let before = bench.count();
            bench.launch_past(name, &task, &stubs);
            assert_eq!(bench.settled(name), JobState::Vanished, "{} {name}", bench.shell);
            let again = bench.launch(name, &task).unwrap();
            assert_eq!(again.state, JobState::Vanished, "{} {name}", bench.shell);
            assert_eq!(bench.count(), before + runs, "{} {name}", bench.shell);
        }
    }
}

#[test]
fn a_job_is_ended_with_all_that_it_started() {
    for bench in benches() {
        let task = bench.counted("trap '' TERM; sleep 300 & sleep 300 & wait; wait");
        let request = Request::Launch { payload: task.for_launch(), wait: Duration::ZERO };
        bench.perform("a", &request, "");
        while bench.count() == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let request = Request::Kill { grace: Duration::from_millis(100) };
        assert_eq!(bench.perform("a", &request, ""), Some(Answer::Ended(true)), "{}", bench.shell);
        let state = bare(bench.settled("a"));
        assert!(
            matches!(state, JobState::Signalled(9, _) | JobState::Killed | JobState::Exited(..)),
            "{} {state:?}",
            bench.shell
        );
        assert_eq!(bench.perform("a", &Request::Remove, ""), Some(Answer::Removed(true)));
        assert_eq!(bench.poll("a"), JobState::Absent);
    }
}

#[test]
fn a_job_that_was_ended_before_its_turn_never_runs() {
    for bench in benches() {
        std::fs::create_dir_all(bench.path("jobs/a")).unwrap();
        let request = Request::Kill { grace: Duration::ZERO };
        assert_eq!(bench.perform("a", &request, ""), Some(Answer::Ended(true)));
        assert_eq!(bench.poll("a"), JobState::Unstarted, "{}", bench.shell);
    }
}

#[test]
fn without_setsid_a_job_still_outlives_a_hang_up() {
    for bench in benches() {
        // A folder with all programs but those that make sessions.
        let programs = bench.path("programs");
        std::fs::create_dir_all(&programs).unwrap();
        for name in [
            "sh", "cat", "mkdir", "chmod", "mv", "rm", "sync", "sleep", "env", "wc", "tail",
            "head", "kill",
        ] {
            let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
            if let Some(program) = found.iter().find(|path| path.exists()) {
                std::os::unix::fs::symlink(program, programs.join(name)).unwrap();
            }
        }
        let task = bench.counted("echo $PPID; sleep 0.3; echo late");
        let request = Request::Launch { payload: task.for_launch(), wait: Duration::ZERO };
        let jobs = bench.path("jobs").display().to_string();
        hang_up_after(&bench, &request, &jobs, &programs);
        let state = bare(bench.settled("a"));
        assert_eq!(state, JobState::Exited(0, 0), "{}", bench.shell);
    }
}

/// Performs a request in a session of its own with few programs, and ends the session's leader.
#[expect(clippy::disallowed_methods, reason = "a test starts the shell")]
fn hang_up_after(bench: &Bench, request: &Request, jobs: &str, programs: &Path) {
    let mut child = Command::new("/usr/bin/setsid")
        .args([bench.shell.as_str(), "-c", "dr_text=$1; shift; eval \"$dr_text\"", "dr-job"])
        .arg(Request::text().replace("/bin/sh", &bench.shell))
        .args(request.args("a", jobs))
        .env("PATH", programs)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.stdin()).unwrap();
    child.wait().unwrap();
    while bench.count() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let owner = std::fs::read_to_string(bench.path("jobs/a/owner")).unwrap();
    let supervisor = owner.split(' ').next().unwrap();
    let done = Command::new("kill").args(["-HUP", supervisor]).status().unwrap();
    assert!(done.success());
}
