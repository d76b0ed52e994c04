use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use super::handle::Incoming;
use crate::event::{Request, RequestKind};
use crate::id::{Digest, RunId};
use crate::journal::{RunDir, write_new};
use crate::plan::Challenge;
use crate::time::{Clock, Timestamp, ToSecond};

/// Version of the format of a letter.
const FORMAT: u32 = 1;
/// The inbox is looked into this often.
const LOOK: Duration = Duration::from_millis(200);

/// A request as it lies in the inbox of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Version of the format.
    pub format: u32,
    /// The run it is for.
    pub run: RunId,
    /// The plan that whoever wrote it has seen.
    pub plan_digest: Digest,
    /// When it was asked: requests are taken in this order. Letters of older programs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// Not to be followed after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What is asked.
    pub request: Request,
}

impl Letter {
    /// A letter of this moment. What lets a run go on expires: it was said of the run as it stood
    /// then. What holds it back never does.
    #[must_use]
    pub fn new(run: RunId, plan_digest: Digest, asked: Timestamp, request: Request) -> Self {
        let expires = match request.ask {
            RequestKind::Approve
            | RequestKind::Retry
            | RequestKind::Redo
            | RequestKind::Skip
            | RequestKind::AssumeDone
            | RequestKind::AssumeNotDone => Some(Challenge::expiry(asked, None)),
            RequestKind::Reject
            | RequestKind::Fail
            | RequestKind::Cancel
            | RequestKind::CancelNow
            | RequestKind::Undo
            | RequestKind::CancelUndo
            | RequestKind::Pause => None,
        };
        Self { format: FORMAT, run, plan_digest, asked: Some(asked), expires, request }
    }

    /// Why it is not followed; nothing if it is.
    fn refuse(&self, run: &RunId, plan: &Digest, now: Timestamp) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("its format {} is not known", self.format));
        }
        if self.run != *run {
            return Some(format!("it is for the run {}", self.run));
        }
        if self.plan_digest != *plan {
            return Some("it was made for another plan".to_owned());
        }
        let expired = self.expires.filter(|expires| *expires < now)?;
        let command = self.request.command(run.as_str());
        Some(format!("it expired at {}: ask again with `{command}`", ToSecond(expired)))
    }
}

/// What becomes of a posted letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// A process drives the run and will take it at once.
    Live,
    /// It is kept until the run is resumed.
    Kept,
}

/// Puts a letter into the inbox of a run: it is there whole and durable, or not at all. The same
/// request posted twice is one.
///
/// # Errors
/// The system's.
pub fn post(dir: &RunDir, letter: &Letter) -> io::Result<Posted> {
    let path = dir.request(&letter.request.id);
    if !path.exists() {
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = write_new(&aside, &serde_json::to_vec(letter)?)
            .and_then(|()| std::fs::rename(&aside, &path))
            .and_then(|()| File::open(dir.inbox())?.sync_all());
        if written.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        written?;
    }
    Ok(if dir.is_live() { Posted::Live } else { Posted::Kept })
}

/// Takes letters out of an inbox, each once.
pub(super) struct Inbox {
    dir: RunDir,
    run: RunId,
    plan_digest: Digest,
    clock: Arc<dyn Clock>,
    seen: HashSet<OsString>,
}

impl Inbox {
    pub(super) fn new(dir: RunDir, run: RunId, plan: Digest, clock: Arc<dyn Clock>) -> Self {
        Self { dir, run, plan_digest: plan, clock, seen: HashSet::new() }
    }

    /// The letters that have come since the last look, in the order in which they were asked.
    pub(super) fn look(&mut self) -> Vec<Incoming> {
        let Ok(entries) = std::fs::read_dir(self.dir.inbox()) else { return Vec::new() };
        let names: Vec<OsString> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
            .filter(|name| Path::new(name).extension().is_some_and(|end| end == "json"))
            .filter(|name| !self.seen.contains(name))
            .collect();
        let files = names.iter().map(|name| self.dir.inbox().join(name));
        let mut letters: Vec<(Letter, PathBuf)> = files.filter_map(open).collect();
        // What was said later must not be overtaken: a veto stands until somebody takes it back.
        letters.sort_by(|(one, _), (other, _)| {
            (one.asked, &one.request.id).cmp(&(other.asked, &other.request.id))
        });
        self.seen.extend(names);
        let now = self.clock.wall();
        let taken = letters.into_iter().map(|(letter, file)| {
            let why = letter.refuse(&self.run, &self.plan_digest, now);
            let request = letter.request;
            match why {
                Some(why) => Incoming::Refused { request, why, file },
                None => Incoming::Request { request, file: Some(file) },
            }
        });
        taken.collect()
    }

    /// Looks again and again, on a thread of its own, until what is returned is dropped.
    pub(super) fn watch(mut self, sender: UnboundedSender<Incoming>) -> io::Result<Sender<()>> {
        let (stop, stopped) = channel();
        std::thread::Builder::new().name("inbox".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
                for incoming in self.look() {
                    if sender.send(incoming).is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(stop)
    }
}

/// Reads a letter. One that does not say when it was asked was when it was written.
fn open(file: PathBuf) -> Option<(Letter, PathBuf)> {
    let read = std::fs::read(&file).map_err(|error| error.to_string());
    let letter = read.and_then(|bytes| {
        serde_json::from_slice::<Letter>(&bytes).map_err(|error| error.to_string())
    });
    match letter {
        Ok(mut letter) => {
            let written = || std::fs::metadata(&file).and_then(|it| it.modified()).ok();
            letter.asked = letter.asked.or_else(|| Timestamp::try_from(written()?).ok());
            Some((letter, file))
        }
        Err(error) => {
            tracing::warn!(file = %file.display(), "not a request, left alone: {error}");
            None
        }
    }
}

/// Takes requests that are durable in the journal out of the inbox.
pub(super) fn remove(files: &[PathBuf]) {
    for file in files {
        // One that stays is told apart by its id when it is seen again.
        let _ = std::fs::remove_file(file);
    }
}
