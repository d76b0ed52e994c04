use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::event::{Actor, CancelRequest, Record, Request, Volatile};
use crate::machine::{AttemptResult, Ticket};

/// Volatile events that wait for somebody; more are dropped.
const VOLATILE: usize = 1_024;

/// What others see of a run and ask of it.
#[derive(Debug)]
pub struct Handle {
    /// Records of this session, once they are durable, those together that were written together. The
    /// channel has no bound: a reader that stands still costs memory (under 1 KiB a record), never time,
    /// and misses nothing. It ends with the session.
    pub records: mpsc::UnboundedReceiver<Vec<Arc<Record>>>,
    /// What passes by. Dropped when nobody keeps up.
    pub volatile: mpsc::Receiver<Volatile>,
    /// The way in.
    pub requests: Requests,
}

/// Hands requests to a run of this process.
#[derive(Debug, Clone)]
pub struct Requests {
    incoming: mpsc::UnboundedSender<Incoming>,
}

impl Requests {
    /// Hands in a request. Without effect once the session is over.
    pub fn submit(&self, request: Request) {
        let _ = self.incoming.send(Incoming::Request { request, file: None });
    }

    /// Asks the run to stop, as a signal does.
    pub fn cancel(&self, by: Actor, level: CancelRequest, reason: Option<String>) {
        let _ = self.incoming.send(Incoming::Cancel { by, level, reason });
    }
}

/// What reaches the driver from outside.
#[derive(Debug)]
pub(super) enum Incoming {
    /// An attempt is over.
    Done { ticket: Ticket, result: AttemptResult, call: Option<Arc<dr_plugin::Call>> },
    /// Somebody asks something; `file` is where it is kept until it is durable.
    Request { request: Request, file: Option<PathBuf> },
    /// A request of the inbox that is not for this run as it is.
    Refused { request: Request, why: String, file: PathBuf },
    /// Somebody asks to stop.
    Cancel { by: Actor, level: CancelRequest, reason: Option<String> },
    /// Somebody asks to be let go at once.
    Abandon,
}

/// Both ends of everything that passes between a driver and the rest.
pub(super) struct Ends {
    pub(super) records: mpsc::UnboundedSender<Vec<Arc<Record>>>,
    pub(super) volatile: mpsc::Sender<Volatile>,
    pub(super) sender: mpsc::UnboundedSender<Incoming>,
    pub(super) incoming: mpsc::UnboundedReceiver<Incoming>,
}

pub(super) fn ends() -> (Ends, Handle) {
    let (records, record_receiver) = mpsc::unbounded_channel();
    let (volatile, volatile_receiver) = mpsc::channel(VOLATILE);
    let (sender, incoming) = mpsc::unbounded_channel();
    let requests = Requests { incoming: sender.clone() };
    let handle = Handle { records: record_receiver, volatile: volatile_receiver, requests };
    (Ends { records, volatile, sender, incoming }, handle)
}
