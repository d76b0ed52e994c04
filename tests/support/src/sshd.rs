use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::is_root;
use crate::{Account, Daemon, DeathSignal, Folder, eventually, free_port};

/// A real OpenSSH server: one host. It has a host key of its own and lets the servers' account in
/// by key.
#[derive(Debug)]
pub struct Sshd {
    address: Ipv4Addr,
    port: u16,
    host_key: PathBuf,
    authorized: PathBuf,
    log: PathBuf,
    account: Account,
    server: Option<Daemon>,
    config: PathBuf,
}

impl Sshd {
    /// Starts a host `name` that lets in whoever holds the key of `home`.
    pub fn start(folder: &Folder, name: &str, address: Ipv4Addr, home: &SshHome) -> Self {
        Self::start_with(folder, name, address, home, "")
    }

    /// The same with further lines of `sshd_config`.
    pub fn start_with(
        folder: &Folder,
        name: &str,
        address: Ipv4Addr,
        home: &SshHome,
        more: &str,
    ) -> Self {
        let account = folder.account().clone();
        // What runs on the host keeps its state here, not in the account's real home.
        let state = folder.own_folder(&format!("{name}.state"));
        let host_key = folder.join(format!("{name}.host_key"));
        keygen(&host_key);
        let authorized = folder.own_file(
            format!("{name}.authorized_keys"),
            &fs::read_to_string(home.key().with_extension("pub")).unwrap(),
            0o644,
        );
        let port = free_port(address);
        let config = folder.own_file(
            format!("{name}.sshd_config"),
            &format!(
                "Port {port}\nListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\n\
                 PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nLogLevel VERBOSE\nMaxStartups 200\n\
                 Subsystem sftp internal-sftp\n\
                 SetEnv SHLVL=5 XDG_STATE_HOME={}\n{more}\n",
                host_key.display(),
                authorized.display(),
                state.display()
            ),
            0o644,
        );
        let mut sshd = Self {
            address,
            port,
            host_key,
            authorized,
            log: folder.join(format!("{name}.sshd.log")),
            account,
            server: None,
            config,
        };
        sshd.restart();
        sshd
    }

    /// Starts it again after [`Sshd::stop`].
    pub fn restart(&mut self) {
        let account = if is_root() {
            // Where sshd confines what talks to clients not yet known.
            fs::create_dir_all("/run/sshd").unwrap();
            Account { name: "root".into(), uid: 0, gid: 0, home: "/root".into() }
        } else {
            self.account.clone()
        };
        self.server = Some(Daemon::start(
            &account,
            DeathSignal::Term,
            Path::new("/usr/sbin/sshd"),
            &["-D", "-e", "-f", self.config.to_str().unwrap()],
            &self.log,
        ));
        eventually(&format!("sshd is up (see {})", self.log.display()), || {
            if let Some(status) = self.server.as_mut().unwrap().has_ended() {
                panic!("sshd ended with {status}:\n{}", self.log());
            }
            TcpStream::connect((self.address, self.port)).ok()
        });
    }

    /// Stops listening. Sessions that are open go on.
    pub fn stop(&mut self) {
        self.server = None;
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

    /// The file of the keys that are let in.
    pub fn authorized_keys(&self) -> PathBuf {
        self.authorized.clone()
    }

    /// Its public host key, as `known_hosts` holds it.
    pub fn host_key(&self) -> String {
        let text = fs::read_to_string(format!("{}.pub", self.host_key.display()));
        text.unwrap().split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

/// The home folder of who runs `dr`: a key, an `ssh_config` and a `known_hosts`, in `.ssh`.
#[derive(Debug)]
pub struct SshHome {
    home: PathBuf,
}

impl SshHome {
    /// A new home in `folder` with a new key and no known hosts.
    pub fn new(folder: &Folder) -> Self {
        let home = folder.join("home");
        let ssh = home.join(".ssh");
        fs::create_dir_all(&ssh).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700)).unwrap();
        let home = Self { home };
        keygen(&home.key());
        home.write(".ssh/known_hosts", "");
        home.write(".ssh/config", "");
        home
    }

    /// The home folder, for `HOME`.
    pub fn path(&self) -> &Path {
        &self.home
    }

    /// The private key.
    pub fn key(&self) -> PathBuf {
        self.home.join(".ssh/id_ed25519")
    }

    /// Adds `alias` to the `ssh_config`: it leads to `port` (its own, or that of a proxy in front
    /// of it) and logs in with the key of this home. The host key becomes known.
    pub fn add(&self, alias: &str, sshd: &Sshd, port: u16) {
        let mut config = self.read(".ssh/config");
        let _ = write!(
            config,
            "Host {alias}\n  HostName {}\n  Port {port}\n  User {}\n  IdentityFile {}\n  \
             IdentitiesOnly yes\n\n",
            sshd.address,
            sshd.account.name,
            self.key().display()
        );
        self.write(".ssh/config", &config);
        self.trust(sshd.address, port, &sshd.host_key());
    }

    /// Makes a host key known.
    pub fn trust(&self, address: Ipv4Addr, port: u16, key: &str) {
        let known = self.read(".ssh/known_hosts");
        self.write(".ssh/known_hosts", &format!("{known}[{address}]:{port} {key}\n"));
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.home.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn keygen(path: &Path) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
}
