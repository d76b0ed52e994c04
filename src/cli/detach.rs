//! `--detach`: a run that goes on by itself. The command starts itself once more; that process asks
//! what there is to ask, starts the run, and then leaves the terminal.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use super::exit::Exit;
use super::out::Out;
use crate::app::state::spoken;
use crate::event::{Record, Volatile};
use crate::journal::RunDir;
use crate::report::{Lines, Reporter, Unsaid};
use crate::time::Now;
use crate::view::View;

/// Starts this command again, without a terminal of its own, and says how the run can be followed.
#[expect(clippy::disallowed_methods, reason = "the run is handed to a process of its own")]
pub(super) fn start(out: &Out) -> Exit {
    let failed = |error: io::Error| {
        out.refuse(&format!("cannot start another process: {error}"), "", Exit::NotReady)
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return failed(error),
    };
    let arguments = std::env::args_os().skip(1).map(|argument| {
        if argument == OsStr::new("--detach") { "--detached".into() } else { argument }
    });
    let child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failed(error),
    };
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        let _ = stdout.read_to_string(&mut said);
    }
    if let Some((run, log)) = said.strip_suffix('\n').and_then(|said| said.split_once('\n')) {
        out.result(&format!(
            "the run goes on by itself, as process {}\n\n  \
             follow it  dr watch {run}\n  \
             stop it    dr cancel {run}\n  \
             its lines  {log}",
            child.id()
        ));
        return Exit::Done;
    }
    // It did not come to that, and has said why.
    child.wait().map_or_else(failed, |status| Exit::of_code(status.code()))
}

/// Leaves the terminal with the first record, which is durable then, and goes on in a file.
pub(super) struct Leaving {
    dir: RunDir,
    lines: Option<Lines<File>>,
}

impl Leaving {
    pub(super) fn new(dir: &RunDir) -> Self {
        Self { dir: dir.clone(), lines: None }
    }

    fn lines(&mut self) -> io::Result<&mut Lines<File>> {
        if self.lines.is_none() {
            let path = self.dir.lines();
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            // Fails only for who leads a session already.
            let _ = rustix::process::setsid();
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            rustix::stdio::dup2_stderr(&file)?;
            let said = format!("{}\n{}\n", spoken(&self.dir), path.display());
            // Who started this process may be gone.
            let _ = io::stdout().write_all(said.as_bytes());
            let _ = io::stdout().flush();
            rustix::stdio::dup2_stdout(&file)?;
            self.lines = Some(Lines::new(file));
        }
        self.lines.as_mut().ok_or_else(|| io::ErrorKind::Other.into())
    }
}

impl Reporter for Leaving {
    fn record(&mut self, view: &View, record: &Record) -> io::Result<()> {
        self.lines()?.record(view, record)
    }

    fn volatile(&mut self, _: &View, _: Now, _: &Volatile) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: &View, _: Now) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, view: &View, now: Now) -> io::Result<()> {
        self.lines.as_mut().map_or(Ok(()), |lines| lines.end(view, now))
    }

    fn flush(&mut self) -> Result<(), Unsaid> {
        self.lines.as_mut().map_or(Ok(()), Lines::flush)
    }
}
