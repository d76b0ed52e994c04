use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dr_plugin::CallError;
use ssh2::Channel;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::connect::connect;
use crate::connection::Connection;
use crate::target::Target;

/// Logins to one host at the same time: servers turn more away.
const LOGINS: usize = 4;
/// Connections kept for one host.
const KEPT: usize = 16;
/// A kept connection that does not open a channel in this time is given up for a new one.
const STALE: Duration = Duration::from_secs(5);

/// Connections by host: each serves one command at a time and is kept for the next.
#[derive(Default)]
pub(crate) struct Pool {
    hosts: Mutex<HashMap<Target, Arc<Place>>>,
}

struct Place {
    idle: Mutex<Vec<Connection>>,
    logins: Semaphore,
}

/// A connection on loan. Dropping it ends the connection; giving it back keeps it.
pub(crate) struct Lease {
    connection: Connection,
    place: Arc<Place>,
}

impl Lease {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Keeps the connection, on which nothing is left to do.
    pub(crate) fn give_back(self) {
        let mut idle = self.place.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(self.connection);
        }
    }
}

impl Pool {
    /// A connection with a fresh channel for one command.
    pub(crate) async fn open(&self, target: &Target) -> Result<(Lease, Channel), CallError> {
        let place = self.place(target);
        loop {
            let kept = place.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(connection) = kept else { break };
            match timeout(STALE, open_channel(&connection)).await {
                Ok(Ok(channel)) => return Ok((Lease { connection, place }, channel)),
                Ok(Err(error)) => tracing::debug!(host = target.host, %error, "a dead connection"),
                Err(_) => {
                    // The way there has changed: the others will not answer either.
                    tracing::debug!(host = target.host, "a silent connection");
                    place.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
            }
        }
        let connection = {
            // Never closed, so it is always had.
            let _login = place.logins.acquire().await;
            connect(target).await?
        };
        match timeout(target.connect_timeout, open_channel(&connection)).await {
            Ok(Ok(channel)) => Ok((Lease { connection, place }, channel)),
            Ok(Err(error)) => Err(CallError::transient(
                "unreachable",
                format!("{} took the login but no command", target.place()),
            )
            .with_cause(&error)),
            Err(_) => Err(CallError::transient(
                "unreachable",
                format!("{} took the login but no command in time", target.place()),
            )),
        }
    }

    /// Ends all connections that are not on loan.
    pub(crate) async fn close(&self) {
        let places: Vec<Arc<Place>> = self
            .hosts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, p)| p)
            .collect();
        for place in places {
            let idle =
                std::mem::take(&mut *place.idle.lock().unwrap_or_else(PoisonError::into_inner));
            for connection in idle {
                connection.close().await;
            }
        }
    }

    fn place(&self, target: &Target) -> Arc<Place> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = hosts.entry(target.clone()).or_insert_with(|| {
            Arc::new(Place { idle: Mutex::new(Vec::new()), logins: Semaphore::new(LOGINS) })
        });
        Arc::clone(place)
    }
}

async fn open_channel(connection: &Connection) -> Result<Channel, ssh2::Error> {
    connection.finish(|| connection.session().channel_session()).await
}
