use std::fmt::Write as _;

use dr_plugin::Stream;

use super::{Screen, Tone};
use crate::view::clean;

/// One kept output of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log<'a> {
    /// What wrote it: `promote, attempt 1`.
    pub title: &'a str,
    /// Where it was written to; absent if both are in one.
    pub stream: Option<Stream>,
    /// What was written, secrets masked.
    pub text: &'a str,
    /// How much more was written than was kept, bytes.
    pub dropped: u64,
}

/// The text of `dr logs`: outputs under their titles. Terminal escapes are stripped: what a host
/// wrote can neither move the cursor nor pass for something that `dr` says.
#[must_use]
pub fn logs(parts: &[Log<'_>], screen: &Screen) -> String {
    let mut out = String::new();
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            out.push('\n');
        }
        let stream = match part.stream {
            Some(Stream::Stdout) => ", stdout",
            Some(Stream::Stderr) => ", stderr",
            None => "",
        };
        let title = format!("── {}{stream}", clean(part.title));
        let _ = writeln!(out, "{}", screen.paint(Tone::Strong, &title));
        out.push_str(&log_text(part.text));
        if part.dropped > 0 {
            let text = format!("… {} more bytes were not kept", part.dropped);
            let _ = writeln!(out, "{}", screen.paint(Tone::Warning, &text));
        }
    }
    out
}

/// Output of a host, fit for a terminal: no escapes, every line indented, the last one ended.
#[must_use]
pub fn log_text(text: &str) -> String {
    let mut out = String::new();
    for line in clean(text).lines() {
        if !line.is_empty() {
            out.push_str("  ");
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}
