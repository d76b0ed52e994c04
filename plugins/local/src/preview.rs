use std::ffi::OsString;
use std::path::Path;

use dr_plugin::CallError;
use dr_plugin::job::{Capture, Task, not_executed};

use crate::program::{Programs, is_program, search_path};

impl Programs {
    /// Whether the command of a task is there and may be executed. Starts nothing.
    pub(crate) fn look(&self, task: &Task) -> Result<(), CallError> {
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
        let lies_in = |path: OsString| {
            std::env::split_paths(&path).any(|folder| is_program(&folder.join(program)))
        };
        if self.located(task).is_some() || search_path(task).is_some_and(lies_in) {
            Ok(())
        } else {
            Err(refuse("127"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn commands_are_looked_for_where_they_would_be_executed() {
        let task = |argv: &str, cwd: Option<&str>| Task {
            argv: vec![argv.to_owned()],
            cwd: cwd.map(str::to_owned),
            ..Task::default()
        };
        let programs = Programs::default();
        let look = |task: &Task| programs.look(task);
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

    #[test]
    fn a_program_that_is_gone_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut task = Task { argv: vec!["tool".to_owned()], ..Task::default() };
        task.env.insert("PATH".into(), format!("/none:{}", folder.path().display()));
        let programs = Programs::default();
        assert!(programs.look(&task).is_ok());
        assert!(programs.look(&task).is_ok());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(programs.look(&task).unwrap_err().code, "not_found");
    }
}
