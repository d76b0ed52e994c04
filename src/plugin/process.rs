use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::protocol::{CallFrame, CancelFrame, MAX_FRAME, Method, Reply, Request, ResultFrame};
use dr_plugin::{
    Call, CallError, CancelLevel, Checked, Context, Manifest, PROTOCOL, Plugin, Preview,
};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::open_calls::OpenCalls;

/// How long a process may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long a call may take to end after it was cancelled.
const GRACE: Duration = Duration::from_millis(1_500);
/// Warm processes kept for the next call.
const WARM: usize = 4;
/// Bytes of standard error that are kept for an error's causes.
const STDERR_TAIL: usize = 4 * 1024;

/// An executable `dr-plugin-NAME` as a [`Plugin`]. A process serves one call at a time; a few stay
/// warm between calls. A process that misbehaves costs one call.
pub struct ProcessPlugin {
    path: PathBuf,
    manifest: Manifest,
    /// Variables that the process sees: the ones its manifest lists, as `dr` has them.
    environment: Vec<(OsString, OsString)>,
    warm: Mutex<Vec<Worker>>,
    open_calls: OpenCalls,
}

/// One live process.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// What was read of the next line.
    line: Vec<u8>,
    group: Option<rustix::process::Pid>,
    calls: u64,
}

impl ProcessPlugin {
    /// A plugin that is started when it is first called.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a plugin sees the variables that it lists")]
    pub fn new(path: PathBuf, manifest: Manifest) -> Self {
        let environment = manifest
            .environment
            .iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .collect();
        Self {
            path,
            manifest,
            environment,
            warm: Mutex::default(),
            open_calls: OpenCalls::default(),
        }
    }

    /// The same plugin, seeing these variables instead of those of `dr`.
    #[must_use]
    pub fn with_environment<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment =
            environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self
    }

    /// The same plugin, whose calls are kept there while they last.
    #[must_use]
    pub fn kept_in(mut self, open_calls: OpenCalls) -> Self {
        self.open_calls = open_calls;
        self
    }

    /// The executable.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn worker(&self) -> Result<Worker, CallError> {
        let warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match warm {
            Some(worker) => Ok(worker),
            None => self.start().await,
        }
    }

    fn keep(&self, worker: Worker) {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if warm.len() < WARM {
            warm.push(worker);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this module starts the processes of plugins")]
    async fn start(&self) -> Result<Worker, CallError> {
        let mut command = Command::new(&self.path);
        command
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            CallError::permanent(
                "plugin_not_started",
                format!("{} could not be started: {error}", self.path.display()),
            )
            .with_help("`dr plugins` shows where plugins are looked for")
        })?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(mut errors)) = streams else {
            return Err(CallError::permanent("plugin_not_started", "no pipes to the plugin"));
        };
        let stderr: Arc<Mutex<Vec<u8>>> = Arc::default();
        let tail = Arc::clone(&stderr);
        tokio::spawn(async move {
            let mut chunk = [0_u8; 1024];
            while let Ok(count @ 1..) = errors.read(&mut chunk).await {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.extend_from_slice(&chunk[..count]);
                let surplus = tail.len().saturating_sub(STDERR_TAIL);
                tail.drain(..surplus);
            }
        });
        let output = BufReader::with_capacity(64 * 1024, output);
        let mut worker = Worker {
            group: child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)),
            child,
            input,
            output,
            stderr,
            line: Vec::new(),
            calls: 0,
        };
        match tokio::time::timeout(HELLO, worker.greet(&self.manifest)).await {
            Ok(Ok(())) => Ok(worker),
            Ok(Err(error)) => Err(self.blame(worker, error).await),
            Err(_) => {
                let error = CallError::permanent(
                    "plugin_silent",
                    format!("it did not say hello within {} s", HELLO.as_secs()),
                );
                Err(self.blame(worker, error).await)
            }
        }
    }

    /// Ends the process group and puts what the process said into the error.
    async fn blame(&self, mut worker: Worker, error: CallError) -> CallError {
        let ended = worker.kill().await;
        let mut error = CallError {
            message: format!("plugin {}: {}", self.path.display(), error.message),
            ..error
        };
        if let Some(status) = ended {
            error = error.with_cause(&format!("the process ended with {status}"));
        }
        let tail = worker.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = tail.lines().collect();
        for line in &lines[lines.len().saturating_sub(5)..] {
            error = error.with_cause(line);
        }
        error
    }

    async fn call(
        &self,
        method: Method,
        call: &Call,
        context: &Context,
    ) -> Result<ResultFrame, CallError> {
        let mut worker = self.worker().await?;
        worker.calls += 1;
        let id = worker.calls;
        let kept =
            worker.group.map(|group| self.open_calls.open(group, &self.path, &call.key.step));
        let _open = kept.transpose().map_err(|error| {
            CallError::permanent(
                "call_not_kept",
                format!(
                    "the call could not be kept in the run's folder, and was not made: {error}"
                ),
            )
        })?;
        let frame = Request::Call(Box::new(CallFrame::new(id, method, call)));
        match worker.converse(&frame, id, context).await {
            Ok(result) => {
                self.keep(worker);
                Ok(result)
            }
            Err(error) => Err(self.blame(worker, error).await),
        }
    }
}

impl Worker {
    async fn send(&mut self, frame: &Request) -> Result<(), CallError> {
        let mut line = serde_json::to_vec(frame)
            .map_err(|error| CallError::permanent("bad_input", error.to_string()))?;
        line.push(b'\n');
        if line.len() > MAX_FRAME {
            return Err(CallError::permanent("frame_too_long", "the call is longer than 8 MiB"));
        }
        let sent = async {
            self.input.write_all(&line).await?;
            self.input.flush().await
        };
        sent.await.map_err(|error| {
            CallError::unknown("plugin_ended", format!("it ended while it was asked: {error}"))
        })
    }

    /// The next frame. Safe to drop half way: what was read of a line is kept.
    async fn receive(&mut self) -> Result<Reply, CallError> {
        loop {
            let left = (MAX_FRAME + 1 - self.line.len()) as u64;
            let read = (&mut self.output).take(left).read_until(b'\n', &mut self.line).await;
            let ended = |how: &str| CallError::unknown("plugin_ended", how.to_owned());
            match read {
                Err(error) => return Err(ended(&error.to_string())),
                Ok(_) if self.line.len() > MAX_FRAME => {
                    return Err(CallError::unknown(
                        "frame_too_long",
                        "it sent more than 8 MiB in a line",
                    ));
                }
                Ok(_) if self.line.is_empty() => return Err(ended("it ended without a result")),
                Ok(_) if self.line.last() != Some(&b'\n') => {
                    return Err(ended("it ended within a line"));
                }
                Ok(_) => {}
            }
            let line = std::mem::take(&mut self.line);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return serde_json::from_slice(&line).map_err(|error| {
                CallError::unknown(
                    "plugin_garbled",
                    format!("it sent a line that is no frame: {error}"),
                )
            });
        }
    }

    /// Ends the process group; how the process ended, where that is known.
    async fn kill(&mut self) -> Option<std::process::ExitStatus> {
        // A process that has ended by itself says more by its own status.
        let ended = tokio::time::timeout(Duration::from_millis(100), self.child.wait()).await;
        if let Some(group) = self.group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        match ended {
            Ok(status) => status.ok(),
            Err(_) => self.child.wait().await.ok().and(None),
        }
    }

    async fn greet(&mut self, manifest: &Manifest) -> Result<(), CallError> {
        // Nothing was asked yet: whatever goes wrong here, nothing was applied.
        let nothing_applied =
            |error: CallError| CallError { class: dr_plugin::ErrorClass::Permanent, ..error };
        self.send(&Request::Hello { protocol: PROTOCOL }).await.map_err(nothing_applied)?;
        match self.receive().await.map_err(nothing_applied)? {
            Reply::Hello { protocol, .. } if protocol != PROTOCOL => Err(CallError::permanent(
                "protocol_version",
                format!(
                    "it speaks version {protocol} of the plugin protocol, dr speaks {PROTOCOL}"
                ),
            )
            .with_help("install the plugin that belongs to this version of dr")),
            Reply::Hello { manifest: said, .. } if said.version != manifest.version => {
                Err(CallError::permanent(
                    "plugin_changed",
                    format!("it is version {}, planned was {}", said.version, manifest.version),
                )
                .with_help("plan again"))
            }
            Reply::Hello { .. } => Ok(()),
            _ => Err(CallError::permanent("plugin_garbled", "its first frame is no hello")),
        }
    }

    async fn converse(
        &mut self,
        frame: &Request,
        id: u64,
        context: &Context,
    ) -> Result<ResultFrame, CallError> {
        self.send(frame).await?;
        let mut cancel = context.cancel.clone();
        let mut until = None;
        loop {
            let reply = tokio::select! {
                reply = self.receive() => reply?,
                level = cancel.cancelled(), if until.is_none() => {
                    let level = match level {
                        CancelLevel::Detach => CancelFrame::Detach,
                        CancelLevel::Stop | CancelLevel::None => CancelFrame::Stop,
                    };
                    self.send(&Request::Cancel { id, level }).await?;
                    until = Some(Box::pin(tokio::time::sleep(GRACE)));
                    continue;
                }
                () = async { match until.as_mut() { Some(timer) => timer.await, None => std::future::pending().await } } => {
                    return Err(CallError::unknown("plugin_ignored_cancel", "it did not end when it was asked to, and was killed"));
                }
            };
            match reply {
                Reply::Result(result) if result.id == id => return Ok(*result),
                Reply::Progress { id: of, message, share } if of == id => {
                    context.progress.progress(&message, share);
                }
                Reply::Output { id: of, stream, text } if of == id => {
                    context.progress.output(stream, text.as_bytes());
                }
                _ => {}
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// The part of a result that a method answers with.
fn part<T>(part: Option<T>, result: &ResultFrame) -> Result<T, CallError> {
    if let Some(part) = part {
        return Ok(part);
    }
    Err(result.error.clone().unwrap_or_else(|| {
        CallError::unknown(
            "plugin_garbled",
            "the plugin answered with neither a result nor an error",
        )
    }))
}

#[async_trait]
impl Plugin for ProcessPlugin {
    fn manifest(&self) -> Manifest {
        self.manifest.clone()
    }

    async fn preview(&self, call: &Call, context: &Context) -> Result<Preview, CallError> {
        let mut result = self.call(Method::Preview, call, context).await?;
        part(result.preview.take(), &result)
    }

    async fn apply(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let mut result = self.call(Method::Apply, call, context).await?;
        part(result.applied.take(), &result)
    }

    async fn check(&self, call: &Call, context: &Context) -> Result<Checked, CallError> {
        let mut result = self.call(Method::Check, call, context).await?;
        part(result.checked.take(), &result)
    }

    async fn undo(&self, call: &Call, context: &Context) -> Result<Value, CallError> {
        let mut result = self.call(Method::Undo, call, context).await?;
        part(result.applied.take(), &result)
    }

    async fn forget(&self, call: &Call) {
        let Ok(mut worker) = self.worker().await else { return };
        let frame = CallFrame::new(0, Method::Apply, call);
        if worker.send(&Request::Forget { call: Box::new(frame) }).await.is_ok() {
            self.keep(worker);
        }
    }

    async fn close(&self) {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
