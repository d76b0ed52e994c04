//! All run logic as one pure state machine: inputs in, effects out. It reads no clock, no file and
//! no environment, and starts nothing; a fresh run is the replay of an empty journal.

mod io;

pub use io::{AttemptResult, Effect, Ending, Input, Launch, LaunchKind, Session, Ticket, Timer};
