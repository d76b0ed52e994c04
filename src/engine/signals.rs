use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::handle::Incoming;
use crate::event::{Actor, CancelRequest};

/// Turns the process's signals into requests until it is dropped: the first SIGINT or SIGTERM
/// drains, the second stops, the third leaves at once. After SIGHUP (the terminal is gone) the run
/// goes on; SIGPIPE is ignored by Rust's start-up already.
#[expect(clippy::disallowed_methods, reason = "the engine spawns")]
pub(super) fn listen(
    by: &Actor,
    sender: mpsc::UnboundedSender<Incoming>,
) -> io::Result<AbortOnDropHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let by = Actor { via: "signal".to_owned(), ..by.clone() };
    let task = async move {
        let mut times = 0;
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = hangup.recv() => {
                    tracing::warn!("the terminal is gone; the run goes on (`dr watch` shows it)");
                    continue;
                }
            };
            times += 1;
            let cancel =
                |level| Incoming::Cancel { by: by.clone(), level, reason: Some(name.to_owned()) };
            let incoming = match times {
                1 => cancel(CancelRequest::Drain),
                2 => cancel(CancelRequest::Stop),
                _ => Incoming::Abandon,
            };
            if sender.send(incoming).is_err() {
                return;
            }
        }
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(task)))
}
