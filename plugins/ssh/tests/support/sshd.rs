//! A real sshd on a free port of the loopback, with keys and files of its own.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running sshd that lets the current user in with [`Sshd::identity`]. Stopped when dropped, its
/// sessions with it.
pub(crate) struct Sshd {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
}

impl Sshd {
    /// Starts one with `extra` lines of configuration and waits until it answers.
    pub(crate) fn start(extra: &str) -> Self {
        for _ in 0..20 {
            if let Some(sshd) = Self::try_start(extra) {
                return sshd;
            }
        }
        panic!("sshd does not start; is openssh-server installed?");
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts its server")]
    fn try_start(extra: &str) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        for (kind, file) in
            [("ed25519", "host_ed25519"), ("ecdsa", "host_ecdsa"), ("ed25519", "identity")]
        {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", "", "-C", file, "-f", &path(file)])
                .status()
                .ok()?;
            assert!(made.success(), "ssh-keygen failed");
        }
        std::fs::copy(path("identity.pub"), path("authorized_keys")).ok()?;
        if rustix::process::getuid().is_root() {
            // sshd gives up its privileges into this folder, which a service manager would make.
            std::fs::create_dir_all("/run/sshd").ok()?;
        }
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nHostKey {}\n\
             AuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PasswordAuthentication no\nPermitRootLogin prohibit-password\n\
             Subsystem sftp internal-sftp\nMaxStartups 100\nLogLevel ERROR\n\
             # Or bash takes each command for a login and reads the user's files.\n\
             SetEnv SHLVL=5\n{extra}\n",
            path("host_ed25519"),
            path("host_ecdsa"),
            path("authorized_keys"),
        );
        std::fs::write(path("sshd_config"), config).ok()?;
        let log = std::fs::File::create(path("log")).ok()?;
        let child = Command::new(program())
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .ok()?;
        let mut sshd = Self { child, folder, port };
        for _ in 0..1_000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                sshd.know("ed25519", port);
                return Some(sshd);
            }
            if sshd.child.try_wait().ok()?.is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// A file beside its configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The private key that it lets in.
    pub(crate) fn identity(&self) -> PathBuf {
        self.path("identity")
    }

    /// A file that knows its key of one kind.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path("known_hosts")
    }

    /// Its public key of `kind`: two words.
    pub(crate) fn host_key(&self, kind: &str) -> String {
        let text = std::fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Files its key of `kind`, and no other, under a port.
    pub(crate) fn know(&self, kind: &str, port: u16) {
        let line = format!("[127.0.0.1]:{port} {}\n", self.host_key(kind));
        std::fs::write(self.known_hosts(), line).unwrap();
    }

    /// The processes that serve its connections.
    pub(crate) fn sessions(&self) -> Vec<i32> {
        children(i32::try_from(self.child.id()).unwrap())
    }

    /// Ends all connections without a word.
    pub(crate) fn drop_connections(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Lets all connections fall silent, without ending them.
    pub(crate) fn freeze_connections(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        for session in self.sessions() {
            // The one that holds the connection is a child of the one that watches it.
            for process in children(session).into_iter().chain([session]) {
                if name_of(process).is_some_and(|name| name.starts_with("sshd"))
                    && let Some(process) = rustix::process::Pid::from_raw(process)
                {
                    let _ = rustix::process::kill_process(process, signal);
                }
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.drop_connections();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> &'static Path {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists())
        .expect("openssh-server is installed")
}

fn name_of(process: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/comm")).ok()
}

fn children(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|process| {
            std::fs::read_to_string(format!("/proc/{process}/stat"))
                .ok()
                .and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<i32>().ok())
                .is_some_and(|of| of == parent)
        })
        .collect()
}

/// Sends KILL to one process.
pub(crate) fn kill(process: i32) {
    if let Some(process) = rustix::process::Pid::from_raw(process) {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
}
