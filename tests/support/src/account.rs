use std::fs;
use std::path::PathBuf;

use rustix::process::{geteuid, getuid};

/// The account that `tests/install` makes for the servers where the tests run as root.
const DEDICATED: &str = "dr-test";

/// The account that servers run as and that clients log in to. PostgreSQL refuses to run as root;
/// an ordinary user's sshd can only log that user in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home folder.
    pub home: PathBuf,
}

impl Account {
    /// `dr-test` for root, else the user of this process.
    pub fn for_servers() -> Self {
        let accounts = fs::read_to_string("/etc/passwd").unwrap();
        let found = accounts.lines().filter_map(Self::parse).find(|account| {
            if is_root() { account.name == DEDICATED } else { account.uid == getuid().as_raw() }
        });
        found.expect("no account for the servers: run tests/install")
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let mut fields = fields.skip(1);
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?.into();
        Some(Self { name, uid, gid, home })
    }
}

/// Whether this process may become another user.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}
