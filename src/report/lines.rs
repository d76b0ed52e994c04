use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Fact, Reporter, Screen, Unsaid, facts};
use crate::event::{Event, Record, Volatile};
use crate::time::{Millis, Now, ToSecond};
use crate::view::View;

/// Plain lines, one a fact: `2026-11-20T03:12:19Z +12s step promote: succeeded in 4.1s`. For logs,
/// pipes and terminals that cannot be redrawn; never cut, never coloured. Those of records that became
/// durable together are written together.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    /// Lines that are not written yet.
    unsaid: String,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self::after(String::new(), out)
    }

    /// Writes to `out`, first what another could not.
    pub fn after(unsaid: String, out: W) -> Self {
        Self { out, unsaid }
    }
}

/// Writes whole lines and takes them off, as far as it comes.
fn write_off(out: &mut impl Write, lines: &mut String) -> io::Result<()> {
    let (mut written, mut result) = (0, Ok(()));
    while written < lines.len() && result.is_ok() {
        match out.write(&lines.as_bytes()[written..]) {
            Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => result = Err(error),
        }
    }
    // A line that was written in part is said again.
    let whole = lines.as_bytes()[..written].iter().rposition(|byte| *byte == b'\n');
    lines.drain(..whole.map_or(0, |end| end + 1));
    result.and_then(|()| out.flush())
}

/// One fact as a line that scrolls by on a screen. Never cut: the terminal breaks it.
#[must_use]
pub fn screen_line(screen: &Screen, event: &Event, fact: &Fact) -> String {
    let elapsed = Millis(event.elapsed_ms).short();
    let text = format!("{elapsed:>7}  {}: {}", fact.subject, fact.text);
    screen.paint(fact.tone, &text)
}

impl<W: Write + Send> Reporter for Lines<W> {
    fn record(&mut self, view: &View, record: &Record) -> io::Result<()> {
        let Record { event, .. } = record;
        for Fact { subject, text, .. } in &facts(view, event) {
            let (at, elapsed) = (ToSecond(event.at), Millis(event.elapsed_ms).short());
            let _ = writeln!(self.unsaid, "{at} +{elapsed} {subject}: {text}");
        }
        Ok(())
    }

    fn volatile(&mut self, _: &View, _: Now, _: &Volatile) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: &View, _: Now) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, view: &View, _: Now) -> io::Result<()> {
        if view.missed() > 0 {
            let missed = view.missed();
            let _ = writeln!(self.unsaid, "run: {missed} records were not seen by this terminal");
        }
        Ok(())
    }

    /// Whole lines at once: others may write there too.
    fn flush(&mut self) -> Result<(), Unsaid> {
        if self.unsaid.is_empty() {
            return Ok(());
        }
        write_off(&mut self.out, &mut self.unsaid)
            .map_err(|error| Unsaid { error, text: std::mem::take(&mut self.unsaid) })
    }
}
