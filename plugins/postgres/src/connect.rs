use std::io;
use std::net::IpAddr;

use dr_plugin::CallError;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_postgres::NoTls;

use crate::error::{self, Mode, Stage};
use crate::session::Session;
use crate::target::Target;

/// Connects and logs in, within the target's time limit.
///
/// # Errors
/// Transient when the server cannot be reached or is not ready, denied when it refuses the login.
pub(crate) async fn connect(target: &Target) -> Result<Session, CallError> {
    let connecting = async {
        let addresses = resolve(target).await?;
        let config = target.config(&addresses);
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| error::explain(&error, Mode::Read, Stage::Before, target))?;
        Ok(Session::new(client, connection, addresses))
    };
    timeout(target.connect_timeout, connecting).await.unwrap_or_else(|_| {
        Err(error::unreachable(&io::ErrorKind::TimedOut.into(), target).with_help(
            "a firewall that drops packets looks like this; `connect_timeout` sets the limit",
        ))
    })
}

/// The addresses that the target's name stands for right now, in order; none for a Unix socket.
///
/// # Errors
/// A transient `name_not_resolved`.
pub(crate) async fn resolve(target: &Target) -> Result<Vec<IpAddr>, CallError> {
    if target.is_local() {
        return Ok(Vec::new());
    }
    let found = lookup_host((target.host.as_str(), target.port)).await.map_err(|error| {
        CallError::transient("name_not_resolved", format!("looking up {}: {error}", target.host))
    })?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}
