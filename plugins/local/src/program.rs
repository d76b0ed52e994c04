use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dr_plugin::job::Task;
use rustix::fs::{Access, AtFlags, CWD, accessat};

/// The file that a task's program is, looked for in the folders of `PATH` as the system would. Nothing
/// where the system has to look itself: for a path, where a folder depends on where the command
/// starts, and where nothing is found, so that it says why.
///
/// Looking before starting is cheaper than what the system does: it tries to execute in each folder.
pub(crate) fn located(task: &Task) -> Option<PathBuf> {
    let program = task.argv.first()?;
    if program.is_empty() || program.contains('/') {
        return None;
    }
    std::env::split_paths(&search_path(task)?)
        .take_while(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|file| is_program(file))
}

/// The folders in which a task's program is looked for.
#[expect(clippy::disallowed_methods, reason = "where commands lie is told by the environment")]
pub(crate) fn search_path(task: &Task) -> Option<OsString> {
    task.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"))
}

/// Whether it is a file that this process may execute.
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file() && accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok()
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
