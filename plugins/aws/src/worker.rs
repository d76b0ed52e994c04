use std::error::Error;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use dr_plugin::{Call, CallError, Context};

use crate::{Failure, Fate, Patience, Sessions, Settings, Stopped, failure};

/// Requests of one kind that are sent at most, as long as they may pass.
const TRIES: u32 = 6;
/// Credentials that end sooner are worth a line in a preview.
const SOON: Duration = Duration::from_hours(1);

/// One call at work: sends requests with a client `C` until their fate is known, and waits.
pub struct Worker<'a, C> {
    sessions: &'a Sessions,
    settings: Settings,
    make: fn(&SdkConfig) -> C,
    client: C,
    /// Where the API is served, if not at AWS's own address.
    endpoint: Option<String>,
    patience: Patience,
    context: &'a Context,
}

/// What a look at something that is waited for found.
#[derive(Debug)]
pub enum Look<T> {
    /// It is as promised.
    There(T),
    /// Not yet; where it stands.
    NotYet(String),
}

/// Where a request stands that must not be carried out twice: see [`Worker::resend`].
#[derive(Debug, Default)]
pub struct Sending {
    doubt: Doubt,
    tries: u32,
    /// Looks for its mark that are still to be made before it is sent again.
    looks: u32,
    last: Option<Failure>,
}

impl<'a, C: Clone> Worker<'a, C> {
    /// For `call`, with the client that `make` makes.
    ///
    /// # Errors
    /// Settings that do not fit.
    pub async fn new(
        sessions: &'a Sessions,
        call: &Call,
        context: &'a Context,
        make: fn(&SdkConfig) -> C,
    ) -> Result<Self, CallError> {
        let settings: Settings = call.settings()?;
        let mut patience = Patience::of(call, context, settings.poll.map(|period| period.0));
        let config = patience
            .hold(sessions.get(&settings))
            .await
            .map_err(|stopped| stopped.of_reading("reading credentials"))?;
        let client = make(&config);
        let endpoint = config.endpoint_url().map(str::to_owned);
        Ok(Self { sessions, settings, make, client, endpoint, patience, context })
    }

    /// A line about credentials that end soon, for previews.
    pub async fn expiry(&mut self) -> Option<String> {
        let left =
            self.patience.hold(Box::pin(self.sessions.credentials_left(&self.settings))).await;
        let left = left.ok().flatten().filter(|left| *left < SOON)?;
        Some(format!("the credentials end in {} min: renew them before", left.as_secs() / 60))
    }

    /// The answer to a request that only reads; sent again while that may help.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn read<T, E, F>(&mut self, what: &str, send: impl Fn(C) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        self.read_raw(what, send).await.map_err(|error| match error {
            Broken::Failed(failure) => failure.of_reading(),
            Broken::Stopped(stopped) => stopped.of_reading(what),
        })
    }

    /// As [`Worker::read`], with none where the provider says one of the codes in `absent`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn read_unless<T, E, F>(
        &mut self,
        what: &str,
        absent: &[&str],
        send: impl Fn(C) -> F,
    ) -> Result<Option<T>, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        match self.read_raw(what, send).await {
            Ok(found) => Ok(Some(found)),
            Err(Broken::Failed(failure)) if absent.contains(&failure.code.as_str()) => Ok(None),
            Err(Broken::Failed(failure)) => Err(failure.of_reading()),
            Err(Broken::Stopped(stopped)) => Err(stopped.of_reading(what)),
        }
    }

    async fn read_raw<T, E, F>(&mut self, what: &str, send: impl Fn(C) -> F) -> Result<T, Broken>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let mut number = 0;
        loop {
            match self.once(what, &send).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.may_pass() && number + 1 < TRIES => number += 1,
                Err(failure) => return Err(Broken::Failed(failure)),
            }
            self.patience.pause(number).await?;
        }
    }

    /// The answer to a request that changes something and that may be sent twice: repeating it
    /// changes nothing more, or the provider recognises its token.
    ///
    /// # Errors
    /// Unknown if any of its tries may have been carried out, and none is known to have been.
    pub async fn change<T, E, F>(
        &mut self,
        what: &str,
        send: impl Fn(C) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let mut doubt = Doubt::default();
        let mut number = 0;
        loop {
            match self.sent(what, &send, &mut doubt).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.may_pass() && number + 1 < TRIES => number += 1,
                Err(failure) => return Err(doubt.judge(&failure)),
            }
            self.patience.pause(number).await.map_err(|stopped| doubt.stopped(stopped, what))?;
        }
    }

    /// One round of a request that must not be carried out twice and that leaves a mark: the caller
    /// looks for the mark before each round, and calls again until there is something.
    ///
    /// # Errors
    /// Unknown if it may have been carried out and its mark was not found.
    pub async fn resend<T, E, F>(
        &mut self,
        sending: &mut Sending,
        found: Result<Option<T>, CallError>,
        what: &str,
        send: impl Fn(C) -> F,
    ) -> Result<Option<T>, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        match (found, &sending.last) {
            (Ok(Some(found)), _) => return Ok(Some(found)),
            (Err(_), Some(last)) if sending.doubt.0 => return Err(sending.doubt.judge(last)),
            (Err(error), _) => return Err(error),
            (Ok(None), _) => {}
        }
        if sending.looks == 0 {
            match &sending.last {
                Some(last) if !last.may_pass() || sending.tries >= TRIES => {
                    return Err(sending.doubt.judge(last));
                }
                _ => {}
            }
            sending.tries += 1;
            match self.sent(what, &send, &mut sending.doubt).await? {
                Ok(answer) => return Ok(Some(answer)),
                Err(failure) => {
                    // The mark may take a moment to be seen.
                    sending.looks = if failure.fate == Fate::MaybeApplied { 4 } else { 1 };
                    sending.last = Some(failure);
                }
            }
        }
        sending.looks -= 1;
        let paused = self.patience.pause(4 - sending.looks.min(4)).await;
        paused.map_err(|stopped| sending.doubt.stopped(stopped, what))?;
        Ok(None)
    }

    /// Sends a request that changes something exactly once: nothing could tell afterwards.
    ///
    /// # Errors
    /// Unknown whenever it may have been carried out.
    pub async fn change_blindly<T, E, F>(
        &mut self,
        what: &str,
        send: impl Fn(C) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let mut doubt = Doubt::default();
        let answer = self.sent(what, &send, &mut doubt).await?;
        answer.map_err(|failure| doubt.judge(&failure))
    }

    /// One round of waiting for what was asked for: `look` is what the caller sees now. None: look
    /// again.
    ///
    /// # Errors
    /// What the look says for good, or that time is over.
    pub async fn settle<T>(
        &mut self,
        round: &mut u32,
        what: &str,
        look: Result<Look<T>, CallError>,
    ) -> Result<Option<T>, CallError> {
        match look {
            Ok(Look::There(found)) => return Ok(Some(found)),
            Ok(Look::NotYet(stands)) => {
                self.context.progress.progress(&format!("{what}: {stands}"), None);
            }
            // A look that failed for a while is "not yet": what was asked for goes on.
            Err(error) if error.class == dr_plugin::ErrorClass::Transient => {}
            Err(error) => return Err(error),
        }
        let paused = self.patience.pause(*round).await;
        paused.map_err(|stopped| stopped.of_change(&format!("waiting: {what}")))?;
        *round += 1;
        Ok(None)
    }

    /// Waits for a moment.
    ///
    /// # Errors
    /// The call must end.
    pub async fn pause(&mut self, what: &str) -> Result<(), CallError> {
        self.patience.pause(u32::MAX).await.map_err(|stopped| stopped.of_reading(what))
    }

    /// A request that changes something, once.
    async fn sent<T, E, F>(
        &mut self,
        what: &str,
        send: &impl Fn(C) -> F,
        doubt: &mut Doubt,
    ) -> Result<Result<T, Failure>, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        match self.once(what, send).await {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(failure)) => {
                doubt.0 |= failure.fate == Fate::MaybeApplied;
                Ok(Err(failure))
            }
            // It was under way when it was dropped.
            Err(Broken::Stopped(stopped)) => Err(stopped.of_change(what)),
            Err(Broken::Failed(failure)) => Err(doubt.judge(&failure)),
        }
    }

    /// A failure that names the address that cannot be reached.
    fn placed(&self, failure: Failure) -> Failure {
        match &self.endpoint {
            Some(endpoint) if failure.code == "unreachable" => {
                Failure { message: format!("{endpoint} cannot be reached"), ..failure }
            }
            _ => failure,
        }
    }

    /// One request; with expired credentials it waits for new ones.
    async fn once<T, E, F>(
        &mut self,
        what: &str,
        send: &impl Fn(C) -> F,
    ) -> Result<Result<T, Failure>, Broken>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: Error + ProvideErrorMetadata + 'static,
    {
        let mut number = 0;
        loop {
            self.context.progress.progress(what, None);
            // A request is large: it lives on the heap.
            let sending = Box::pin(send(self.client.clone()));
            let answered = self.patience.hold(sending).await?;
            let failure = match answered {
                Ok(answer) => return Ok(Ok(answer)),
                Err(error) => failure(&error),
            };
            // Half-way through a request with new credentials nobody could tell what became of it.
            let fits = self.patience.has_left(self.settings.request_limit());
            if failure.fate != Fate::Expired || !fits {
                return Ok(Err(self.placed(failure)));
            }
            self.context.progress.progress(
                "the credentials have expired: renew them (`aws sso login`), and this goes on",
                None,
            );
            match self.patience.pause(number).await {
                Ok(()) => number += 1,
                Err(Stopped::Asked) => return Err(Stopped::Asked.into()),
                // Nothing was carried out with them.
                Err(Stopped::TooLate) => return Err(Broken::Failed(failure)),
            }
            self.sessions.forget(&self.settings);
            let config = self.patience.hold(self.sessions.get(&self.settings)).await?;
            self.client = (self.make)(&config);
        }
    }
}

enum Broken {
    Failed(Failure),
    Stopped(Stopped),
}

impl From<Stopped> for Broken {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

/// Whether any try so far may have been carried out.
#[derive(Debug, Default)]
struct Doubt(bool);

impl Doubt {
    fn judge(&self, failure: &Failure) -> CallError {
        if !self.0 {
            return failure.of_change();
        }
        let last = failure.of_change();
        CallError { class: dr_plugin::ErrorClass::Unknown, ..last }
    }

    fn stopped(&self, stopped: Stopped, what: &str) -> CallError {
        if self.0 { stopped.of_change(what) } else { stopped.of_reading(what) }
    }
}
