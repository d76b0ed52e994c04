use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Account;
use crate::account::is_root;

/// A temporary folder that the servers' account may use too. Removed when dropped.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    account: Account,
}

impl Folder {
    /// A new folder, directly under the system's temporary folder.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dr-test-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, account: Account::for_servers() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// The account of the servers.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Makes a folder in it that belongs to the servers' account and that no other may enter.
    pub fn own_folder(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        self.give(&path);
        path
    }

    /// Writes a file in it that belongs to the servers' account.
    pub fn own_file(&self, name: impl AsRef<Path>, text: &str, mode: u32) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self.give(&path);
        path
    }

    fn give(&self, path: &Path) {
        if is_root() {
            chown(path, Some(self.account.uid), Some(self.account.gid)).unwrap();
        }
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}
