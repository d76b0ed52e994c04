use std::time::Duration;

use dr_plugin::CancelLevel;
use tokio::task::JoinSet;

use super::batch::{Batch, Landed};
use super::driver::Engine;
use super::handle::Incoming;
use super::panic::caught;
use super::recovered::{Recovered, RecoveredResult, keep};
use super::{EngineError, Logic};
use crate::event::CancelRequest;
use crate::journal::JournalError;

/// Plugins have this long to clean up after the last step.
const CLOSE: Duration = Duration::from_secs(5);
/// Somebody who leaves at once waits this long for running attempts to let go.
const LEAVE: Duration = Duration::from_secs(3);

/// How a session ends when it does not end by a decision of the machine.
impl<L: Logic> Engine<L> {
    /// The batch could not be written: the machine, now ahead of the journal, is not asked any
    /// more. Nothing new is started; what runs is waited for, and its results are kept elsewhere.
    pub(super) async fn give_up(&mut self, source: JournalError, batch: Batch) -> EngineError {
        let running = self.flights.len();
        tracing::error!(
            "{source}: nothing new is started; {running} running attempts are waited for \
             (interrupt to stop them)"
        );
        let mut recovered = Vec::new();
        for landed in batch.landed {
            self.recover(landed, &mut recovered);
        }
        while self.flights.len() > 0 {
            let Some(incoming) = self.ends.incoming.recv().await else { break };
            match incoming {
                Incoming::Cancel { level: CancelRequest::Stop, .. } => {
                    self.flights.ask_all(CancelLevel::Stop);
                }
                Incoming::Abandon => {
                    self.let_go(&mut recovered).await;
                    break;
                }
                other => self.came_back(other, &mut recovered),
            }
        }
        EngineError::Unrecorded { source, recovered }
    }

    /// Leaves at once, like a crash: jobs go on, and a resume finds out what became of them.
    pub(super) async fn abandon(&mut self) -> EngineError {
        let running = self.flights.len();
        self.let_go(&mut Vec::new()).await;
        EngineError::Abandoned { running }
    }

    async fn let_go(&mut self, recovered: &mut Vec<Recovered>) {
        self.flights.ask_all(CancelLevel::Detach);
        let back = async {
            while self.flights.len() > 0 {
                let Some(incoming) = self.ends.incoming.recv().await else { break };
                self.came_back(incoming, recovered);
            }
        };
        // What does not come back by then is what a resume is for.
        let _ = tokio::time::timeout(LEAVE, back).await;
    }

    fn came_back(&mut self, incoming: Incoming, recovered: &mut Vec<Recovered>) {
        if let Incoming::Done { ticket, result, call } = incoming
            && let Some(flight) = self.flights.land(ticket)
        {
            self.recover(Landed { flight, result, call }, recovered);
        }
    }

    fn recover(&self, landed: Landed, recovered: &mut Vec<Recovered>) {
        let shared = self.flights.shared();
        let result = Recovered {
            at: self.clock.now().at,
            step: landed.flight.step,
            attempt: landed.flight.attempt,
            purpose: landed.flight.purpose,
            result: RecoveredResult::new(landed.result, &shared.masker),
        };
        keep(&shared.dir, &result);
        recovered.push(result);
    }

    /// Lets plugins clean up and close their connections.
    pub(super) async fn close(&mut self) {
        let mut chores = std::mem::replace(&mut self.chores, JoinSet::new());
        let plugins: Vec<_> = self.used.values().map(|used| used.plugin.clone()).collect();
        let close = async {
            while chores.join_next().await.is_some() {}
            let mut closing = JoinSet::new();
            for plugin in plugins {
                closing.spawn(async move {
                    let _ = caught(plugin.close()).await;
                });
            }
            while closing.join_next().await.is_some() {}
        };
        if tokio::time::timeout(CLOSE, close).await.is_err() {
            tracing::warn!("plugins did not close their connections in time");
        }
    }
}
