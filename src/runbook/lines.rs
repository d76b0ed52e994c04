use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Lines of a text, found without counting from the top each time.
#[derive(Debug)]
pub(super) struct Lines<'t> {
    text: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
    /// The last place that was asked for: its byte, and the characters before it on its line.
    last: Mutex<(usize, usize)>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect(), last: Mutex::default() }
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        let at = at.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        // A line may be very long, and many problems on it: each counts from the one before.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, column) = *last;
        let (from, column) =
            if (start..=at).contains(&known) { (known, column) } else { (start, 0) };
        let Some(between) = self.text.get(from..at) else { return (line as u32, 1) };
        let column = column + between.chars().count();
        *last = (at, column);
        (line as u32, column as u32 + 1)
    }

    /// The bytes of a line, counted from 1, without its end; a line past the last is empty.
    pub(super) fn line(&self, line: u32) -> Range<usize> {
        let start = self.starts.get(line as usize - 1).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line as usize).copied().unwrap_or(self.text.len());
        let content = self.text[start..end].trim_end_matches(['\n', '\r']);
        start..start + content.len()
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_on_lines() {
        let text = "größe: 1\r\n\nlast";
        let lines = Lines::new(text);
        for (at, place) in [(0, (1, 1)), (6, (1, 5)), (12, (2, 1)), (13, (3, 1)), (99, (3, 5))] {
            assert_eq!(lines.place(at), place, "{at}");
        }
        for at in (0..=text.len()).chain((0..text.len()).rev()) {
            assert_eq!(lines.place(at), Lines::new(text).place(at), "{at}");
        }
        assert_eq!(&text[lines.line(1)], "größe: 1");
        assert_eq!(&text[lines.line(2)], "");
        assert_eq!(lines.line(99), text.len()..text.len());
        assert_eq!(lines.count(), 3);
        assert_eq!(Lines::new("").place(0), (1, 1));
    }
}
