use std::collections::HashMap;
use std::sync::Arc;

use dr_plugin::{Cancel, CancelLevel};
use tokio::sync::{mpsc, watch};

use super::attempt::{Shared, perform};
use super::handle::Incoming;
use crate::event::Purpose;
use crate::id::StepId;
use crate::machine::{Launch, Ticket};

/// The attempts that are under way.
pub(super) struct Flights {
    shared: Arc<Shared>,
    sender: mpsc::UnboundedSender<Incoming>,
    running: HashMap<Ticket, Flight>,
}

/// An attempt that is under way.
pub(super) struct Flight {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) purpose: Purpose,
    pub(super) plugin: String,
    level: watch::Sender<CancelLevel>,
}

impl Flights {
    pub(super) fn new(shared: Arc<Shared>, sender: mpsc::UnboundedSender<Incoming>) -> Self {
        Self { shared, sender, running: HashMap::new() }
    }

    /// Starts an attempt; it comes back as [`Incoming::Done`].
    #[expect(clippy::disallowed_methods, reason = "the engine spawns attempts")]
    pub(super) fn launch(&mut self, launch: Launch) {
        let (level, cancel) = Cancel::new();
        let ticket = launch.ticket;
        let flight = Flight {
            step: launch.step.clone(),
            attempt: launch.attempt,
            purpose: launch.purpose,
            plugin: launch.uses.plugin.clone(),
            level: level.clone(),
        };
        self.running.insert(ticket, flight);
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        // Boxed: it is large, and would be copied several times on its way.
        tokio::spawn(Box::pin(async move {
            let (result, call) = perform(&shared, launch, level, cancel).await;
            // The driver may have left.
            let _ = sender.send(Incoming::Done { ticket, result, call });
        }));
    }

    /// Asks an attempt to stop.
    pub(super) fn stop(&self, ticket: Ticket) {
        if let Some(flight) = self.running.get(&ticket) {
            flight.ask(CancelLevel::Stop);
        }
    }

    /// Asks all attempts.
    pub(super) fn ask_all(&self, level: CancelLevel) {
        for flight in self.running.values() {
            flight.ask(level);
        }
    }

    /// An attempt is over.
    pub(super) fn land(&mut self, ticket: Ticket) -> Option<Flight> {
        self.running.remove(&ticket)
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Flight {
    fn ask(&self, level: CancelLevel) {
        self.level.send_if_modified(|now| {
            let rises = level > *now;
            if rises {
                *now = level;
            }
            rises
        });
    }
}
