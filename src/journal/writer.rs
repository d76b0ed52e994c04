use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{FileStorage, Head, JournalError, Lost, Masker, Replay, Storage};
use crate::event::{Event, Record};

/// Turns events into lines and makes them durable, a batch at a time. Secrets are masked here,
/// before the sums are taken.
pub struct Writer {
    storage: Box<dyn Storage>,
    head: Head,
    masker: Masker,
    dead: bool,
    /// The lines of a batch.
    buffer: Vec<u8>,
    /// One event.
    json: Vec<u8>,
}

impl Writer {
    /// Goes on at `head`, which is [`Head::default`] for a new journal.
    pub fn new(storage: impl Storage + 'static, head: Head, masker: Masker) -> Self {
        Self {
            storage: Box::new(storage),
            head,
            masker,
            dead: false,
            buffer: Vec::new(),
            json: Vec::new(),
        }
    }

    /// Where the next record goes.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Writes `events` as one batch and gives them back, as written, once they are durable.
    ///
    /// # Errors
    /// [`JournalError::Write`] the first time something fails, [`JournalError::Dead`] ever after.
    pub fn append(&mut self, events: Vec<Event>) -> Result<Vec<Arc<Record>>, JournalError> {
        if self.dead {
            return Err(JournalError::Dead);
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        self.write(events).map_err(|error| {
            self.dead = true;
            JournalError::Write { source: Arc::new(error) }
        })
    }

    fn write(&mut self, events: Vec<Event>) -> io::Result<Vec<Arc<Record>>> {
        let batch = self.head.seq + 1;
        let mut head = self.head;
        let mut records = Vec::with_capacity(events.len());
        self.buffer.clear();
        for mut event in events {
            self.json.clear();
            serde_json::to_writer(&mut self.json, &event)?;
            if self.masker.finds(&self.json) {
                self.masker.mask_event(&mut event);
                self.json.clear();
                serde_json::to_writer(&mut self.json, &event)?;
            }
            head.encode(batch, &self.json, &mut self.buffer);
            records.push(Arc::new(Record { seq: head.seq, event }));
        }
        self.storage.append(&self.buffer)?;
        self.storage.sync()?;
        self.head = head;
        Ok(records)
    }
}

/// Creates the journal of a new run in a file that does not exist yet.
///
/// # Errors
/// [`JournalError::Write`].
pub fn create(path: &Path, masker: Masker) -> Result<Writer, JournalError> {
    let storage = FileStorage::create(path)
        .map_err(|error| JournalError::Write { source: Arc::new(error) })?;
    Ok(Writer::new(storage, Head::default(), masker))
}

/// Opens the journal of a run that goes on for writing, after what was written to it since `known` was
/// read. A torn last line is cut off.
/// With `accept_loss`, so is damage, after a copy was kept beside it (`journal.jsonl.lost-N`).
///
/// The caller holds the run's lock.
///
/// # Errors
/// As for [`read`] and [`Replay::for_resume`]; [`JournalError::Write`].
pub fn reopen(
    path: &Path,
    known: Replay,
    accept_loss: bool,
    masker: Masker,
) -> Result<(Replay, Writer), JournalError> {
    let mut replay = known.renewed(path, accept_loss)?;
    replay.for_resume()?;
    if replay.lost.is_none() {
        replay.lost = given_up(path, &replay);
    }
    let failed = |error| JournalError::Write { source: Arc::new(error) };
    if let Some(lost) = &replay.lost {
        keep(path, lost).map_err(failed)?;
    }
    let storage = FileStorage::open(path, replay.length).map_err(failed)?;
    let writer = Writer::new(storage, replay.head, masker);
    Ok((replay, writer))
}

/// Where a journal is kept whose records from `record` on are damaged.
fn aside(path: &Path, record: u64) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".lost-{record}"));
    path.with_file_name(name)
}

/// What was given up by somebody whose session did not come to recording it.
fn given_up(path: &Path, replay: &Replay) -> Option<Lost> {
    let record = replay.head.seq + 1;
    let before = std::fs::metadata(aside(path, record)).ok()?;
    Some(Lost {
        record,
        offset: replay.length,
        bytes: before.len().saturating_sub(replay.length),
        why: "its end was given up".to_owned(),
    })
}

/// Copies the whole damaged journal aside before its end is cut off.
fn keep(path: &Path, lost: &Lost) -> io::Result<()> {
    let aside = aside(path, lost.record);
    if aside.exists() {
        return Ok(());
    }
    std::fs::copy(path, &aside)?;
    std::fs::File::open(&aside)?.sync_all()?;
    super::file::sync_parent(&aside)
}

struct Job {
    events: Vec<Event>,
    done: oneshot::Sender<Result<Vec<Arc<Record>>, JournalError>>,
}

/// A [`Writer`] on a thread of its own, so that a slow disk never holds up what runs.
#[derive(Debug)]
pub struct Journal {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`JournalError::Write`] if the system gives no thread.
    pub fn start(mut writer: Writer) -> Result<Self, JournalError> {
        let (jobs, work) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                for Job { events, done } in work {
                    // Nobody waits any more only when the session is being torn down.
                    let _ = done.send(writer.append(events));
                }
            })
            .map_err(|error| JournalError::Write { source: Arc::new(error) })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Writes `events` as one batch; completes once they are durable.
    ///
    /// # Errors
    /// As for [`Writer::append`].
    pub async fn append(&self, events: Vec<Event>) -> Result<Vec<Arc<Record>>, JournalError> {
        let (done, written) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(JournalError::Dead)?;
        jobs.send(Job { events, done }).map_err(|_| JournalError::Dead)?;
        written.await.unwrap_or(Err(JournalError::Dead))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has already answered with `Dead`.
            let _ = thread.join();
        }
    }
}
