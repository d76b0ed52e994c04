use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use serde::{Deserialize, Serialize};

/// How long a process may take to end by itself once nobody listens to it.
const GRACE: Duration = Duration::from_secs(2);
/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(1);
/// Pause between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);

/// Which processes work on a call, kept as files in the run's folder: whoever goes on after a crash
/// ends those that outlived it, before anything is decided.
///
/// A plugin ends by itself once its input does. This is for one that does not look.
#[derive(Debug, Clone, Default)]
pub struct OpenCalls {
    folder: Arc<Mutex<Option<PathBuf>>>,
}

/// A process at work; its file goes when this goes.
#[derive(Debug)]
pub(super) struct OpenCall(PathBuf);

/// What is kept of a process, enough not to take another one for it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    pid: i32,
    /// When it was started, in clock ticks since the machine was.
    started: u64,
    /// Which start of the machine that was.
    boot: String,
    program: String,
    step: String,
}

/// A process that outlived the `dr` that had called it. It is gone now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlived {
    /// The program.
    pub program: String,
    /// The step it worked for.
    pub step: String,
    /// It had to be killed.
    pub killed: bool,
}

impl OpenCalls {
    /// From now on calls are kept in this folder, which is made with the first of them.
    pub fn keep_in(&self, folder: PathBuf) {
        *self.folder.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
    }

    /// Keeps a call until the result is dropped. None if nothing is to be kept, or the system does
    /// not say who a process is.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(super) fn open(
        &self,
        process: Pid,
        program: &Path,
        step: &str,
    ) -> io::Result<Option<OpenCall>> {
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pid = process.as_raw_nonzero().get();
        let (Some(folder), Some(started), Some(boot)) = (folder, started(pid), boot()) else {
            return Ok(None);
        };
        let (program, step) = (program.display().to_string(), step.to_owned());
        let kept = Kept { pid, started, boot, program, step };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let file = folder.join(format!("{pid}.json"));
        fs::write(&file, serde_json::to_vec(&kept)?)?;
        Ok(Some(OpenCall(file)))
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Waits for the processes whose calls are kept in `folder`, ends those that go on, and forgets
/// them. Only for who holds the run's lock.
#[must_use]
pub fn end_outlived(folder: &Path) -> Vec<Outlived> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut outlived = Vec::new();
    for file in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let kept = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        outlived.extend(kept.and_then(|kept: Kept| end(&kept)));
        let _ = fs::remove_file(&file);
    }
    outlived
}

fn end(kept: &Kept) -> Option<Outlived> {
    let group = Pid::from_raw(kept.pid)?;
    if boot().as_ref() != Some(&kept.boot) {
        return None;
    }
    let is_alive = || match started(kept.pid) {
        Some(started) => started == kept.started,
        // It is gone, and what it started may not be.
        None => test_kill_process_group(group).is_ok(),
    };
    if !is_alive() {
        return None;
    }
    let killed = !until_gone(GRACE, is_alive);
    if killed {
        let _ = kill_process_group(group, Signal::KILL);
        until_gone(GONE, is_alive);
    }
    Some(Outlived { program: kept.program.clone(), step: kept.step.clone(), killed })
}

fn until_gone(limit: Duration, is_alive: impl Fn() -> bool) -> bool {
    for _ in 0..limit.as_millis() / LOOK.as_millis() {
        if !is_alive() {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    !is_alive()
}

/// When a process was started, if it lives and the system says so. One that has ended and that
/// nobody has collected does not live.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the processes are what is tested")]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper(seconds: &str) -> (Child, Pid) {
        let child = Command::new("sleep").arg(seconds).process_group(0).spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    fn collected(mut child: Child) -> std::thread::JoinHandle<Option<i32>> {
        use std::os::unix::process::ExitStatusExt as _;
        std::thread::spawn(move || child.wait().unwrap().signal())
    }

    #[test]
    fn what_outlives_is_ended_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let calls = OpenCalls::default();
        let (child, pid) = sleeper("600");
        let open = || calls.open(pid, Path::new("/p"), "a").unwrap();
        assert!(open().is_none(), "nothing is kept yet");
        calls.keep_in(folder.path().join("calls"));
        std::mem::forget(open().unwrap());
        let waiting = collected(child);
        let found = end_outlived(&folder.path().join("calls"));
        let program = "/p".to_owned();
        assert_eq!(found, [Outlived { program, step: "a".to_owned(), killed: true }]);
        assert_eq!(waiting.join().unwrap(), Some(9));
        assert_eq!(end_outlived(&folder.path().join("calls")), []);
    }

    #[test]
    fn a_call_that_ended_leaves_nothing_and_another_process_is_spared() {
        let folder = tempfile::tempdir().unwrap();
        let calls = OpenCalls::default();
        calls.keep_in(folder.path().to_owned());
        let (mut child, pid) = sleeper("600");
        drop(calls.open(pid, Path::new("/p"), "a").unwrap().unwrap());
        assert_eq!(end_outlived(folder.path()), []);
        let number = pid.as_raw_nonzero().get();
        let kept = Kept {
            pid: number,
            started: started(number).unwrap() - 1,
            boot: boot().unwrap(),
            program: "/p".into(),
            step: "a".into(),
        };
        fs::write(folder.path().join("1.json"), serde_json::to_vec(&kept).unwrap()).unwrap();
        assert_eq!(end_outlived(folder.path()), []);
        assert!(child.try_wait().unwrap().is_none(), "it was another process");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
