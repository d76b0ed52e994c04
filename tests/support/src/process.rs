use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Account;
use crate::account::is_root;

/// How a daemon is ended, also by the kernel when the test's thread ends without doing so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathSignal {
    /// SIGTERM.
    Term,
    /// SIGQUIT: PostgreSQL's immediate shutdown.
    Quit,
}

/// A server process, ended when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    signal: DeathSignal,
}

impl Daemon {
    /// Starts `program` as `account`, with its output in the file `log`.
    pub fn start(
        account: &Account,
        signal: DeathSignal,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> Self {
        let name = match signal {
            DeathSignal::Term => "TERM",
            DeathSignal::Quit => "QUIT",
        };
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", name]);
        if account.name != "root" {
            become_account(&mut command, account);
        }
        command.arg("--").arg(program).args(arguments).current_dir("/").env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("starting {}: {error}", program.display()));
        Self { child, signal }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether it has ended on its own.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Ends it with SIGKILL: a crash.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let signal = match self.signal {
            DeathSignal::Term => Signal::TERM,
            DeathSignal::Quit => Signal::QUIT,
        };
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // It may have ended in between.
        let _ = kill_process(self.pid(), signal);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs `program` as `account` to its end and gives its standard output.
///
/// # Panics
/// When it fails, with what it said.
pub(crate) fn run_as(account: &Account, program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("setpriv");
    become_account(&mut command, account);
    command.arg("--").arg(program).args(arguments).current_dir("/").env("LC_ALL", "C");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}\n{}{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Adds what makes `setpriv` become `account`, where that is possible.
fn become_account(command: &mut Command, account: &Account) {
    if is_root() {
        command.args(["--reuid", &account.uid.to_string(), "--regid", &account.gid.to_string()]);
        command.arg("--clear-groups");
    }
}
