use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::Entry;
use super::{Head, JournalError};
use crate::event::Record;
use crate::time::Timestamp;

/// What a journal says, as far as it can be believed.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Events in order.
    pub records: Vec<Record>,
    /// Records of kinds that this version does not know, in order. They hold, and a view may pass
    /// over them; a run must not be resumed over them: [`Replay::for_resume`].
    pub unknown: Vec<Unknown>,
    /// Where it goes on.
    pub head: Head,
    /// Bytes that hold.
    pub length: u64,
    /// Where the last line of them begins.
    pub(super) last: u64,
    /// An unfinished last line, which was never acted upon.
    pub torn: Option<Torn>,
    /// What was given up with `accept_loss`.
    pub lost: Option<Lost>,
}

/// A record of a newer vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its number.
    pub seq: u64,
    /// Wall clock.
    pub at: Timestamp,
    /// Milliseconds since the run's start.
    pub elapsed_ms: u64,
    /// Its `type`.
    pub kind: String,
    /// The line as written.
    pub line: String,
}

/// A last line that was cut off while it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub offset: u64,
    /// How much of it there is.
    pub bytes: u64,
}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the last write was cut off by a crash: {} bytes from byte {} on are dropped; nothing \
             had followed from them",
            self.bytes, self.offset
        )
    }
}

/// Damage that somebody accepted: the record and everything after it is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Number of the first record that is given up.
    pub record: u64,
    /// Where its line begins.
    pub offset: u64,
    /// Bytes given up.
    pub bytes: u64,
    /// What did not hold.
    pub why: String,
}

impl Replay {
    /// The records, for a run that goes on.
    ///
    /// # Errors
    /// [`JournalError::Newer`] if there is one that this version does not know;
    /// [`JournalError::Over`] if the run has a final verdict.
    pub fn for_resume(&self) -> Result<&[Record], JournalError> {
        if let Some(unknown) = self.unknown.first() {
            let (record, kind) = (unknown.seq, unknown.kind.clone());
            return Err(JournalError::Newer { record, kind });
        }
        if let Some(crate::event::EventKind::RunFinished(finished)) =
            self.records.last().map(|record| &record.event.kind)
            && finished.verdict.is_final()
        {
            return Err(JournalError::Over { verdict: finished.verdict.as_str() });
        }
        Ok(&self.records)
    }
}

/// So much of a journal is in memory at once while it is read.
const CHUNK: u64 = 256 * 1024;

/// Reads a whole journal from its file. A torn last line is reported, not an error.
///
/// With `accept_loss`, damage ends the reading instead of refusing it.
///
/// # Errors
/// [`JournalError::Read`]; [`JournalError::Damaged`] with the first record that does not hold.
pub fn read(path: &Path, accept_loss: bool) -> Result<Replay, JournalError> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    Replay::default().keep_on(file, accept_loss).map_err(|fault| fault.at(path))
}

/// Reads a whole journal from its file and hands over each record, in order, instead of keeping
/// them; otherwise as [`read`].
///
/// # Errors
/// As for [`read`].
pub fn scan(
    path: &Path,
    accept_loss: bool,
    take: impl FnMut(Record),
) -> Result<Replay, JournalError> {
    let file = File::open(path).map_err(|error| unreadable(path, error))?;
    Replay::default().read_on(file, accept_loss, take).map_err(|fault| fault.at(path))
}

/// Reads a whole journal from memory; otherwise as [`read`].
///
/// # Errors
/// [`JournalError::Damaged`].
pub fn decode(bytes: &[u8], accept_loss: bool) -> Result<Replay, JournalError> {
    Replay::default().keep_on(bytes, accept_loss).map_err(|fault| fault.at(Path::new("")))
}

/// What ends the reading of a journal.
enum Fault {
    Read(std::io::Error),
    Journal(JournalError),
}

impl Fault {
    fn at(self, path: &Path) -> JournalError {
        match self {
            Self::Read(error) => unreadable(path, error),
            Self::Journal(error) => error,
        }
    }
}

impl Replay {
    /// The same journal once more, which may have been written on since. Only what is new is read if the last
    /// record is still where it was: it names the sum of the one before it, and so on to the first.
    ///
    /// # Errors
    /// As for [`read`].
    pub(super) fn renewed(self, path: &Path, accept_loss: bool) -> Result<Self, JournalError> {
        if self.lost.is_some() || self.head.seq == 0 {
            return read(path, accept_loss);
        }
        let mut line = Vec::new();
        let file = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.last))?;
            file.by_ref().take(self.length - self.last).read_to_end(&mut line)?;
            Ok(file)
        });
        let file = file.map_err(|error| unreadable(path, error))?;
        if !self.head.is_sum_of(&line) {
            return read(path, accept_loss);
        }
        self.keep_on(file, accept_loss).map_err(|fault| fault.at(path))
    }

    /// Adds what follows to the end.
    fn keep_on(mut self, from: impl Read, accept_loss: bool) -> Result<Self, Fault> {
        let mut records = std::mem::take(&mut self.records);
        let replay = self.read_on(from, accept_loss, |record| records.push(record))?;
        Ok(Self { records, ..replay })
    }

    /// Hands over what follows to the end.
    fn read_on(
        mut self,
        mut from: impl Read,
        accept_loss: bool,
        mut take: impl FnMut(Record),
    ) -> Result<Self, Fault> {
        self.torn = None;
        let mut bytes = Vec::new();
        loop {
            let read = from.by_ref().take(CHUNK).read_to_end(&mut bytes).map_err(Fault::Read)?;
            let before = self.length;
            match self.extend_into(&bytes, &mut take) {
                Ok(()) => {}
                Err(JournalError::Damaged { record, offset, why, .. }) if accept_loss => {
                    let rest = std::io::copy(&mut from, &mut std::io::sink());
                    let end = before + bytes.len() as u64 + rest.map_err(Fault::Read)?;
                    self.lost = Some(Lost { record, offset, bytes: end - offset, why });
                    return Ok(self);
                }
                Err(error) => return Err(Fault::Journal(error)),
            }
            bytes.drain(..(self.length - before) as usize);
            if read == 0 {
                break;
            }
        }
        if !bytes.is_empty() {
            self.torn = Some(Torn { offset: self.length, bytes: bytes.len() as u64 });
        }
        Ok(self)
    }
}

impl Replay {
    /// Takes the complete lines at the start of `bytes`, which follow what was read before.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let mut records = std::mem::take(&mut self.records);
        let extended = self.extend_into(bytes, |record| records.push(record));
        self.records = records;
        extended
    }

    fn extend_into(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Record),
    ) -> Result<(), JournalError> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            match self.head.decode(&rest[..end]) {
                Ok(Entry::Known(record)) => take(record),
                Ok(Entry::Unknown(unknown)) => self.unknown.push(unknown),
                Err(why) => {
                    let (record, offset) = (self.head.seq + 1, self.length);
                    return Err(JournalError::Damaged { record, offset, why, run: None });
                }
            }
            self.last = self.length;
            self.length += end as u64 + 1;
            rest = &rest[end + 1..];
        }
        Ok(())
    }
}

/// Follows a journal that another process writes.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    replay: Replay,
}

impl Tail {
    /// Follows from the first record on. The file need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, replay: Replay::default() }
    }

    /// The records written since the last call, possibly none.
    ///
    /// # Errors
    /// As for [`read`], but a journal that does not exist is an empty one.
    pub fn poll(&mut self) -> Result<Vec<Record>, JournalError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(unreadable(&self.path, error)),
            },
        };
        let file = self.file.insert(file);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.replay.length))
            .and_then(|_| file.read_to_end(&mut bytes))
            .map_err(|error| unreadable(&self.path, error))?;
        self.replay.extend(&bytes)?;
        Ok(std::mem::take(&mut self.replay.records))
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> JournalError {
    JournalError::Read { path: path.to_owned(), source: Arc::new(error) }
}
