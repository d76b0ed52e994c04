use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::capture::Capture;
use crate::CallError;

/// The `result` of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandOutput {
    /// The code it exited with: one of the accepted ones.
    pub exit_code: i32,
    /// What it wrote to its standard output, up to 1 MiB; what is not UTF-8 is replaced.
    pub stdout: String,
    /// What it wrote to its standard error, up to 1 MiB; what is not UTF-8 is replaced.
    pub stderr: String,
    /// Whether `stdout` or `stderr` is not all of it.
    pub truncated: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// Reads the status of a shell, which does not tell a death by signal from an exit with 128 and
    /// more: the usual signals are taken for signals.
    #[must_use]
    pub fn of_shell_status(status: i32) -> Self {
        match status - 128 {
            signal @ (2 | 3 | 4 | 6 | 7 | 8 | 9 | 11 | 13 | 15) => Self::Signal(signal),
            _ => Self::Code(status),
        }
    }
}

/// The result of a command that ended, or the error that its end is.
///
/// # Errors
/// A permanent `exit_N` for a code that is not accepted, with the last lines of stderr as causes;
/// an unknown `signal_N`, because whoever was ended from outside may have done half of its work.
pub fn finish(
    ended: Ended,
    accepted: &[i32],
    stdout: &Capture,
    stderr: &Capture,
    duration_ms: u64,
) -> Result<CommandOutput, CallError> {
    let mut error = match ended {
        Ended::Code(exit_code) if accepted.contains(&exit_code) => {
            return Ok(CommandOutput {
                exit_code,
                stdout: stdout.text(),
                stderr: stderr.text(),
                truncated: stdout.is_truncated() || stderr.is_truncated(),
                duration_ms,
            });
        }
        Ended::Code(code) => {
            CallError::permanent(format!("exit_{code}"), format!("the command exited with {code}"))
        }
        Ended::Signal(signal) => CallError::unknown(
            format!("signal_{signal}"),
            format!("the command was ended by {}", signal_name(signal)),
        ),
    };
    error.causes = stderr.last_lines();
    Err(error)
}

/// The error of a command that was not executed, by the runner's reason.
#[must_use]
pub fn not_executed(why: &str, command: &str, cwd: Option<&str>, stderr: &Capture) -> CallError {
    let mut error = match why {
        "127" => {
            CallError::permanent("not_found", format!("the command `{command}` was not found"))
                .with_help("install it there, or give its absolute path in `argv`")
        }
        "126" => CallError::permanent(
            "not_executable",
            format!("the command `{command}` cannot be executed"),
        )
        .with_help("check its permissions and its first line (`#!`)"),
        "cwd" => CallError::permanent(
            "cwd_missing",
            format!("cannot change to the folder `{}`", cwd.unwrap_or_default()),
        )
        .with_help("create it before, or correct `cwd`"),
        "env" => CallError::permanent("bad_env", "a variable of `env` cannot be set")
            .with_help("the shell there keeps this variable for itself; use another name"),
        _ => CallError::permanent("not_started", "the command could not be started"),
    };
    error.causes = stderr.last_lines();
    error
}

/// `SIGTERM (15)`; only the number where it has no common name.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("{name} ({signal})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorClass;

    #[test]
    fn ends_become_results_or_errors() {
        let mut stderr = Capture::default();
        stderr.push(b"first\nsecond\n");
        let stdout = Capture::default();
        let end = |ended, accepted: &[i32]| finish(ended, accepted, &stdout, &stderr, 7);
        assert_eq!(end(Ended::Code(3), &[0, 3]).unwrap().exit_code, 3);
        let error = end(Ended::Code(3), &[0]).unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Permanent, "exit_3"));
        assert_eq!(error.causes, ["first", "second"]);
        let error = end(Ended::Signal(9), &[0, 137]).unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (ErrorClass::Unknown, "signal_9"));
    }

    #[test]
    fn a_shell_status_is_read_with_care() {
        for (status, ended) in [
            (0, Ended::Code(0)),
            (129, Ended::Code(129)),
            (137, Ended::Signal(9)),
            (143, Ended::Signal(15)),
            (255, Ended::Code(255)),
        ] {
            assert_eq!(Ended::of_shell_status(status), ended);
        }
    }
}
