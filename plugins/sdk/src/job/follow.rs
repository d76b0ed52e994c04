use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, JobState, Report};
use super::capture::Capture;
use super::outcome::{CommandOutput, Ended, finish, not_executed};
use super::request::Request;
use super::task::Task;
use super::transport::Transport;
use crate::{CallError, CancelLevel, Checked, Context, ErrorClass, Stream};

/// A job to run or to join.
#[derive(Debug)]
pub struct JobOrder<'a> {
    /// The command.
    pub task: &'a Task,
    /// Exit codes that are no error.
    pub exit_codes: &'a [i32],
    /// After this the job is ended.
    pub timeout: Option<Duration>,
    /// The job is known to have been launched: an unreachable host does not mean "not done".
    pub joined: bool,
}

/// How long the runner waits before its first answer: short commands need one request.
const FIRST_WAIT: Duration = Duration::from_millis(400);
/// The longest that one poll waits for the end.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// From asking a group to end to ending it.
const GRACE: Duration = Duration::from_millis(1_200);
/// A launch under way is let through for so long before the job is ended.
const LAUNCH_GRACE: Duration = Duration::from_secs(1);
/// A lost connection is looked for again until it was away for so long.
const LOST_FOR: Duration = Duration::from_secs(600);
/// How often a claim whose supervisor died before the exec is launched again.
const RELAUNCHES: u32 = 3;

/// Runs a job to its end, or joins the one with the same key, over connections that may be lost.
///
/// # Errors
/// What the transport says while nothing was sent; a permanent `exit_N`, `not_found`,
/// `not_executable`, `cwd_missing`; unknown `signal_N`, `timeout`, `connection_lost`,
/// `job_vanished`, `job_killed`, `host_rebooted`; cancelled.
pub async fn run_job(
    transport: &dyn Transport,
    order: &JobOrder<'_>,
    context: &Context,
) -> Result<CommandOutput, CallError> {
    enum Stop {
        Timeout(Duration),
        Cancel(CancelLevel),
    }
    let (claimed, mut is_claimed) = watch::channel(false);
    let mut following = std::pin::pin!(follow(transport, order, context, &claimed));
    let mut cancel = context.cancel.clone();
    let limit = async {
        match order.timeout {
            Some(limit) => {
                sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    let stop = tokio::select! {
        biased;
        result = &mut following => return result,
        level = cancel.cancelled() => Stop::Cancel(level),
        limit = limit => Stop::Timeout(limit),
    };
    if !*is_claimed.borrow() && (transport.touched() || order.joined) {
        tokio::select! {
            result = &mut following => return result,
            _ = is_claimed.wait_for(|claimed| *claimed) => {}
            () = sleep(LAUNCH_GRACE) => {}
        }
    }
    let begun = transport.touched() || order.joined;
    if let Stop::Cancel(CancelLevel::Detach) = stop {
        let message = if begun {
            "left running as a job of its own; resuming the run joins it again"
        } else {
            "given up before it was started"
        };
        return Err(CallError::new(ErrorClass::Cancelled, "detached", message));
    }
    if !begun {
        return Err(match stop {
            Stop::Cancel(_) => CallError::cancelled("stopped before it was started"),
            Stop::Timeout(limit) => CallError::transient(
                "timeout",
                format!("the host did not take the command within {}", plain(limit)),
            ),
        });
    }
    let request = Request::Kill { grace: GRACE };
    let limit = request.takes() + Duration::from_secs(3);
    let ended = match timeout(limit, transport.perform(&request)).await {
        Ok(Ok(Answer::Ended(true))) => "its process group was ended (confirmed)",
        _ => "its process group was told to end, which is not confirmed",
    };
    Err(match stop {
        Stop::Cancel(_) => CallError::cancelled(format!("stopped on request; {ended}")),
        Stop::Timeout(limit) => CallError::unknown(
            "timeout",
            format!("the command did not finish within {}; {ended}", plain(limit)),
        ),
    })
}

/// Says what became of a job, and its result if it is done. A job that ended with an error counts
/// as still running: whoever joins it is told the error.
///
/// # Errors
/// What hindered the question.
pub async fn check_job(
    transport: &dyn Transport,
    order: &JobOrder<'_>,
) -> Result<Checked, CallError> {
    let (mut out, mut err) = (Capture::default(), Capture::default());
    let (mut out_at, mut err_at) = (0, 0);
    loop {
        let request = Request::Poll { wait: Duration::ZERO, out: out_at, err: err_at };
        let report = match transport.perform(&request).await.map_err(|error| error.error)? {
            Answer::Report(report) => report,
            other => return Err(odd_answer(&other)),
        };
        let state = report.state.clone();
        let more = absorb(&report, &mut out, &mut err, None);
        (out_at, err_at) = (out.next_offset(report.out_size), err.next_offset(report.err_size));
        return Ok(match state {
            JobState::Absent | JobState::Unstarted | JobState::NotExecuted(_) => Checked::NotDone,
            JobState::Running => Checked::Running,
            JobState::Exited(..) if more => continue,
            JobState::Exited(code, ms) => {
                match finish(Ended::Code(code), order.exit_codes, &out, &err, ms) {
                    Ok(output) => Checked::Done(serde_json::to_value(output).ok()),
                    Err(_) => Checked::Running,
                }
            }
            lost => Checked::CannotTell(lost_error(&lost).message),
        });
    }
}

/// Removes what is kept of a job whose result is on disk. Best effort.
pub async fn forget_job(transport: &dyn Transport) {
    let limit = Duration::from_secs(10);
    match timeout(limit, transport.perform(&Request::Remove)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(error = %error.error, "the job's folder is left"),
        Err(_) => tracing::debug!("the job's folder is left: no answer in time"),
    }
}

async fn follow(
    transport: &dyn Transport,
    order: &JobOrder<'_>,
    context: &Context,
    claimed: &watch::Sender<bool>,
) -> Result<CommandOutput, CallError> {
    let (mut out, mut err) = (Capture::default(), Capture::default());
    let (mut out_at, mut err_at) = (0, 0);
    let payload = order.task.for_launch();
    let (mut launched, mut relaunches) = (false, 0);
    let mut wait = FIRST_WAIT;
    let mut lost = Lost::default();
    loop {
        let request = if launched {
            Request::Poll { wait, out: out_at, err: err_at }
        } else {
            Request::Launch { payload: payload.clone(), wait }
        };
        let report = match transport.perform(&request).await {
            Ok(Answer::Report(report)) => report,
            // Only a part of the payload arrived: nothing was claimed by it.
            Ok(Answer::Refused(code)) if code == "truncated" => {
                lost.again(context, &CallError::transient(code, "the command was cut")).await?;
                continue;
            }
            Ok(Answer::Refused(code)) if !launched && !order.joined => return Err(refused(&code)),
            Ok(other) => return Err(odd_answer(&other)),
            Err(error) => {
                let begun = launched || order.joined || error.sent || transport.touched();
                if !begun {
                    return Err(error.error);
                }
                lost.again(context, &error.error).await?;
                continue;
            }
        };
        if !launched {
            // From here on, offsets count from what this answer brought.
            launched = true;
            claimed.send_replace(true);
        }
        lost = Lost::default();
        let news = !report.out.is_empty() || !report.err.is_empty();
        let more = absorb(&report, &mut out, &mut err, Some(context));
        (out_at, err_at) = (out.next_offset(report.out_size), err.next_offset(report.err_size));
        wait = if more {
            Duration::ZERO
        } else if news || wait.is_zero() {
            FIRST_WAIT
        } else {
            (wait * 2).min(LONGEST_WAIT)
        };
        match report.state {
            JobState::Running => {}
            _ if more => {}
            JobState::Exited(code, ms) => {
                return finish(Ended::Code(code), order.exit_codes, &out, &err, ms);
            }
            JobState::Signalled(signal, ms) => {
                return finish(Ended::Signal(signal), order.exit_codes, &out, &err, ms);
            }
            JobState::NotExecuted(why) => {
                let command = order.task.argv.first().map_or("", String::as_str);
                return Err(not_executed(&why, command, order.task.cwd.as_deref(), &err));
            }
            JobState::Unstarted if relaunches < RELAUNCHES => {
                relaunches += 1;
                launched = false;
            }
            state => return Err(lost_error(&state)),
        }
    }
}

/// Takes a report's output; whether more of it is waiting.
fn absorb(
    report: &Report,
    out: &mut Capture,
    err: &mut Capture,
    context: Option<&Context>,
) -> bool {
    for (stream, chunk, capture) in
        [(Stream::Stdout, &report.out, &mut *out), (Stream::Stderr, &report.err, &mut *err)]
    {
        capture.push(chunk);
        if let (Some(context), false) = (context, chunk.is_empty()) {
            context.progress.output(stream, chunk);
        }
    }
    out.next_offset(report.out_size) < report.out_size
        || err.next_offset(report.err_size) < report.err_size
}

fn lost_error(state: &JobState) -> CallError {
    let (code, message) = match state {
        JobState::Signalled(signal, _) => {
            return CallError::unknown(
                format!("signal_{signal}"),
                format!("the command was ended by signal {signal}"),
            );
        }
        JobState::Killed => ("job_killed", "the command was ended on request"),
        JobState::Rebooted => {
            ("host_rebooted", "the machine was started again while the command ran")
        }
        JobState::Unstarted => ("job_unstarted", "the command's supervisor ends before its turn"),
        JobState::Absent => ("job_vanished", "the job's folder disappeared while it ran"),
        _ => ("job_vanished", "the command is gone, and how it ended was not recorded"),
    };
    CallError::unknown(code, message)
        .with_help("find out on the host what it did, then answer for it")
}

fn refused(code: &str) -> CallError {
    match code {
        "job_dir" => CallError::permanent(
            "job_dir",
            "the job folder cannot be created, or it belongs to another user",
        )
        .with_help("set `job_dir` of the host or the plugin, or say `detach: false` on the step"),
        "no_home" => CallError::permanent("job_dir", "the user has no home folder for jobs")
            .with_help(
                "set `job_dir` of the host or the plugin, or say `detach: false` on the step",
            ),
        other => CallError::permanent("job_refused", format!("the job was refused: {other}")),
    }
}

fn odd_answer(answer: &Answer) -> CallError {
    CallError::unknown("job_answer", format!("the job runner gave an odd answer: {answer:?}"))
}

/// Waits between attempts to reach a job again.
#[derive(Default)]
struct Lost {
    waited: Duration,
    pause: Duration,
}

impl Lost {
    async fn again(&mut self, context: &Context, error: &CallError) -> Result<(), CallError> {
        let hopeless = matches!(error.class, ErrorClass::Denied | ErrorClass::Permanent);
        if hopeless || self.waited >= LOST_FOR {
            return Err(CallError::unknown(
                "connection_lost",
                "the connection was lost, and the job could not be asked again",
            )
            .with_help("mend the connection and resume: the job goes on without it")
            .with_cause(error));
        }
        self.pause = (self.pause * 2).clamp(Duration::from_millis(100), Duration::from_secs(10));
        context.progress.progress(&format!("{error}; looking for the job again"), None);
        sleep(self.pause).await;
        self.waited += self.pause;
        Ok(())
    }
}

fn plain(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}
