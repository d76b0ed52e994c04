use std::net::IpAddr;
use std::time::Duration;

use dr_plugin::{Call, CallError, Secret};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::input::{Login, Settings};

const PORT: u16 = 5432;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server, and how to log in to it. Two equal targets may share a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name, address, or folder of a Unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) dbname: String,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) connect_timeout: Duration,
    pub(crate) application_name: String,
}

impl Target {
    /// What a call talks to: the address of its host, else that of the settings.
    ///
    /// # Errors
    /// A permanent `host_missing` when neither names a server.
    pub(crate) fn of(call: &Call, settings: &Settings, login: Login) -> Result<Self, CallError> {
        let host = match (&call.host, &settings.host) {
            (Some(host), _) => host.address.clone(),
            (None, Some(host)) => host.clone(),
            (None, None) => {
                return Err(CallError::permanent("host_missing", "no server is named")
                    .with_help("give the step a `host`, or the plugin's settings one"));
            }
        };
        let or_postgres = |own: Option<String>, common: &Option<String>| {
            own.or_else(|| common.clone()).unwrap_or_else(|| "postgres".to_owned())
        };
        Ok(Self {
            host,
            port: login.port.or(settings.port).unwrap_or(PORT),
            dbname: or_postgres(login.dbname, &settings.dbname),
            user: or_postgres(login.user, &settings.user),
            password: login.password.or_else(|| settings.password.clone()),
            connect_timeout: settings.connect_timeout.map_or(CONNECT_TIMEOUT, |period| period.0),
            application_name: settings.application_name.clone().unwrap_or_else(|| "dr".to_owned()),
        })
    }

    /// Whether the server is reached through a Unix socket.
    pub(crate) fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The client library's form of it, connecting to `addresses`, tried in order.
    pub(crate) fn config(&self, addresses: &[IpAddr]) -> Config {
        let mut config = Config::new();
        config
            .port(self.port)
            .dbname(&self.dbname)
            .user(&self.user)
            .application_name(&self.application_name)
            .connect_timeout(self.connect_timeout)
            .ssl_mode(SslMode::Disable)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        if self.is_local() {
            config.host_path(&self.host);
        } else {
            for address in addresses {
                config.hostaddr(*address);
            }
        }
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        config
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, .. } = self;
        if self.is_local() {
            write!(f, "{host}/.s.PGSQL.{port}")
        } else if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}
