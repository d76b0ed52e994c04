use std::io::{self, Write};

use super::{Fact, Reporter, Screen, facts};
use crate::event::{Event, Record, Volatile};
use crate::time::{Millis, Now};
use crate::view::View;

/// Plain lines, one a fact: `2026-11-20T03:12:19Z +12s step promote: succeeded in 4.1s`. For logs,
/// pipes and terminals that cannot be redrawn; never cut, never coloured.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

/// One fact as a line, without its end.
pub(super) fn line(event: &Event, fact: &Fact) -> String {
    let at = event.at.strftime("%Y-%m-%dT%H:%M:%SZ");
    let elapsed = Millis(event.elapsed_ms).short();
    format!("{at} +{elapsed} {}: {}", fact.subject, fact.text)
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
        let facts = facts(view, &record.event);
        if facts.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        for fact in &facts {
            lines.push_str(&line(&record.event, fact));
            lines.push('\n');
        }
        // Whole lines at once: others may write there too.
        self.out.write_all(lines.as_bytes())?;
        self.out.flush()
    }

    fn volatile(&mut self, _: &View, _: Now, _: &Volatile) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: &View, _: Now) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, view: &View, _: Now) -> io::Result<()> {
        if view.missed() > 0 {
            writeln!(self.out, "run: {} records were not seen by this terminal", view.missed())?;
        }
        self.out.flush()
    }
}
