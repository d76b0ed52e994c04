use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dr_plugin::job::Task;
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Where programs were found before, by search path and name: many steps call the same one, and where
/// it lay a moment ago it mostly still is.
#[derive(Default)]
pub(crate) struct Programs {
    found: Mutex<HashMap<(OsString, String), PathBuf>>,
}

impl Programs {
    /// The file that a task's program is, looked for in the folders of `PATH` as the system would. Nothing
    /// where the system has to look itself: for a path, where a folder depends on where the command
    /// starts, and where nothing is found, so that it says why.
    ///
    /// Looking before starting is cheaper than what the system does: it tries to execute in each folder.
    pub(crate) fn located(&self, task: &Task) -> Option<PathBuf> {
        let program = task.argv.first()?;
        if program.is_empty() || program.contains('/') {
            return None;
        }
        let key = (search_path(task)?, program.clone());
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = found.get(&key).filter(|file| is_executable(file)) {
            return Some(file.clone());
        }
        let file = std::env::split_paths(&key.0)
            .take_while(|folder| folder.is_absolute())
            .map(|folder| folder.join(program))
            .find(|file| is_program(file))?;
        found.insert(key, file.clone());
        Some(file)
    }
}

/// The folders in which a task's program is looked for.
#[expect(clippy::disallowed_methods, reason = "where commands lie is told by the environment")]
pub(crate) fn search_path(task: &Task) -> Option<OsString> {
    task.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"))
}

/// Whether it is a file that this process may execute.
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file() && is_executable(path)
}

fn is_executable(path: &Path) -> bool {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(program: &str, path: Option<&str>) -> Task {
        let mut task = Task { argv: vec![program.to_owned()], ..Task::default() };
        task.env.extend(path.map(|path| ("PATH".to_owned(), path.to_owned())));
        task
    }

    #[test]
    fn it_is_what_the_system_would_execute() {
        let programs = Programs::default();
        let located = |task: &Task| programs.located(task);
        let found = located(&task("sh", None)).expect("a shell");
        assert!(found.is_absolute() && is_program(&found), "{}", found.display());
        assert_eq!(located(&task("sh", Some("/etc:/bin"))), Some("/bin/sh".into()));
        for program in ["", "/bin/sh", "./sh", "no-such-program-anywhere"] {
            assert_eq!(located(&task(program, None)), None, "{program}");
        }
        assert_eq!(located(&task("sh", Some("there:/bin"))), None, "depends on where it starts");
    }

    #[test]
    fn a_folder_or_a_text_is_no_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("text");
        std::fs::write(&text, "hello").expect("a file");
        assert!(!is_program(folder.path()) && !is_program(&text));
    }
}
