use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;

use crate::process::run_as;
use crate::{Account, Daemon, DeathSignal, Folder, Sql, eventually, free_port};

/// Where Debian, Ubuntu and the PostgreSQL project's packages put the programs.
const VERSIONS: [&str; 5] = ["15", "16", "17", "18", "14"];

/// A real PostgreSQL server of its own data folder. The superuser is `postgres`; every login needs
/// the password [`Postgres::PASSWORD`].
#[derive(Debug)]
pub struct Postgres {
    data: PathBuf,
    log: PathBuf,
    account: Account,
    address: Ipv4Addr,
    port: u16,
    server: Option<Daemon>,
}

impl Postgres {
    /// Password of `postgres` and of the replication.
    pub const PASSWORD: &'static str = "s3cret'of the tests";

    /// The folder of PostgreSQL's programs.
    pub fn programs() -> PathBuf {
        VERSIONS
            .iter()
            .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
            .find(|folder| folder.join("initdb").exists())
            .expect("PostgreSQL's programs are missing: run tests/install")
    }

    /// Makes a new database cluster `name` in `folder`, not started.
    pub fn init(folder: &Folder, name: &str, address: Ipv4Addr) -> Self {
        let server = Self::at(folder, name, address);
        let password = folder.own_file(format!("{name}.password"), Self::PASSWORD, 0o600);
        run_as(
            &server.account,
            &Self::programs().join("initdb"),
            &[
                "--pgdata",
                text(&server.data),
                "--username=postgres",
                "--pwfile",
                text(&password),
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        server.configure(
            "pg_hba.conf",
            "host all all 127.0.0.0/8 scram-sha-256\n\
             host replication all 127.0.0.0/8 scram-sha-256\n",
        );
        server
    }

    /// Makes a standby `name` of this running server by a base backup, not started. It receives
    /// through `upstream`: this server's port, or that of a proxy in front of it.
    pub fn standby(&self, folder: &Folder, name: &str, address: Ipv4Addr, upstream: u16) -> Self {
        let standby = Self::at(folder, name, address);
        let source = format!(
            "host={} port={} user=postgres password='{}'",
            self.address,
            self.port,
            Self::PASSWORD.replace('\'', "\\'")
        );
        run_as(
            &self.account,
            &Self::programs().join("pg_basebackup"),
            &[
                "--pgdata",
                text(&standby.data),
                "--dbname",
                &source,
                "--wal-method=stream",
                "--checkpoint=fast",
                "--create-slot",
                "--slot",
                name,
                "--no-sync",
                "--write-recovery-conf",
            ],
        );
        // Said again, the last one counts.
        standby.configure(
            "postgresql.auto.conf",
            &format!(
                "primary_conninfo = 'host={} port={upstream} user=postgres password=''{}'' \
                 application_name={name}'\nprimary_slot_name = '{name}'\n",
                self.address,
                Self::PASSWORD.replace('\'', "\\\\''")
            ),
        );
        standby
    }

    fn at(folder: &Folder, name: &str, address: Ipv4Addr) -> Self {
        Self {
            data: folder.own_folder(name),
            log: folder.join(format!("{name}.log")),
            account: folder.account().clone(),
            address,
            port: free_port(address),
            server: None,
        }
    }

    /// Appends to one of its configuration files.
    pub fn configure(&self, file: &str, text: &str) {
        let mut file = File::options().append(true).open(self.data.join(file)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Starts it with settings (`name=value`) on top of its configuration, and waits until it
    /// takes connections.
    pub fn start(&mut self, settings: &[&str]) {
        self.launch(settings);
        eventually(&format!("PostgreSQL is up (see {})", self.log.display()), || {
            if let Some(status) = self.server.as_mut().unwrap().has_ended() {
                let log = self.log();
                let why = log.lines().rev().take(12).collect::<Vec<_>>().concat();
                // Children of a killed postmaster need a moment to notice.
                assert!(
                    why.contains("pre-existing shared memory block"),
                    "PostgreSQL ended with {status}:\n{log}"
                );
                self.launch(settings);
            }
            self.connect().ok()
        });
    }

    /// Starts it without waiting for anything.
    pub fn launch(&mut self, settings: &[&str]) {
        let port = self.port.to_string();
        let address = format!("listen_addresses={}", self.address);
        // The temporary folder's path may be too long for a socket.
        let mut arguments = vec!["-D", text(&self.data), "-p", &port, "-c", &address];
        for setting in ["unix_socket_directories=", "fsync=off", "wal_sync_method=fdatasync"]
            .iter()
            .chain(settings)
        {
            arguments.extend(["-c", setting]);
        }
        self.server = Some(Daemon::start(
            &self.account,
            DeathSignal::Quit,
            &Self::programs().join("postgres"),
            &arguments,
            &self.log,
        ));
    }

    /// Kills its postmaster with SIGKILL and waits until the other processes are gone too.
    pub fn crash(&mut self) {
        self.server.as_mut().expect("it was not started").kill();
        self.server = None;
        eventually("nobody listens any more", || {
            std::net::TcpStream::connect((self.address, self.port)).err()
        });
    }

    /// Stops it at once, if it runs.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// A connection as `postgres`.
    ///
    /// # Errors
    /// What hinders it.
    pub fn connect(&self) -> Result<Sql, tokio_postgres::Error> {
        Sql::connect(&self.config())
    }

    /// How to connect as `postgres`.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .hostaddr(self.address.into())
            .port(self.port)
            .user("postgres")
            .dbname("postgres")
            .password(Self::PASSWORD);
        config
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
