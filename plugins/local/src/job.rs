use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dr_plugin::CallError;
use dr_plugin::job::{
    Answer, JobState, Report, Request, Transport, TransportError, job_dir, shell_args,
};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::sleep;

/// Most bytes of each stream that one look takes.
const CHUNK: u64 = 256 * 1024;
/// Every so many looks without an end, the runner itself is asked whether the job still lives.
const LOOKS: u32 = 4;

/// A job on this machine: the runner is asked to act, its files are read directly.
pub(crate) struct LocalJob {
    folder: String,
    jobs: PathBuf,
    touched: AtomicBool,
    looks: AtomicU32,
}

impl LocalJob {
    /// The job `folder` under the configured job folder.
    pub(crate) fn new(folder: String, configured: Option<&str>) -> Result<Self, CallError> {
        let jobs = place(&job_dir(configured)?)?;
        Ok(Self { folder, jobs, touched: AtomicBool::new(false), looks: AtomicU32::new(0) })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.jobs.join(&self.folder).join(name)
    }

    /// Waits for the record of the end, first in short steps.
    async fn wait(&self, limit: Duration) {
        let record = self.path("rc");
        let mut pause = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while waited < limit && !record.exists() {
            sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// What the files say, if they say how it ended or that it was started.
    fn look(&self, out: u64, err: u64) -> Option<Report> {
        let state = match std::fs::read_to_string(self.path("rc")) {
            Ok(record) => JobState::parse(&record)?,
            Err(_) if self.path("owner").exists() => JobState::Running,
            Err(_) => return None,
        };
        let (out_size, out) = tail(&self.path("out"), out);
        let (err_size, err) = tail(&self.path("err"), err);
        Some(Report { state, out_size, err_size, out, err })
    }

    async fn ask(&self, request: &Request) -> Result<Answer, TransportError> {
        let failed = |sent, error: std::io::Error| TransportError {
            sent,
            error: CallError::unknown("job_runner", "the job runner did not answer")
                .with_cause(&error),
        };
        let jobs = self.jobs.to_string_lossy();
        let mut child = Command::new("/bin/sh")
            .args(shell_args(request, &self.folder, &jobs))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| TransportError {
                sent: false,
                error: CallError::permanent("no_shell", "`/bin/sh` cannot be executed")
                    .with_cause(&error),
            })?;
        self.touched.store(true, Ordering::Release);
        if let Some(mut input) = child.stdin.take() {
            input.write_all(request.stdin()).await.map_err(|error| failed(true, error))?;
        }
        let output = child.wait_with_output().await.map_err(|error| failed(true, error))?;
        Answer::parse(&output.stdout, &self.folder).ok_or_else(|| TransportError {
            sent: true,
            error: CallError::unknown("job_runner", "the job runner did not answer"),
        })
    }

    /// Whether anything is kept of it under its own name.
    pub(crate) fn is_kept(&self) -> bool {
        self.path("").exists()
    }

    /// Removes folders of jobs that were to be removed by a process that has ended meanwhile:
    /// `.gone.JOB.PROCESS`.
    pub(crate) fn sweep(&self) {
        for entry in std::fs::read_dir(&self.jobs).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let process = name.to_str().filter(|name| name.starts_with(".gone."));
            let process = process.and_then(|name| name.rsplit_once('.')?.1.parse().ok());
            let Some(process) = process.and_then(rustix::process::Pid::from_raw) else { continue };
            let ended = rustix::process::test_kill_process(process) == Err(rustix::io::Errno::SRCH);
            if ended && let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::debug!(%error, "the job's folder is left");
            }
        }
    }

    /// Removes the folder of a job that is over, without asking the runner.
    fn remove(&self) -> bool {
        let aside = self.jobs.join(format!(".gone.{}.{}", self.folder, std::process::id()));
        self.path("rc").exists()
            && std::fs::rename(self.path(""), &aside).is_ok()
            && std::fs::remove_dir_all(&aside).is_ok()
    }
}

#[async_trait]
impl Transport for LocalJob {
    async fn perform(&self, request: &Request) -> Result<Answer, TransportError> {
        match request {
            Request::Launch { payload, wait } => {
                let at_once = Request::Launch { payload: payload.clone(), wait: Duration::ZERO };
                let answer = self.ask(&at_once).await?;
                if !matches!(answer, Answer::Report(Report { state: JobState::Running, .. })) {
                    return Ok(answer);
                }
                self.wait(*wait).await;
                Ok(self.look(0, 0).map_or(answer, Answer::Report))
            }
            Request::Poll { wait, out, err } => {
                self.wait(*wait).await;
                let report = self.look(*out, *err);
                let running = report.as_ref().is_some_and(|r| r.state == JobState::Running);
                let due = self.looks.fetch_add(1, Ordering::Relaxed) % LOOKS == LOOKS - 1;
                match report {
                    Some(report) if !running || (!wait.is_zero() && !due) => {
                        Ok(Answer::Report(report))
                    }
                    _ => {
                        self.ask(&Request::Poll { wait: Duration::ZERO, out: *out, err: *err })
                            .await
                    }
                }
            }
            Request::Remove if self.remove() => Ok(Answer::Removed(true)),
            _ => self.ask(request).await,
        }
    }

    fn touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }
}

/// The size of a file, and what it holds from `offset` on.
fn tail(path: &Path, offset: u64) -> (u64, Vec<u8>) {
    let read = || -> std::io::Result<(u64, Vec<u8>)> {
        let mut file = std::fs::File::open(path)?;
        let size = file.metadata()?.len();
        if size <= offset {
            return Ok((size, Vec::new()));
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(CHUNK.min(size - offset)).read_to_end(&mut bytes)?;
        Ok((size, bytes))
    };
    read().unwrap_or((0, Vec::new()))
}

/// The folder of all jobs on this machine.
#[expect(clippy::disallowed_methods, reason = "the user's folders are named by the environment")]
fn place(configured: &str) -> Result<PathBuf, CallError> {
    let home = || {
        std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()).ok_or_else(
            || {
                CallError::permanent("job_dir", "the user has no home folder for jobs").with_help(
                    "set `job_dir` of the plugin `local`, or say `detach: false` on the step",
                )
            },
        )
    };
    if let Some(below) = configured.strip_prefix("~/") {
        return Ok(home()?.join(below));
    }
    if !configured.is_empty() {
        return Ok(PathBuf::from(configured));
    }
    match std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(state) => Ok(state.join("dr/jobs")),
        None => Ok(home()?.join(".local/state/dr/jobs")),
    }
}
