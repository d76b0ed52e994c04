use std::collections::BTreeMap;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use dr_plugin::CallError;
use reqwest::{Certificate, Client, Identity, redirect};

use crate::input::{Settings, Tls};

/// How long connecting may take unless the settings say otherwise.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);

/// Clients by what distinguishes them: each keeps its own connections.
#[derive(Default)]
pub(crate) struct Clients {
    known: Mutex<BTreeMap<(Tls, bool, u64), Client>>,
}

impl Clients {
    /// The client for these TLS settings.
    ///
    /// # Errors
    /// A permanent error that names the certificate file that cannot be used.
    pub(crate) fn get(
        &self,
        tls: &Tls,
        follow: bool,
        settings: &Settings,
    ) -> Result<Client, CallError> {
        let connect = settings.connect_timeout.map_or(CONNECT, |period| period.0);
        let key = (tls.clone(), follow, connect.as_millis() as u64);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(&key) {
            return Ok(client.clone());
        }
        let client = build(tls, follow, connect)?;
        known.insert(key, client.clone());
        Ok(client)
    }
}

fn build(tls: &Tls, follow: bool, connect: Duration) -> Result<Client, CallError> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Another plugin of the same process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let policy = if follow { redirect::Policy::limited(10) } else { redirect::Policy::none() };
    let mut builder = Client::builder()
        .user_agent(concat!("dr/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect)
        .redirect(policy)
        .tls_danger_accept_invalid_certs(tls.insecure);
    if let Some(file) = &tls.ca_file {
        let certificates =
            Certificate::from_pem_bundle(&read(file)?).map_err(|error| bad_file(file, &error))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(file) = &tls.identity_file {
        let identity = Identity::from_pem(&read(file)?).map_err(|error| bad_file(file, &error))?;
        builder = builder.identity(identity);
    }
    builder
        .build()
        .map_err(|error| CallError::permanent("tls_settings", format!("no HTTP client: {error}")))
}

fn read(file: &str) -> Result<Vec<u8>, CallError> {
    std::fs::read(file).map_err(|error| bad_file(file, &error))
}

fn bad_file(file: &str, error: &dyn std::fmt::Display) -> CallError {
    CallError::permanent("tls_file", format!("{file}: {error}"))
}
