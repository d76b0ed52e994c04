use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dr_plugin::CallError;
use dr_plugin::job::{Capture, Task, not_executed};

/// Whether the command of a task is there and may be executed. Starts nothing.
pub(crate) fn look(task: &Task) -> Result<(), CallError> {
    let nothing = Capture::default();
    let program = task.argv.first().map_or("", String::as_str);
    let refuse = |why: &str| not_executed(why, program, task.cwd.as_deref(), &nothing);
    if task.cwd.as_deref().is_some_and(|cwd| !Path::new(cwd).is_dir()) {
        return Err(refuse("cwd"));
    }
    if program.contains('/') {
        let folder = task.cwd.as_deref().map_or(Path::new(""), Path::new);
        let path = folder.join(program);
        return match is_program(&path) {
            _ if !path.exists() => Err(refuse("127")),
            true => Ok(()),
            false => Err(refuse("126")),
        };
    }
    if search_path(task).iter().any(|folder| is_program(&folder.join(program))) {
        Ok(())
    } else {
        Err(refuse("127"))
    }
}

#[expect(clippy::disallowed_methods, reason = "where commands lie is told by the environment")]
fn search_path(task: &Task) -> Vec<PathBuf> {
    let own = task.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
    own.map(|list| std::env::split_paths(&list).collect()).unwrap_or_default()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_looked_for_where_they_would_be_executed() {
        let task = |argv: &str, cwd: Option<&str>| Task {
            argv: vec![argv.to_owned()],
            cwd: cwd.map(str::to_owned),
            ..Task::default()
        };
        assert!(look(&task("sh", None)).is_ok());
        assert!(look(&task("/bin/sh", None)).is_ok());
        assert!(look(&task("./sh", Some("/bin"))).is_ok());
        for (argv, cwd, code) in [
            ("no_such_command", None, "not_found"),
            ("./sh", Some("/etc"), "not_found"),
            ("/etc/passwd", None, "not_executable"),
            ("sh", Some("/no/such/folder"), "cwd_missing"),
        ] {
            assert_eq!(look(&task(argv, cwd)).unwrap_err().code, code);
        }
        let mut elsewhere = task("sh", None);
        elsewhere.env.insert("PATH".into(), "/etc".into());
        assert_eq!(look(&elsewhere).unwrap_err().code, "not_found");
    }
}
