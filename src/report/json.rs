use std::io::{self, Write};

use serde::Serialize;

use super::Reporter;
use crate::event::{Record, Volatile};
use crate::time::{Now, Timestamp};
use crate::view::View;

/// One event a line. Durable ones as they are in the journal, less its sums; volatile ones carry
/// `volatile: true` and, as `seq`, the number of the last durable one.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

#[derive(Serialize)]
struct Passing<'a> {
    seq: u64,
    at: Timestamp,
    elapsed_ms: u64,
    #[serde(flatten)]
    what: &'a Volatile,
    volatile: bool,
}

impl<W: Write + Send> Reporter for Json<W> {
    fn record(&mut self, _: &View, record: &Record) -> io::Result<()> {
        self.write(record)
    }

    fn volatile(&mut self, view: &View, now: Now, volatile: &Volatile) -> io::Result<()> {
        self.write(&Passing {
            seq: view.last_seq(),
            at: now.at,
            elapsed_ms: now.elapsed_ms,
            what: volatile,
            volatile: true,
        })
    }

    fn tick(&mut self, _: &View, _: Now) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, _: &View, _: Now) -> io::Result<()> {
        self.out.flush()
    }
}
