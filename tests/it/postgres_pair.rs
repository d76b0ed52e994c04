//! A PostgreSQL primary with a streaming standby on two hosts that answer SSH, all on loopback; and
//! what tests look at from outside while `dr` works on them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use dr_testkit::{
    Dr, Folder, Invocation, Postgres, Proxy, Sql, SshHome, Sshd, address, eventually,
};
use jiff::Timestamp;
use tokio_postgres::Config;

/// How the standby follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replication {
    /// A commit is acknowledged once the standby shows it: no acknowledged row can be lost.
    Synchronous,
    /// A commit is acknowledged once the primary has it.
    Asynchronous,
}

/// The two hosts. The network between any two parties can be held.
pub(crate) struct Pair {
    pub(crate) primary: Postgres,
    pub(crate) standby: Postgres,
    /// Between standby and primary.
    pub(crate) replication: Proxy,
    /// Between `dr` and the standby's PostgreSQL.
    pub(crate) sql: Proxy,
    /// Between `dr` and the standby's SSH server.
    pub(crate) ssh: Proxy,
    home: SshHome,
    /// In place of PostgreSQL's programs: counts calls of `pg_ctl`, and parks a promotion.
    programs: PathBuf,
    standby_state: PathBuf,
    _hosts: [Sshd; 2],
    folder: Folder,
}

impl Pair {
    pub(crate) fn start(replication: Replication) -> Self {
        let folder = Folder::new();
        let home = SshHome::new(&folder);
        let hosts = [("host1", 1), ("host2", 2)]
            .map(|(name, n)| Sshd::start(&folder, name, address(n), &home));
        let ssh = proxy(2, hosts[1].port());
        home.add(&address(1).to_string(), &hosts[0], hosts[0].port());
        home.add(&address(2).to_string(), &hosts[1], ssh.port());

        let mut primary = Postgres::init(&folder, "primary", address(1));
        primary.start(&[]);
        let admin = primary.connect().unwrap();
        admin.run(
            "create table written (n bigint primary key, at timestamptz default clock_timestamp()); \
             create table observed (at timestamptz)",
        );
        let upstream = proxy(1, primary.port());
        let mut standby = primary.standby(&folder, "standby", address(2), upstream.port());
        standby.start(&[]);
        if replication == Replication::Synchronous {
            admin.run("alter system set synchronous_standby_names = 'standby'");
            admin.run("alter system set synchronous_commit = 'remote_apply'");
            admin.run("select pg_reload_conf()");
        }
        let following = match replication {
            Replication::Synchronous => {
                "select 1 from pg_stat_replication where sync_state = 'sync'"
            }
            Replication::Asynchronous => {
                "select 1 from pg_stat_replication where state = 'streaming'"
            }
        };
        eventually("the standby follows", || admin.value(following));

        let programs = folder.own_folder("programs");
        folder.own_file("programs/pg_ctl", &wrapper(&programs), 0o755);
        Self {
            sql: proxy(2, standby.port()),
            ssh,
            replication: upstream,
            primary,
            standby,
            home,
            programs,
            standby_state: folder.join("host2.state"),
            _hosts: hosts,
            folder,
        }
    }

    /// The runbook as users read it, in a folder of `dr`.
    pub(crate) fn dr(&self) -> Dr {
        self.with(crate::dr().copy(crate::repository("runbooks/postgres-failover.yaml")))
    }

    /// `dr` with the environment that reaches this pair.
    pub(crate) fn with(&self, dr: Dr) -> Dr {
        let state = dr.path(".dr");
        dr.env("HOME", self.home.path())
            .env("DR_STATE_DIR", state)
            .env("DR_DB_PASSWORD", Postgres::PASSWORD)
    }

    /// `dr execute` for this pair, unattended.
    pub(crate) fn execute<'a>(&self, dr: &'a Dr, incident: Timestamp) -> Invocation<'a> {
        let execute = dr
            .args(["execute", "postgres-failover.yaml", "--env", "production", "--yes"])
            .arg("--incident-at")
            .arg(incident.to_string());
        self.inputs(execute)
    }

    /// The inputs that name this pair.
    pub(crate) fn inputs<'a>(&self, invocation: Invocation<'a>) -> Invocation<'a> {
        invocation
            .input("primary", address(1))
            .input("standby", address(2))
            .input("ssh_user", &self.folder.account().name)
            .input("standby_port", self.sql.port())
            .input("primary_data", self.primary.data().display())
            .input("standby_data", self.standby.data().display())
            .input("programs", self.programs.display())
            .input("ask", false)
    }

    /// Kills the primary's postmaster. Gives the moment before.
    pub(crate) fn crash_primary(&mut self) -> Timestamp {
        let incident = Timestamp::now();
        self.primary.crash();
        incident
    }

    /// Whether the standby is still one.
    pub(crate) fn standby_is_standby(&self) -> bool {
        let standby = self.standby.connect().unwrap().value("select pg_is_in_recovery()");
        standby.as_deref() == Some("t")
    }

    /// The standby's timeline: 1 from its beginning, one more with each promotion.
    pub(crate) fn timeline(&self) -> u32 {
        let look = self.standby.connect().unwrap();
        let file = look.value("select pg_walfile_name(pg_current_wal_lsn())").unwrap();
        u32::from_str_radix(&file[..8], 16).unwrap()
    }

    /// How often `pg_ctl` was called with this word.
    pub(crate) fn calls(&self, word: &str) -> usize {
        let calls = fs::read_to_string(self.programs.join("calls")).unwrap_or_default();
        calls.lines().filter(|call| call.split_whitespace().any(|found| found == word)).count()
    }

    /// From now on a promotion stops right before it begins.
    pub(crate) fn park_promotion(&self) {
        fs::write(self.programs.join("park"), "").unwrap();
    }

    /// Waits until a promotion has been claimed on the host, and is about to begin.
    pub(crate) fn promotion_is_parked(&self) {
        eventually("pg_ctl promote is called", || (self.calls("promote") > 0).then_some(()));
    }

    /// Lets the promotion go on.
    pub(crate) fn unpark_promotion(&self) {
        fs::remove_file(self.programs.join("park")).unwrap();
    }

    /// Waits until the promotion's exit code is on the host's disk.
    pub(crate) fn promotion_has_exit_code(&self) {
        eventually("the exit code is written", || {
            let jobs = fs::read_dir(self.standby_state.join("dr/jobs")).ok()?;
            let jobs = jobs.filter_map(Result::ok);
            let mut promotions =
                jobs.filter(|job| job.file_name().to_string_lossy().contains("promote"));
            promotions.any(|job| job.path().join("rc").exists()).then_some(())
        });
    }

    /// Tries to bring the old primary back, as a service manager would, and to write to it.
    ///
    /// # Panics
    /// When it takes the write.
    pub(crate) fn assert_primary_is_fenced(&mut self) {
        self.primary.launch(&[]);
        let old = eventually("the old primary answers", || self.primary.connect().ok());
        let error = old.try_run("insert into written values (-1)").unwrap_err();
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("25006"));
        self.primary.stop();
    }
}

fn proxy(n: u8, port: u16) -> Proxy {
    Proxy::start(address(n), SocketAddr::from((address(n), port)))
}

fn wrapper(programs: &std::path::Path) -> String {
    let (programs, real) = (programs.display(), Postgres::programs().join("pg_ctl"));
    format!(
        "#!/bin/sh\necho \"$*\" >>'{programs}/calls'\n\
         case \" $* \" in\n*' promote '*) while [ -e '{programs}/park' ]; do sleep 0.02; done ;;\n\
         esac\nexec '{}' \"$@\"\n",
        real.display()
    )
}

/// A row that the writer tried to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) n: i64,
    pub(crate) sent_at: Timestamp,
    pub(crate) acknowledged: bool,
}

/// Writes row after row until the server is gone.
pub(crate) struct Writer {
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Written>>,
}

impl Writer {
    pub(crate) fn start(config: Config) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let thread = spawn({
            let count = Arc::clone(&acknowledged);
            move || {
                let sql = Sql::connect(&config).unwrap();
                let mut rows = Vec::new();
                for n in 1.. {
                    let sent_at = Timestamp::now();
                    let acknowledged =
                        sql.try_run(&format!("insert into written values ({n})")).is_ok();
                    rows.push(Written { n, sent_at, acknowledged });
                    if !acknowledged {
                        break;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(5));
                }
                rows
            }
        });
        Self { acknowledged, thread }
    }

    /// Waits until so many rows have been acknowledged.
    pub(crate) fn has_written(&self, rows: usize) {
        eventually("rows are acknowledged", || {
            (self.acknowledged.load(Ordering::Relaxed) >= rows).then_some(())
        });
    }

    /// What it wrote, once the server is gone.
    pub(crate) fn rows(self) -> Vec<Written> {
        self.thread.join().unwrap()
    }
}

/// An application that tries to write every 50 ms.
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<Timestamp>>,
}

impl Observer {
    pub(crate) fn start(config: Config) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut connection = None;
                while !stop.load(Ordering::Relaxed) {
                    connection = connection.or_else(|| Sql::connect(&config).ok());
                    let writing = connection
                        .as_ref()
                        .map(|sql| sql.try_run("insert into observed values (now())"));
                    match writing {
                        Some(Ok(_)) => return Some(Timestamp::now()),
                        Some(Err(error)) if error.is_closed() => connection = None,
                        _ => {}
                    }
                    sleep(Duration::from_millis(50));
                }
                None
            }
        });
        Self { stop, thread }
    }

    /// When its first write was taken.
    pub(crate) fn recovered_at(self) -> Option<Timestamp> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
