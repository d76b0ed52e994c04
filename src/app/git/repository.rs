use std::path::{Component, Path, PathBuf};

use super::GitError;
use super::objects::{Kind, Objects, Oid};

/// A repository on disk.
#[derive(Debug)]
pub struct Repository {
    /// The folder of the work tree.
    pub(super) top: PathBuf,
    /// What belongs to this work tree: `HEAD`.
    pub(super) own: PathBuf,
    /// What all work trees share.
    pub(super) common: PathBuf,
    pub(super) objects: Objects,
}

impl Repository {
    /// The repository that holds `folder`.
    ///
    /// # Errors
    /// [`GitError`].
    pub fn discover(folder: &Path) -> Result<Self, GitError> {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let found = folder.ancestors().find_map(|top| Some((top, git_dir(&top.join(".git"))?)));
        let (top, own) = found.ok_or_else(|| GitError::NoRepository(folder.clone()))?;
        let common = match std::fs::read_to_string(own.join("commondir")) {
            Ok(path) => own.join(path.trim_end()),
            Err(_) => own.clone(),
        };
        let config = std::fs::read_to_string(common.join("config")).unwrap_or_default();
        let says = |key: &str, value: &str| {
            config.lines().any(|line| {
                line.split_once('=').is_some_and(|(name, is)| {
                    name.trim().eq_ignore_ascii_case(key) && is.trim() == value
                })
            })
        };
        if says("refstorage", "reftable") {
            return Err(GitError::damaged(
                "it keeps its references as `reftable`, which dr does not read",
            ));
        }
        let hash = if says("objectformat", "sha256") { 32 } else { 20 };
        let objects = Objects::new(&common.join("objects"), hash);
        Ok(Self { top: top.to_owned(), own, common, objects })
    }

    /// A path as it is named from the top of the repository; none if it lies outside.
    #[must_use]
    pub fn from_top(&self, folder: &Path, path: &str) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        if path.starts_with("./") || path.starts_with("../") || path == "." {
            let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
            let below = folder.strip_prefix(&self.top).ok()?;
            parts.extend(below.iter().map(|part| part.to_string_lossy().into_owned()));
        }
        for part in Path::new(path).components() {
            match part {
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                Component::ParentDir => drop(parts.pop()?),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(parts.join("/"))
    }

    /// The content of a file of a commit.
    ///
    /// # Errors
    /// [`GitError::Object`].
    pub fn file(&self, commit: &Oid, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let mut at = self.tree_of(commit)?;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let (kind, tree) = self.objects.read(&at)?;
            if kind != Kind::Tree {
                return Ok(None);
            }
            let Some(entry) = entry(&tree, part, self.objects.hash)? else { return Ok(None) };
            at = entry;
            if parts.peek().is_none() {
                let (kind, content) = self.objects.read(&at)?;
                return Ok((kind == Kind::Blob).then_some(content));
            }
        }
        Ok(None)
    }

    fn tree_of(&self, commit: &Oid) -> Result<Oid, GitError> {
        let (kind, content) = self.objects.read(commit)?;
        let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let tree = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("tree "));
        match tree.and_then(Oid::parse) {
            Some(tree) if kind == Kind::Commit => Ok(tree),
            _ => Err(GitError::damaged(format!("{commit} is no commit"))),
        }
    }
}

/// The folder that `.git` is or names.
fn git_dir(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return path.join("HEAD").exists().then(|| path.to_owned());
    }
    let text = std::fs::read_to_string(path).ok()?;
    let named = text.strip_prefix("gitdir:")?.trim();
    Some(path.parent().unwrap_or(Path::new("/")).join(named))
}

/// What a tree calls `name`.
fn entry(tree: &[u8], name: &str, hash: usize) -> Result<Option<Oid>, GitError> {
    let mut rest = tree;
    let damaged = || GitError::damaged("a tree is damaged");
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
        let (head, tail) = (&rest[..end], &rest[end + 1..]);
        let oid = tail.get(..hash).ok_or_else(damaged)?;
        let space = head.iter().position(|byte| *byte == b' ').ok_or_else(damaged)?;
        if &head[space + 1..] == name.as_bytes() {
            return Ok(Some(Oid::of(oid)));
        }
        rest = &tail[hash..];
    }
    Ok(None)
}
