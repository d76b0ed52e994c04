/// Bytes of each stream that a result keeps: the first ones.
pub const KEPT: usize = 1024 * 1024;

/// Bytes of the end that are kept besides, for the causes of an error.
const TAIL: usize = 4096;

/// One output stream of a command, as much of it as is kept.
#[derive(Debug, Default)]
pub struct Capture {
    head: Vec<u8>,
    tail: Vec<u8>,
    seen: u64,
}

impl Capture {
    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        self.seen += chunk.len() as u64;
        let room = (KEPT - self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..room]);
        let rest = &chunk[room..];
        let rest = &rest[rest.len().saturating_sub(TAIL)..];
        self.tail.extend_from_slice(rest);
        if self.tail.len() > TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// Where to read on in a stream of `size` bytes: what would not be kept is passed over.
    pub fn next_offset(&mut self, size: u64) -> u64 {
        let end = size.saturating_sub(TAIL as u64);
        if self.head.len() == KEPT && end > self.seen {
            self.tail.clear();
            self.seen = end;
        }
        self.seen
    }

    /// Bytes seen or passed over.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether something is missing in [`Capture::text`].
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.seen > self.head.len() as u64
    }

    /// The kept bytes as text; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        let end = match std::str::from_utf8(&self.head) {
            // A character that the limit cut in two is left out.
            Err(error) if self.is_truncated() && error.error_len().is_none() => error.valid_up_to(),
            _ => self.head.len(),
        };
        String::from_utf8_lossy(&self.head[..end]).into_owned()
    }

    /// The last lines that are not blank, shortened, in their order.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        const LINES: usize = 5;
        const WIDTH: usize = 400;
        let start = self.head.len().saturating_sub(TAIL);
        let mut bytes = self.head[start..].to_vec();
        if !self.tail.is_empty() {
            bytes.clone_from(&self.tail);
        }
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<String> = text
            .lines()
            .rev()
            .map(str::trim_end)
            .filter(|line| !line.trim().is_empty())
            .take(LINES)
            .map(|line| line.chars().take(WIDTH).collect())
            .collect();
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_megabyte_and_the_last_lines_are_kept() {
        let mut capture = Capture::default();
        for _ in 0..KEPT / 8 {
            capture.push(b"1234567\n");
        }
        assert!(!capture.is_truncated());
        capture.push(b"last but one\n\nlast\n");
        assert!(capture.is_truncated());
        assert_eq!(capture.text().len(), KEPT);
        assert_eq!(capture.last_lines(), ["last but one", "last"]);
    }

    #[test]
    fn what_would_not_be_kept_is_passed_over() {
        let mut capture = Capture::default();
        capture.push(b"abc");
        assert_eq!(capture.next_offset(10_000_000), 3);
        capture.push(&vec![b'x'; KEPT]);
        assert_eq!(capture.next_offset(10_000_000), 10_000_000 - 4096);
        capture.push(b"end");
        assert_eq!(capture.last_lines(), ["end"]);
        assert!(capture.is_truncated());
    }

    #[test]
    fn a_cut_character_is_left_out() {
        let mut capture = Capture::default();
        capture.push(&vec![b'x'; KEPT - 1]);
        capture.push("é".as_bytes());
        assert_eq!(capture.text().len(), KEPT - 1);
    }
}
