use std::io;

use crate::event::{Record, Volatile};
use crate::time::Now;
use crate::view::View;

/// What could not be written.
#[derive(Debug)]
pub struct Unsaid {
    /// Why.
    pub error: io::Error,
    /// Whole lines that nobody has taken, the first perhaps in part.
    pub text: String,
}

/// Shows a run while it goes on.
pub trait Reporter: Send {
    /// A durable record, which `view` has just taken in.
    ///
    /// # Errors
    /// Writing failed. The run goes on; the caller stops reporting.
    fn record(&mut self, view: &View, record: &Record) -> io::Result<()>;

    /// Something that passes by, which `view` has just taken in.
    ///
    /// # Errors
    /// As for [`Reporter::record`].
    fn volatile(&mut self, view: &View, now: Now, volatile: &Volatile) -> io::Result<()>;

    /// Time has passed. Called about ten times a second while a terminal shows the run, at least
    /// once a second otherwise.
    ///
    /// # Errors
    /// As for [`Reporter::record`].
    fn tick(&mut self, view: &View, now: Now) -> io::Result<()>;

    /// Nothing more will come in this session: leaves the terminal as a person expects it.
    ///
    /// # Errors
    /// As for [`Reporter::record`].
    fn end(&mut self, view: &View, now: Now) -> io::Result<()>;

    /// All that was told for now is told: what a reporter has held back to write it at once goes out.
    ///
    /// # Errors
    /// As for [`Reporter::record`], with what it held back.
    fn flush(&mut self) -> Result<(), Unsaid> {
        Ok(())
    }
}
