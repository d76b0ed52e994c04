use std::time::Duration;

use dr_plugin::{Call, CallError, Cancel, Context};
use tokio::time::Instant;

/// How long a call goes on where the step has no `timeout`.
const LIMIT: Duration = Duration::from_mins(15);
/// Pause between two looks unless the settings say otherwise.
const POLL: Duration = Duration::from_secs(2);

/// Until when a call goes on, and how often it looks.
#[derive(Debug, Clone)]
pub struct Patience {
    until: Instant,
    poll: Duration,
    cancel: Cancel,
}

/// Why a call goes on no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was told to stop.
    Asked,
    /// Its time is over.
    TooLate,
}

impl Patience {
    /// That of `call`: a little less than its limit, so that it ends by itself.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a limit that is never recorded")]
    pub fn of(call: &Call, context: &Context, poll: Option<Duration>) -> Self {
        let limit = call.timeout_ms.map_or(LIMIT, |limit| {
            let limit = Duration::from_millis(limit);
            limit.saturating_sub((limit / 10).min(Duration::from_secs(2)))
        });
        Self {
            until: Instant::now() + limit,
            poll: poll.unwrap_or(POLL).max(Duration::from_millis(10)),
            cancel: context.cancel.clone(),
        }
    }

    /// Whether a request of this length still fits.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a limit that is never recorded")]
    pub fn has_left(&self, length: Duration) -> bool {
        self.until.saturating_duration_since(Instant::now()) > length
    }

    /// The result of `work`, unless the call must end before.
    ///
    /// # Errors
    /// [`Stopped`]; `work` is dropped then.
    pub async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            _ = self.cancel.cancelled() => Err(Stopped::Asked),
            result = work => Ok(result),
            () = tokio::time::sleep_until(self.until) => Err(Stopped::TooLate),
        }
    }

    /// Waits before look number `number`, from 0: the first pauses are short.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn pause(&mut self, number: u32) -> Result<(), Stopped> {
        let pause = self.poll / 4_u32.saturating_sub(number).max(1);
        self.hold(tokio::time::sleep(pause)).await
    }
}

impl Stopped {
    /// As the error of a call that had changed nothing yet, or only reads.
    #[must_use]
    pub fn of_reading(self, what: &str) -> CallError {
        match self {
            Self::Asked => {
                CallError::cancelled(format!("stopped while {what}; nothing was changed"))
            }
            Self::TooLate => CallError::transient("timeout", format!("time was over while {what}")),
        }
    }

    /// As the error of a call whose request was sent.
    #[must_use]
    pub fn of_change(self, what: &str) -> CallError {
        match self {
            Self::Asked => CallError::cancelled(format!(
                "stopped while {what}: what was asked of the provider goes on there"
            )),
            Self::TooLate => CallError::unknown("timeout", format!("time was over while {what}"))
                .with_help(
                    "give the step a longer `timeout`; what was asked of the provider goes on",
                ),
        }
    }
}
