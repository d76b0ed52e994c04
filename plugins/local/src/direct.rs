use std::cell::RefCell;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use dr_plugin::job::{Capture, CommandOutput, Ended, Task, finish, not_executed};
use dr_plugin::{CallError, CancelLevel, Context, ErrorClass, Stream};
use tokio::io::{AsyncRead, AsyncWriteExt as _, ReadBuf};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::group::Group;

/// From asking a group to end to ending it.
pub(crate) const GRACE: Duration = Duration::from_millis(1_500);
/// The same when `dr` itself is going away.
const SHORT_GRACE: Duration = Duration::from_millis(200);
/// After a KILL, until the end of the group counts as not confirmed.
pub(crate) const CONFIRM: Duration = Duration::from_millis(400);
/// After the command has ended, its pipes may be held open by what it left in the background: they
/// are read until they were silent for so long.
const SILENCE: Duration = Duration::from_millis(100);

/// Executes a command that lives and dies with this process, in a process group of its own; `program` is its
/// file, unless the system has to look for it, and `mark` the name of its input (see `left_over`).
pub(crate) async fn run(
    task: &Task,
    program: Option<PathBuf>,
    mark: &str,
    exit_codes: &[i32],
    limit: Option<Duration>,
    context: &Context,
) -> Result<CommandOutput, CallError> {
    let started = now();
    let mut child = spawn(task, program, mark)?;
    let mut group = Group::of(child.id());
    let (mut stdout, mut stderr) = (Capture::default(), Capture::default());
    let mut cancel = context.cancel.clone();
    let stop = {
        let mut work = std::pin::pin!(attend(&mut child, task, context, &mut stdout, &mut stderr));
        let limit = async {
            match limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            status = &mut work => Ok(status),
            level = cancel.cancelled() => Err(Some(level)),
            () = limit => Err(None),
        }
    };
    let level = match stop {
        Ok(status) => {
            group.release();
            let status = status.map_err(|error| {
                CallError::unknown("wait_failed", "the end of the command was not seen")
                    .with_cause(&error)
            })?;
            let duration_ms = (now() - started).as_millis() as u64;
            return finish(ended(status), exit_codes, &stdout, &stderr, duration_ms);
        }
        Err(level) => level,
    };
    let confirmed = end(&mut child, &mut group, level).await;
    let how = if confirmed {
        "its process group was ended (confirmed)"
    } else {
        "its process group was told to end, which is not confirmed"
    };
    let mut error = match (level, limit) {
        (Some(CancelLevel::Detach), _) => CallError::new(
            ErrorClass::Cancelled,
            "detached",
            format!("not a job, so it cannot go on alone; {how}"),
        ),
        (Some(_), _) => CallError::cancelled(format!("stopped on request; {how}")),
        (None, limit) => CallError::unknown(
            "timeout",
            format!(
                "the command did not finish within {} ms; {how}",
                limit.unwrap_or_default().as_millis()
            ),
        ),
    };
    error.causes = stderr.last_lines();
    Err(error)
}

#[expect(clippy::disallowed_methods, reason = "the duration of the command is measured here")]
fn now() -> Instant {
    Instant::now()
}

// Only what std can hand to `posix_spawn` is used: no closure runs between fork and exec.
fn spawn(task: &Task, file: Option<PathBuf>, mark: &str) -> Result<Child, CallError> {
    let (program, args) = task
        .argv
        .split_first()
        .ok_or_else(|| CallError::permanent("bad_input", "`argv` is empty"))?;
    let mut command = file.map_or_else(|| Command::new(program), Command::new);
    command
        .arg0(program)
        .args(args)
        .stdin(if task.stdin.is_empty() { nothing(mark) } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if !task.env.is_empty() {
        command.envs(&task.env);
    }
    if let Some(cwd) = &task.cwd {
        command.current_dir(cwd);
    }
    command.spawn().map_err(|error| {
        let missing = task.cwd.as_deref().filter(|cwd| !std::path::Path::new(cwd).is_dir());
        let nothing = Capture::default();
        let reason = |why| not_executed(why, program, task.cwd.as_deref(), &nothing);
        match error.kind() {
            _ if missing.is_some() => reason("cwd"),
            std::io::ErrorKind::NotFound => reason("127"),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::OutOfMemory => {
                CallError::transient("no_process", "the system has no process left to give")
                    .with_help("lower the parallelism, or raise the limit of processes")
            }
            std::io::ErrorKind::ArgumentListTooLong => {
                CallError::permanent("argv_too_long", "the arguments are too long for the system")
                    .with_help("hand the values over in `stdin`")
            }
            // No permission, or in no format that the system executes.
            _ => reason("126"),
        }
        .with_cause(&error)
    })
}

/// An input that is at its end, and whose name tells whose it is.
fn nothing(mark: &str) -> Stdio {
    #[cfg(target_os = "linux")]
    if let Ok(empty) = rustix::fs::memfd_create(mark, rustix::fs::MemfdFlags::CLOEXEC) {
        return Stdio::from(empty);
    }
    let _ = mark;
    Stdio::null()
}

/// Feeds and reads the command until it has ended and its pipes are closed or silent.
async fn attend(
    child: &mut Child,
    task: &Task,
    context: &Context,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> std::io::Result<ExitStatus> {
    let input = child.stdin.take();
    let out = child.stdout.take();
    let err = child.stderr.take();
    let feed = async move {
        if let Some(mut input) = input {
            // The command need not read all of it.
            let _ = input.write_all(task.stdin.as_bytes()).await;
        }
    };
    let reading = async {
        tokio::join!(
            feed,
            read(out, Stream::Stdout, context, stdout),
            read(err, Stream::Stderr, context, stderr)
        );
    };
    let mut reading = std::pin::pin!(reading);
    tokio::select! {
        biased;
        () = &mut reading => child.wait().await,
        status = child.wait() => {
            // Whatever it wrote is in the pipes already; only who came after it keeps them open.
            let _ = timeout(SILENCE, reading).await;
            status
        }
    }
}

async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    context: &Context,
    capture: &mut Capture,
) {
    let Some(mut pipe) = pipe else { return };
    let mut take = |polled: &mut TaskContext<'_>| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut pipe).poll_read(polled, &mut buffer));
            let bytes = buffer.filled();
            if read.is_err() || bytes.is_empty() {
                return Poll::Ready(false);
            }
            capture.push(bytes);
            context.progress.output(stream, bytes);
            Poll::Ready(true)
        })
    };
    while poll_fn(&mut take).await {}
}

thread_local! {
    /// What is read passes through here within one poll, so that a command needs no memory of its
    /// own for it while it says nothing.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Ends the group; whether nothing of it is left.
async fn end(child: &mut Child, group: &mut Group, level: Option<CancelLevel>) -> bool {
    let grace = if level == Some(CancelLevel::Detach) { SHORT_GRACE } else { GRACE };
    group.terminate();
    let mut gone = collected(child, group, grace).await;
    if !gone {
        group.kill();
        gone = collected(child, group, CONFIRM).await;
    }
    group.release();
    gone
}

/// Waits for the leader, then for the rest of its group.
async fn collected(child: &mut Child, group: &Group, limit: Duration) -> bool {
    let all = async {
        let _ = child.wait().await;
        group.is_gone_within(limit).await
    };
    timeout(limit, all).await.unwrap_or(false)
}

fn ended(status: ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}
