use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dr_plugin::job::{Answer, Capture, Ended, Request, Transport, TransportError, any_shell_line};
use dr_plugin::{CallError, Stream};

use crate::channel::{Closed, Feed, Sink, run};
use crate::pool::Pool;
use crate::target::Target;

/// Where and as whom the runner acts for one call.
pub(crate) struct Remote<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) target: &'a Target,
    /// Name of the job's folder.
    pub(crate) folder: String,
    /// Folder of all jobs; empty: the usual place.
    pub(crate) jobs: String,
    /// The user to become.
    pub(crate) becomes: Option<String>,
    touched: AtomicBool,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(
        pool: &'a Pool,
        target: &'a Target,
        folder: String,
        jobs: String,
        becomes: Option<String>,
    ) -> Self {
        Self { pool, target, folder, jobs, becomes, touched: AtomicBool::new(false) }
    }

    /// The line that performs `request` there, whatever the login shell is.
    pub(crate) fn line(&self, request: &Request) -> String {
        any_shell_line(
            Request::text(),
            &request.args(&self.folder, &self.jobs),
            self.becomes.as_deref(),
        )
    }

    /// The error of a host on which not even the runner came to run.
    pub(crate) fn refused(&self, said: &Capture) -> CallError {
        let place = self.target.place();
        let mut error = match &self.becomes {
            Some(user) => CallError::denied(
                "become_refused",
                format!("{place} does not let the login become `{user}`"),
            )
            .with_help("allow it in `sudoers` without a password (`NOPASSWD`), and install sudo"),
            None => {
                CallError::denied("no_shell", format!("{place} runs no commands for this login"))
                    .with_help("give the login a shell, or use another login")
            }
        };
        error.causes = said.last_lines();
        error
    }

    /// The error of a connection that ended while a command ran.
    pub(crate) fn lost(&self, why: &dyn std::fmt::Display) -> CallError {
        CallError::unknown(
            "connection_lost",
            format!("the connection to {} was lost", self.target.place()),
        )
        .with_cause(&why)
    }
}

#[async_trait]
impl Transport for Remote<'_> {
    async fn perform(&self, request: &Request) -> Result<Answer, TransportError> {
        let (lease, mut channel) = self
            .pool
            .open(self.target)
            .await
            .map_err(|error| TransportError { sent: false, error })?;
        let is_launch = matches!(request, Request::Launch { .. });
        let touched_before = self.touched.fetch_or(is_launch, Ordering::AcqRel);
        let mut sink =
            Answering { folder: &self.folder, out: Vec::new(), said: Capture::default() };
        let mut feed = Feed::new(request.stdin().to_vec(), None);
        let line = self.line(request);
        let closed = run(lease.connection(), &mut channel, &line, &mut feed, &mut sink).await;
        drop(channel);
        if let Ok(Closed::InOrder(Some(_))) = closed {
            lease.give_back();
        }
        if let Some(answer) = Answer::parse(&sink.out, &self.folder) {
            return Ok(answer);
        }
        match closed {
            Ok(Closed::InOrder(Some(Ended::Code(code)))) if code != 0 => {
                self.touched.store(touched_before, Ordering::Release);
                Err(TransportError { sent: false, error: self.refused(&sink.said) })
            }
            Ok(_) => {
                Err(TransportError { sent: true, error: self.lost(&"the answer did not arrive") })
            }
            Err(error) => Err(TransportError { sent: true, error: self.lost(&error) }),
        }
    }

    fn touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }
}

/// Gathers an answer of the runner.
struct Answering<'a> {
    folder: &'a str,
    out: Vec<u8>,
    /// What the host said instead.
    said: Capture,
}

/// Far more than any answer: what goes on for longer is none.
const LONGEST: usize = 4 * 1024 * 1024;

impl Sink for Answering<'_> {
    fn take(&mut self, stream: Stream, chunk: &[u8]) -> std::io::Result<()> {
        self.said.push(chunk);
        if stream == Stream::Stdout {
            self.out.extend_from_slice(chunk);
        }
        if self.out.len() > LONGEST {
            return Err(std::io::Error::other("the host talks without end"));
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        Answer::parse(&self.out, self.folder).is_some()
    }
}
