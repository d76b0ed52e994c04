use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dr_plugin::job::{
    Answer, Capture, CommandOutput, Ended, Marker, MarkerFilter, Request, Task, Transport as _,
    finish, not_executed,
};
use dr_plugin::{CallError, CancelLevel, Context, ErrorClass, Stream};
use tokio::time::{sleep, timeout};

use crate::channel::{Closed, Digested, Feed, Sink, run};
use crate::job::Remote;

/// From asking a group to end to ending it.
const GRACE: Duration = Duration::from_millis(1_200);

/// Where the standard output of a command goes.
pub(crate) enum Out {
    /// It is part of the result.
    Result(Capture),
    /// It is a file, of which only size and digest are told.
    File(File, Digested),
}

/// A command that lives while its connection lasts.
pub(crate) struct Direct<'a> {
    pub(crate) remote: &'a Remote<'a>,
    pub(crate) task: &'a Task,
    pub(crate) exit_codes: &'a [i32],
    pub(crate) limit: Option<Duration>,
    pub(crate) context: &'a Context,
}

impl Direct<'_> {
    /// Runs the command and gives its result.
    pub(crate) async fn run(&self) -> Result<CommandOutput, CallError> {
        let mut out = Out::Result(Capture::default());
        let mut feed = Feed::new(self.request().stdin().to_vec(), None);
        self.run_with(&mut feed, &mut out).await
    }

    /// Runs the command with a file as the rest of its input.
    pub(crate) async fn run_fed(&self, file: File) -> Result<Digested, CallError> {
        let mut out = Out::Result(Capture::default());
        let mut feed = Feed::new(self.request().stdin().to_vec(), Some(file));
        self.run_with(&mut feed, &mut out).await?;
        Ok(feed.digest)
    }

    /// Runs the command with its output going to `out`.
    pub(crate) async fn run_into(&self, out: &mut Out) -> Result<(), CallError> {
        let mut feed = Feed::new(self.request().stdin().to_vec(), None);
        self.run_with(&mut feed, out).await.map(|_| ())
    }

    fn request(&self) -> Request {
        Request::Direct { payload: self.task.for_direct() }
    }

    async fn run_with(&self, feed: &mut Feed, out: &mut Out) -> Result<CommandOutput, CallError> {
        let started = now();
        let sent = AtomicBool::new(false);
        let mut sink = Listening {
            filters: [
                MarkerFilter::new(&self.remote.folder),
                MarkerFilter::new(&self.remote.folder),
            ],
            out,
            err: Capture::default(),
            said: Capture::default(),
            context: self.context,
            group: None,
            not_executed: None,
            end: None,
        };
        let mut cancel = self.context.cancel.clone();
        let limit = async {
            match self.limit {
                Some(limit) => sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let stop = tokio::select! {
            biased;
            closed = self.converse(feed, &mut sink, &sent) => Ok(closed),
            level = cancel.cancelled() => Err(Some(level)),
            () = limit => Err(None),
        };
        match stop {
            Ok(closed) => {
                let ms = (now() - started).as_millis() as u64;
                self.outcome(&closed, sink, ms)
            }
            Err(level) => Err(self.stopped(level, sink, sent.into_inner()).await),
        }
    }

    /// Opens a channel and runs the command on it.
    async fn converse(
        &self,
        feed: &mut Feed,
        sink: &mut Listening<'_>,
        sent: &AtomicBool,
    ) -> Result<Closed, CallError> {
        let (lease, mut channel) = self.remote.pool.open(self.remote.target).await?;
        let line = self.remote.line(&self.request());
        sent.store(true, Ordering::Release);
        let closed = run(lease.connection(), &mut channel, &line, feed, sink).await;
        drop(channel);
        if let Ok(Closed::InOrder(Some(_))) = closed {
            lease.give_back();
        }
        closed.map_err(|error| self.remote.lost(&error))
    }

    fn outcome(
        &self,
        closed: &Result<Closed, CallError>,
        mut sink: Listening<'_>,
        ms: u64,
    ) -> Result<CommandOutput, CallError> {
        sink.flush().map_err(|error| {
            CallError::permanent("write_failed", "the output cannot be written here")
                .with_cause(&error)
        })?;
        if let Some(why) = &sink.not_executed {
            let command = self.task.argv.first().map_or("", String::as_str);
            return Err(not_executed(why, command, self.task.cwd.as_deref(), &sink.err));
        }
        let ended = match (sink.end, closed) {
            (Some(status), _) => Ended::of_shell_status(status),
            (None, Ok(Closed::InOrder(Some(signal @ Ended::Signal(_))))) => *signal,
            (None, Ok(Closed::InOrder(Some(Ended::Code(code)))))
                if *code != 0 && sink.group.is_none() =>
            {
                return Err(self.remote.refused(&sink.said));
            }
            (None, Ok(_)) => return Err(self.remote.lost(&"the end was not reported")),
            (None, Err(error)) => return Err(error.clone()),
        };
        let nothing = Capture::default();
        let stdout = match &*sink.out {
            Out::Result(capture) => capture,
            Out::File(..) => &nothing,
        };
        finish(ended, self.exit_codes, stdout, &sink.err, ms)
    }

    async fn stopped(
        &self,
        level: Option<CancelLevel>,
        sink: Listening<'_>,
        sent: bool,
    ) -> CallError {
        let limit = self.limit.unwrap_or_default().as_millis();
        if !sent {
            return match level {
                Some(_) => CallError::cancelled("stopped before it was started"),
                None => CallError::transient(
                    "unreachable",
                    format!("{} was not reached within {limit} ms", self.remote.target.place()),
                ),
            };
        }
        if level == Some(CancelLevel::Detach) {
            return CallError::new(
                ErrorClass::Cancelled,
                "detached",
                "not a job: the connection was ended, the command may go on there",
            );
        }
        let how = if self.end(sink.group.as_deref()).await {
            "its process group was ended (confirmed)"
        } else {
            "the end of its process group is not confirmed"
        };
        let mut error = match level {
            Some(_) => CallError::cancelled(format!("stopped on request; {how}")),
            None => CallError::unknown(
                "timeout",
                format!("the command did not finish within {limit} ms; {how}"),
            ),
        };
        error.causes = sink.err.last_lines();
        error
    }

    /// Ends the group over another connection: this one cannot carry signals.
    async fn end(&self, group: Option<&str>) -> bool {
        let Some(group) = group else { return false };
        let request = Request::End { group: group.to_owned(), grace: GRACE };
        let limit = request.takes() + Duration::from_secs(3);
        matches!(timeout(limit, self.remote.perform(&request)).await, Ok(Ok(Answer::Ended(true))))
    }
}

/// Takes a command's output and what the runner says about it.
struct Listening<'a> {
    filters: [MarkerFilter; 2],
    out: &'a mut Out,
    err: Capture,
    /// All that came, for when the runner says nothing.
    said: Capture,
    context: &'a Context,
    group: Option<String>,
    not_executed: Option<String>,
    end: Option<i32>,
}

impl Listening<'_> {
    fn keep(&mut self, stream: Stream, own: &[u8]) -> std::io::Result<()> {
        if own.is_empty() {
            return Ok(());
        }
        match (stream, &mut *self.out) {
            (Stream::Stderr, _) => self.err.push(own),
            (Stream::Stdout, Out::Result(capture)) => capture.push(own),
            (Stream::Stdout, Out::File(file, digest)) => {
                digest.take(own);
                return file.write_all(own);
            }
        }
        self.context.progress.output(stream, own);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let [out, err] = &mut self.filters;
        let (out, err) = (out.rest(), err.rest());
        self.keep(Stream::Stdout, &out)?;
        self.keep(Stream::Stderr, &err)
    }
}

impl Sink for Listening<'_> {
    fn take(&mut self, stream: Stream, chunk: &[u8]) -> std::io::Result<()> {
        if self.group.is_none() {
            self.said.push(chunk);
        }
        let filter = match stream {
            Stream::Stdout => &mut self.filters[0],
            Stream::Stderr => &mut self.filters[1],
        };
        let (own, markers) = filter.push(chunk);
        for marker in markers {
            match marker {
                Marker::Begin(group) if stream == Stream::Stdout => self.group = Some(group),
                Marker::Begin(_) => {}
                Marker::NotExecuted(why) => self.not_executed = Some(why),
                Marker::End(status) => self.end = Some(status),
            }
        }
        self.keep(stream, &own)
    }

    fn is_over(&self) -> bool {
        self.end.is_some()
    }
}

#[expect(clippy::disallowed_methods, reason = "the duration of the command is measured here")]
fn now() -> Instant {
    Instant::now()
}
