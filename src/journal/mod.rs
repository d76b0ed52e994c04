//! What a run has durably decided, as one file of JSON lines, and the folder it lives in.
//!
//! A line is believed only if its sum and its link to the line before hold. The journal is written
//! by one thread, one write and one sync a batch; after the first error it is dead and stays so.
//! The format is described for third parties in `docs/reference/journal.md`.

#[cfg(test)]
pub(crate) mod adversary;
mod error;
mod file;
mod line;
mod lock;
mod mask;
mod mask_event;
mod mask_stream;
mod memory;
mod replay;
mod run_dir;
mod run_store;

mod storage;
#[cfg(test)]
mod tests;
mod writer;

pub use error::JournalError;
pub use file::FileStorage;
pub use line::Head;
pub use lock::{Holder, LockError, RunLock, is_held};
pub use mask::Masker;
pub use mask_stream::MaskStream;
pub use memory::MemoryStorage;
pub use replay::{Lost, Replay, Tail, Torn, Unknown, decode, read, scan};
pub use run_dir::{RunDir, write_new};
pub use run_store::{NewRun, RunStore, StateError};
pub use storage::Storage;
pub use writer::{Journal, Writer, create, reopen};
