use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::LONG;

/// The real `dr`, in a temporary folder of its own, with an environment of its own.
#[derive(Debug)]
pub struct Dr {
    binary: PathBuf,
    folder: TempDir,
    environment: BTreeMap<OsString, OsString>,
}

/// One command, not started yet.
#[derive(Debug)]
pub struct Invocation<'a> {
    dr: &'a Dr,
    command: Command,
}

/// One command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    folder: PathBuf,
    stdout: Pipe,
    stderr: Pipe,
}

/// One command that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none if a signal killed it.
    pub code: Option<i32>,
    /// What it printed, the folder's path replaced by `[DIR]`.
    pub stdout: String,
    /// What it said besides, the folder's path replaced by `[DIR]`.
    pub stderr: String,
}

impl Dr {
    /// `binary` in a new folder. Tests give it `env!("CARGO_BIN_EXE_dr")`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let folder = tempfile::Builder::new().prefix("dr-run-").tempdir().unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let environment = [
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
            ("HOME".into(), home.into_os_string()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TZ".into(), "UTC".into()),
            ("COLUMNS".into(), "100".into()),
        ];
        Self { binary: binary.into(), folder, environment: environment.into() }
    }

    /// Writes `runbook.yaml`.
    #[must_use]
    pub fn runbook(self, text: &str) -> Self {
        self.file("runbook.yaml", text)
    }

    /// Writes a file, with the folders above it.
    #[must_use]
    pub fn file(self, path: impl AsRef<Path>, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Copies a file or a folder of the repository to the same name here.
    #[must_use]
    pub fn copy(self, from: impl AsRef<Path>) -> Self {
        let from = from.as_ref();
        copy(from, &self.path(from.file_name().unwrap()));
        self
    }

    /// Sets a variable for every command.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// The folder, in which every command runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of something in the folder.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder().join(path)
    }

    /// The text of a file in the folder.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The folder of the latest run.
    pub fn last_run(&self) -> PathBuf {
        let runs = fs::read_dir(self.path(".dr/runs")).expect("there is no run");
        let folders = runs.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        folders
            .max_by_key(|path| fs::metadata(path.join("plan.json")).and_then(|m| m.modified()).ok())
            .expect("there is no run")
    }

    /// A command with these arguments.
    pub fn args<A: Into<OsString>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Invocation<'_> {
        let mut command = Command::new(&self.binary);
        command.args(arguments.into_iter().map(Into::into)).current_dir(self.folder());
        command.env_clear().envs(&self.environment).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Invocation { dr: self, command }
    }
}

impl Invocation<'_> {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.command.arg(argument.into());
        self
    }

    /// Adds `--input name=value`.
    #[must_use]
    pub fn input(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arg("--input").arg(format!("{name}={value}"))
    }

    /// Sets a variable for this command.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.command.env(name.into(), value.into());
        self
    }

    /// Types it in a folder below.
    #[must_use]
    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(self.dr.path(folder));
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it takes longer than [`LONG`].
    pub fn run(self) -> Ended {
        self.spawn().finish()
    }

    /// Starts it on a terminal of its own, which is gone when this process is killed. What it
    /// shows is its standard output.
    pub fn on_terminal(mut self) -> Running {
        let quoted =
            |part: &std::ffi::OsStr| format!("'{}'", part.to_str().unwrap().replace('\'', r"'\''"));
        let words: Vec<_> =
            [self.command.get_program()].into_iter().chain(self.command.get_args()).collect();
        let line: Vec<_> = words.into_iter().map(quoted).collect();
        let mut command = Command::new("script");
        command.args(["-qefc", &format!("exec {}", line.join(" ")), "/dev/null"]);
        command.current_dir(self.dr.folder()).env_clear().envs(&self.dr.environment);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self.spawn()
    }

    /// Starts it with a reader of its standard output that goes away after the first bytes.
    pub fn reader_leaves(mut self) -> Running {
        let (reader, writer) = std::io::pipe().unwrap();
        self.command.stdout(writer);
        let running = self.spawn();
        std::thread::spawn(move || {
            let mut reader = reader;
            let _ = reader.read(&mut [0; 16]);
        });
        running
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        let program = self.command.get_program().to_owned();
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("starting {}: {error}", program.display()));
        let stdout = match child.stdout.take() {
            Some(stdout) => Pipe::read(stdout),
            None => Pipe::read(std::io::empty()),
        };
        let stderr = Pipe::read(child.stderr.take().unwrap());
        Running { child, folder: self.dr.folder().to_owned(), stdout, stderr }
    }
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Types at its terminal.
    pub fn types(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().expect("it has a terminal");
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for a line on its standard output that contains `text`.
    ///
    /// # Panics
    /// When it ends without that line, or after [`LONG`].
    pub fn shows(&self, text: &str) -> String {
        let found = self.stdout.wait(|line| line.contains(text).then(|| line.to_owned()));
        found.unwrap_or_else(|| panic!("it did not show {text:?}:\n{}", self.stdout.text()))
    }

    /// Waits for the first event (a line of `--format json`) that `wanted` accepts.
    ///
    /// # Panics
    /// When it ends without that event, or after [`LONG`].
    pub fn event(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found =
            self.stdout.wait(|line| serde_json::from_str(line).ok().filter(|event| wanted(event)));
        found.unwrap_or_else(|| {
            panic!(
                "no such event\nstdout:\n{}\nstderr:\n{}",
                self.stdout.text(),
                self.stderr.text()
            )
        })
    }

    /// Waits for the first line on its standard error that contains `text`.
    ///
    /// # Panics
    /// When it ends without that line, or after [`LONG`].
    pub fn says(&self, text: &str) -> String {
        let found = self.stderr.wait(|line| line.contains(text).then(|| line.to_owned()));
        found.unwrap_or_else(|| panic!("it did not say {text:?}:\n{}", self.stderr.text()))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills it with SIGKILL, as a crash would, and gives what it had printed.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.collect()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than [`LONG`].
    pub fn finish(mut self) -> Ended {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if start.elapsed() > LONG {
                self.child.kill().unwrap();
                panic!("it did not end\n{}\n{}", self.stdout.text(), self.stderr.text());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.collect()
    }

    fn collect(&mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let folder = self.folder.display().to_string();
        let text = |pipe: &mut Pipe| pipe.finish().replace(&folder, "[DIR]");
        Ended { code, stdout: text(&mut self.stdout), stderr: text(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts the exit code.
    #[track_caller]
    pub fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "{self}");
        self
    }

    /// Asserts that standard output contains `text`.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "stdout lacks {text:?}\n{self}");
        self
    }

    /// Asserts that standard error contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}\n{self}");
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// Standard output as one JSON value a line: the events of a run.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}\n{self}"));
        self.stdout.lines().map(line).collect()
    }
}

/// All of it, for snapshots.
impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code {code}")?,
            None => writeln!(f, "killed")?,
        }
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// What comes out of a process, line by line as it comes.
#[derive(Debug)]
struct Pipe {
    lines: Arc<(Mutex<Lines>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

/// How a line ends that asks for a secret: nothing follows before it is answered.
const QUESTION: &[u8] = b"while you type): ";

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    closed: bool,
}

impl Lines {
    fn push(&mut self, line: &[u8]) {
        self.lines.push(String::from_utf8_lossy(line).into_owned());
    }
}

impl Pipe {
    fn read(from: impl Read + Send + 'static) -> Self {
        let lines = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let reader = std::thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                let mut from = BufReader::new(from);
                let mut line = Vec::new();
                while let Ok(bytes @ [_, ..]) = from.fill_buf() {
                    // A terminal that is redrawn goes back to the start of its lines.
                    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    let count = end.map_or(bytes.len(), |end| end + 1);
                    line.extend_from_slice(&bytes[..count]);
                    from.consume(count);
                    if end.is_some() || line.ends_with(QUESTION) {
                        lines.0.lock().unwrap().push(&line);
                        lines.1.notify_all();
                        line.clear();
                    }
                }
                if !line.is_empty() {
                    lines.0.lock().unwrap().push(&line);
                }
                lines.0.lock().unwrap().closed = true;
                lines.1.notify_all();
            }
        });
        Self { lines, reader: Some(reader) }
    }

    fn wait<T>(&self, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let start = Instant::now();
        let mut seen = 0;
        let mut lines = self.lines.0.lock().unwrap();
        loop {
            if let Some(found) = lines.lines[seen..].iter().find_map(|line| look(line)) {
                return Some(found);
            }
            seen = lines.lines.len();
            let left = LONG.saturating_sub(start.elapsed());
            if lines.closed || left.is_zero() {
                return None;
            }
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    fn text(&self) -> String {
        self.lines.0.lock().unwrap().lines.concat()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}
