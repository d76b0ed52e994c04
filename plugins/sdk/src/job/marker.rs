use super::answer::{MARK, find};

/// What a command of a connection says about itself on its own streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The command's own output begins; on stdout with "pid start group boot".
    Begin(String),
    /// The command could not be executed: 126, 127, `cwd` or `env`.
    NotExecuted(String),
    /// The command ended with this status of a shell: 128 and more for a signal.
    End(i32),
}

/// Takes the runner's markers out of one stream of a [`super::Request::Direct`].
#[derive(Debug)]
pub struct MarkerFilter {
    mark: Vec<u8>,
    held: Vec<u8>,
    begun: bool,
}

/// Longest line of a marker.
const LONGEST: usize = 1024;

impl MarkerFilter {
    /// A filter for the command of this folder name.
    #[must_use]
    pub fn new(folder: &str) -> Self {
        Self { mark: format!("{MARK}{folder} ").into_bytes(), held: Vec::new(), begun: false }
    }

    /// Takes a chunk; gives the command's own bytes and the markers. Bytes before `begin` are not
    /// the command's: they are dropped. What may be the start of a marker is held back.
    pub fn push(&mut self, chunk: &[u8]) -> (Vec<u8>, Vec<Marker>) {
        self.held.extend_from_slice(chunk);
        let (mut own, mut markers) = (Vec::new(), Vec::new());
        loop {
            let Some(at) = find(&self.held, &self.mark) else {
                let longest = self.held.len().min(self.mark.len() - 1);
                let kept = (1..=longest)
                    .rev()
                    .find(|n| self.held.ends_with(&self.mark[..*n]))
                    .unwrap_or(0);
                self.emit(self.held.len() - kept, &mut own);
                break;
            };
            let after = at + self.mark.len();
            let line = self.held[after..].iter().position(|byte| *byte == b'\n');
            let Some(length) = line else {
                if self.held.len() - at > LONGEST {
                    self.emit(after, &mut own);
                    continue;
                }
                self.emit(at, &mut own);
                break;
            };
            let words = String::from_utf8_lossy(&self.held[after..after + length]);
            let marker = read(&words);
            self.emit(at, &mut own);
            self.held.drain(..=self.mark.len() + length);
            self.begun |= matches!(marker, Some(Marker::Begin(_)));
            markers.extend(marker);
        }
        (own, markers)
    }

    /// What was held back and turned out to be the command's own.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut own = Vec::new();
        self.emit(self.held.len(), &mut own);
        own
    }

    fn emit(&mut self, length: usize, own: &mut Vec<u8>) {
        let bytes = self.held.drain(..length);
        if self.begun {
            own.extend(bytes);
        }
    }
}

fn read(words: &str) -> Option<Marker> {
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    match word {
        "begin" => Some(Marker::Begin(rest.to_owned())),
        "noexec" => Some(Marker::NotExecuted(rest.to_owned())),
        "end" => rest.parse().ok().map(Marker::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_however_the_stream_is_cut() {
        let stream = b"motd\n\x1edr-job/1 k begin 1 2 3 b\none\x1etwo\x1edr-job/1 k end 137\nlate";
        for size in 1..stream.len() {
            let mut filter = MarkerFilter::new("k");
            let (mut own, mut markers) = (Vec::new(), Vec::new());
            for chunk in stream.chunks(size) {
                let (bytes, found) = filter.push(chunk);
                own.extend(bytes);
                markers.extend(found);
            }
            own.extend(filter.rest());
            assert_eq!(own, b"one\x1etwolate");
            assert_eq!(markers, [Marker::Begin("1 2 3 b".into()), Marker::End(137)]);
        }
    }

    #[test]
    fn a_marker_that_never_ends_is_output() {
        let mut filter = MarkerFilter::new("k");
        let _ = filter.push(b"\x1edr-job/1 k begin\n");
        let endless = [b"\x1edr-job/1 k ".to_vec(), vec![b'x'; 2000]].concat();
        let (own, markers) = filter.push(&endless);
        assert!(markers.is_empty());
        assert_eq!([own, filter.rest()].concat(), endless);
    }
}
