use std::fmt;
use std::path::{Path, PathBuf};

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit as inflate;

use super::GitError;
use super::pack::Pack;

/// Larger objects are not read: no runbook is so large.
pub(super) const MAX: usize = 512 << 20;

/// The name of an object.
#[derive(Clone, PartialEq, Eq)]
pub struct Oid(Vec<u8>);

impl Oid {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if !matches!(digits.len(), 40 | 64) {
            return None;
        }
        let pairs = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        pairs.collect::<Option<Vec<u8>>>().map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"commit" => Some(Self::Commit),
            b"tree" => Some(Self::Tree),
            b"blob" => Some(Self::Blob),
            b"tag" => Some(Self::Tag),
            _ => None,
        }
    }
}

/// Where objects lie: this repository's and those that it borrows from.
#[derive(Debug)]
pub(super) struct Objects {
    folders: Vec<PathBuf>,
    packs: Vec<Pack>,
    /// Bytes of a name.
    pub(super) hash: usize,
}

impl Objects {
    pub(super) fn new(folder: &Path, hash: usize) -> Self {
        let mut folders = vec![folder.to_owned()];
        let mut next = 0;
        while next < folders.len() && folders.len() < 16 {
            let listed = folders[next].join("info/alternates");
            for line in std::fs::read_to_string(listed).unwrap_or_default().lines() {
                let path = folders[next].join(line);
                if !line.is_empty() && !line.starts_with('#') && !folders.contains(&path) {
                    folders.push(path);
                }
            }
            next += 1;
        }
        let packs = folders.iter().flat_map(|folder| Pack::all(&folder.join("pack"), hash));
        let packs = packs.collect();
        Self { folders, packs, hash }
    }

    /// The content of an object.
    pub(super) fn read(&self, oid: &Oid) -> Result<(Kind, Vec<u8>), GitError> {
        let name = oid.to_string();
        let (folder, file) = name.split_at(2);
        for objects in &self.folders {
            if let Ok(bytes) = std::fs::read(objects.join(folder).join(file)) {
                return loose(&bytes)
                    .ok_or_else(|| GitError::damaged(format!("object {oid} is damaged")));
            }
        }
        for pack in &self.packs {
            if let Some(offset) = pack.offset(oid)? {
                return pack.read(offset, &|base| self.read(base));
            }
        }
        Err(GitError::damaged(format!("object {oid} is not there")))
    }

    /// The object whose name begins so, if there is exactly one.
    pub(super) fn complete(&self, prefix: &str) -> Option<Oid> {
        if let Some(oid) = Oid::parse(prefix) {
            return Some(oid);
        }
        let prefix = prefix.to_ascii_lowercase();
        let hex = prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex || prefix.len() < 4 || prefix.len() >= self.hash * 2 {
            return None;
        }
        let mut found: Vec<Oid> = Vec::new();
        for objects in &self.folders {
            let Ok(entries) = std::fs::read_dir(objects.join(&prefix[..2])) else { continue };
            for entry in entries.flatten() {
                let name = format!("{}{}", &prefix[..2], entry.file_name().to_string_lossy());
                found.extend(Oid::parse(&name).filter(|_| name.starts_with(&prefix)));
            }
        }
        for pack in &self.packs {
            pack.complete(&prefix, &mut found);
        }
        found.dedup();
        let first = found.first().cloned()?;
        found.iter().all(|other| *other == first).then_some(first)
    }
}

fn loose(bytes: &[u8]) -> Option<(Kind, Vec<u8>)> {
    let mut content = inflate(bytes, MAX).ok()?;
    let end = content.iter().position(|byte| *byte == 0)?;
    let head = content.drain(..=end).collect::<Vec<u8>>();
    let mut words = head[..end].split(|byte| *byte == b' ');
    let kind = Kind::named(words.next()?)?;
    let size: usize = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    (size == content.len()).then_some((kind, content))
}
