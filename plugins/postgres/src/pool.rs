use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::connect::resolve;
use crate::session::Session;
use crate::target::Target;

/// An unused connection is closed after this time: it would hinder `drop database` or a slow
/// shutdown of the server.
const KEEP: Duration = Duration::from_secs(5);
/// A kept connection that does not answer within this time is not used again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connections kept between the readings of one poll, at most one for each target.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pool(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    sessions: Vec<(u64, Target, Session)>,
    next: u64,
}

impl Pool {
    /// A kept connection that was just found alive, and that leads to where the name of the target
    /// leads now. After a failover a name may stand for another server while the old one answers.
    pub(crate) async fn take(&self, target: &Target) -> Option<Session> {
        let session = self.remove(|_, kept| kept == target)?;
        let alive = async {
            session.is_alive().await
                && resolve(target).await.is_ok_and(|addresses| addresses == session.addresses)
        };
        if timeout(PATIENCE, alive).await == Ok(true) {
            return Some(session);
        }
        session.abandon();
        None
    }

    /// Keeps a connection for a while.
    #[expect(clippy::disallowed_methods, reason = "a plugin closes what it has kept")]
    pub(crate) fn keep(&self, target: Target, session: Session) {
        let id = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.sessions.retain(|(_, other, _)| *other != target);
            kept.next += 1;
            let id = kept.next;
            kept.sessions.push((id, target, session));
            id
        };
        let pool = self.clone();
        tokio::spawn(async move {
            sleep(KEEP).await;
            pool.remove(|kept, _| kept == id);
        });
    }

    /// Closes all kept connections.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.clear();
    }

    fn remove(&self, which: impl Fn(u64, &Target) -> bool) -> Option<Session> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.sessions.iter().position(|(id, target, _)| which(*id, target))?;
        Some(kept.sessions.swap_remove(place).2)
    }
}
