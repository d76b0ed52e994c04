//! Where included runbooks are read from: the files of a repository, or one of its commits.

use std::path::{Component, Path, PathBuf};

use super::git;
use crate::runbook::{self, Found, Library};

/// Files on disk, of one repository.
#[derive(Debug)]
pub struct Disk {
    /// Nothing outside of it is read, whatever links say.
    root: Option<PathBuf>,
}

impl Disk {
    /// For the runbooks that the one in `file` includes: those of its git repository; without one,
    /// of its folder.
    #[must_use]
    pub fn around(file: &Path) -> Self {
        let folder = folder_of(file).canonicalize().ok();
        let root = folder.map(|folder| {
            let top = folder.ancestors().find(|folder| folder.join(".git").exists());
            top.unwrap_or(&folder).to_owned()
        });
        Self { root }
    }
}

impl Library for Disk {
    fn find(&self, from: &str, path: &str) -> Result<Found, String> {
        let file = beside(from, path)?;
        let really = file.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("is not there: there is no {}", file.display()),
            _ => format!("cannot be read: {error}"),
        })?;
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        if !really.starts_with(root) {
            return Err(format!("leads out of {}", root.display()));
        }
        let text = runbook::read(&really).map_err(|problems| {
            problems.into_iter().next().map_or_else(String::new, |problem| problem.message)
        })?;
        Ok(Found { file: file.display().to_string(), identity: really.display().to_string(), text })
    }
}

/// Files of a commit: named `REVISION:PATH`.
#[derive(Debug)]
pub struct Commit;

impl Library for Commit {
    fn find(&self, from: &str, path: &str) -> Result<Found, String> {
        let Some((revision, from)) = from.split_once(':') else {
            return Err("is not in a commit".to_owned());
        };
        let file = beside(from, path)?;
        let shown = file.display();
        let bytes = git::read(Path::new("."), revision, &file.to_string_lossy())
            .map_err(|error| format!("cannot be read: {error}"))?
            .ok_or_else(|| format!("is not there: {revision} has no {shown}"))?;
        let text = String::from_utf8(bytes).map_err(|_| "is not a text in UTF-8".to_owned())?;
        let file = format!("{revision}:{shown}");
        Ok(Found { identity: file.clone(), file, text })
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file that `path` means in the file `from`, without detours.
fn beside(from: &str, path: &str) -> Result<PathBuf, String> {
    let written = Path::new(path);
    if written.is_absolute() {
        return Err("is an absolute path, which means something else on every machine".to_owned());
    }
    let mut file = PathBuf::new();
    for part in folder_of(Path::new(from)).join(written).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match file.components().next_back() {
                Some(Component::Normal(_)) => {
                    file.pop();
                }
                _ => file.push(".."),
            },
            other => file.push(other),
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_from_the_folder_of_the_runbook() {
        for (from, path, file) in [
            ("runbooks/shop.yaml", "./parts/db.yaml", "runbooks/parts/db.yaml"),
            ("runbooks/shop.yaml", "../common/db.yaml", "common/db.yaml"),
            ("shop.yaml", "./db.yaml", "db.yaml"),
            ("shop.yaml", "../../db.yaml", "../../db.yaml"),
            ("/srv/shop.yaml", "parts/../db.yaml", "/srv/db.yaml"),
        ] {
            assert_eq!(beside(from, path), Ok(PathBuf::from(file)), "{from} {path}");
        }
        assert!(beside("shop.yaml", "/etc/passwd").is_err());
    }

    #[test]
    fn nothing_outside_of_the_repository_is_read() {
        let temp = tempfile::tempdir().expect("a folder");
        let top = temp.path().join("repository");
        std::fs::create_dir_all(top.join(".git")).expect("a folder");
        std::fs::create_dir_all(top.join("books")).expect("a folder");
        std::fs::write(temp.path().join("secret.yaml"), "x").expect("a file");
        std::fs::write(top.join("part.yaml"), "runbook: part\n").expect("a file");
        std::os::unix::fs::symlink(temp.path().join("secret.yaml"), top.join("link.yaml"))
            .expect("a link");
        let main = top.join("books/main.yaml");
        let disk = Disk::around(&main);
        let find = |path: &str| disk.find(&main.display().to_string(), path);
        assert_eq!(find("../part.yaml").map(|found| found.text), Ok("runbook: part\n".to_owned()));
        for outside in ["../../secret.yaml", "../link.yaml", "/etc/hostname"] {
            assert!(find(outside).is_err(), "{outside}");
        }
        let missing = find("./none.yaml").expect_err("nothing");
        assert!(missing.starts_with("is not there"), "{missing}");
    }
}
