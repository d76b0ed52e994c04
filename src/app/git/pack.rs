use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit as inflate;

use super::GitError;
use super::delta;
use super::objects::{Kind, MAX, Oid};

/// Longest chain of deltas: git makes none longer than 4,095.
const CHAIN: u32 = 5_000;

/// An object, or why it cannot be read.
type Read = Result<(Kind, Vec<u8>), GitError>;

/// A pack of objects with its index (version 2).
#[derive(Debug)]
pub(super) struct Pack {
    path: PathBuf,
    index: Vec<u8>,
    hash: usize,
}

impl Pack {
    /// Every pack of a folder.
    pub(super) fn all(folder: &Path, hash: usize) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut indexes: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
            .collect();
        indexes.sort();
        let open = |path: &PathBuf| {
            let index = std::fs::read(path).ok()?;
            index.starts_with(&[0xff, b't', b'O', b'c', 0, 0, 0, 2]).then(|| Self {
                path: path.with_extension("pack"),
                index,
                hash,
            })
        };
        indexes.iter().filter_map(open).collect()
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.index.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    fn count(&self) -> usize {
        self.word(8 + 255 * 4).unwrap_or(0) as usize
    }

    fn name(&self, position: usize) -> Option<&[u8]> {
        let at = 8 + 1024 + position * self.hash;
        self.index.get(at..at + self.hash)
    }

    /// Positions whose names begin with this byte.
    fn bucket(&self, first: u8) -> std::ops::Range<usize> {
        let fan = |byte: usize| self.word(8 + byte * 4).unwrap_or(0) as usize;
        let from = if first == 0 { 0 } else { fan(usize::from(first) - 1) };
        from.min(self.count())..fan(usize::from(first)).min(self.count())
    }

    /// Where an object begins in the pack; none if it is not in it.
    pub(super) fn offset(&self, oid: &Oid) -> Result<Option<u64>, GitError> {
        let Some(first) = oid.bytes().first() else { return Ok(None) };
        let bucket = self.bucket(*first);
        let (mut low, mut high) = (bucket.start, bucket.end);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.name(middle).unwrap_or_default().cmp(oid.bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.offset_at(middle).map(Some),
            }
        }
        Ok(None)
    }

    fn offset_at(&self, position: usize) -> Result<u64, GitError> {
        let damaged =
            || GitError::damaged(format!("the index of {} is damaged", self.path.display()));
        let count = self.count();
        let offsets = 8 + 1024 + count * (self.hash + 4);
        let short = self.word(offsets + position * 4).ok_or_else(damaged)?;
        if short & 0x8000_0000 == 0 {
            return Ok(u64::from(short));
        }
        let at = offsets + count * 4 + (short & 0x7fff_ffff) as usize * 8;
        let bytes = self.index.get(at..at + 8).ok_or_else(damaged)?;
        Ok(u64::from_be_bytes(bytes.try_into().map_err(|_| damaged())?))
    }

    /// Names that begin with `prefix`.
    pub(super) fn complete(&self, prefix: &str, found: &mut Vec<Oid>) {
        let Ok(first) = u8::from_str_radix(&prefix[..2], 16) else { return };
        let names = self.bucket(first).filter_map(|position| self.name(position)).map(Oid::of);
        found.extend(names.filter(|oid| oid.to_string().starts_with(prefix)));
    }

    /// The object at `offset`; `base` reads one that is named.
    pub(super) fn read(&self, offset: u64, base: &dyn Fn(&Oid) -> Read) -> Read {
        let damaged = || GitError::damaged(format!("{} is damaged", self.path.display()));
        let file = File::open(&self.path)
            .map_err(|error| GitError::damaged(format!("{}: {error}", self.path.display())))?;
        let mut at = offset;
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        let (kind, mut content) = loop {
            let mut head = [0; 64];
            let read = file.read_at(&mut head, at).map_err(|_| damaged())?;
            let head = &head[..read];
            let (kind, size, mut used) = header(head).ok_or_else(damaged)?;
            if size > MAX || deltas.len() as u32 > CHAIN {
                return Err(GitError::damaged("an object is too large"));
            }
            let whole = |used: usize| unpack(&file, at + used as u64, size).ok_or_else(damaged);
            match kind {
                1 => break (Kind::Commit, whole(used)?),
                2 => break (Kind::Tree, whole(used)?),
                3 => break (Kind::Blob, whole(used)?),
                4 => break (Kind::Tag, whole(used)?),
                6 => {
                    let (back, length) = distance(&head[used..]).ok_or_else(damaged)?;
                    deltas.push(whole(used + length)?);
                    at = at.checked_sub(back).filter(|_| back > 0).ok_or_else(damaged)?;
                }
                7 => {
                    let oid = Oid::of(head.get(used..used + self.hash).ok_or_else(damaged)?);
                    used += self.hash;
                    deltas.push(whole(used)?);
                    break base(&oid)?;
                }
                _ => return Err(damaged()),
            }
        };
        for delta in deltas.iter().rev() {
            content = delta::apply(&content, delta, MAX).ok_or_else(damaged)?;
        }
        Ok((kind, content))
    }
}

/// Kind, size and length of an entry's head.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let mut used = 1;
    let mut byte = *bytes.first()?;
    let kind = byte >> 4 & 7;
    let mut size = usize::from(byte & 15);
    let mut shift = 4;
    while byte & 0x80 != 0 {
        byte = *bytes.get(used)?;
        used += 1;
        size |= usize::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
    }
    Some((kind, size, used))
}

/// How far back the base of a delta lies.
fn distance(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut used = 1;
    let mut byte = *bytes.first()?;
    let mut back = u64::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = *bytes.get(used)?;
        used += 1;
        back = back.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
    }
    Some((back, used))
}

/// The `size` bytes that are compressed at `at`.
fn unpack(file: &File, at: u64, size: usize) -> Option<Vec<u8>> {
    // What does not compress grows by a few bytes in each block.
    let most = size + size / 100 + 1_024;
    let mut packed = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match file.read_at(&mut packed[filled..], at + filled as u64).ok()? {
            0 => break,
            read => filled += read,
        }
    }
    let content = inflate(&packed[..filled], size.max(1)).ok()?;
    (content.len() == size).then_some(content)
}
