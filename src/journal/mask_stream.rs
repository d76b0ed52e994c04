use super::Masker;

/// Masks a stream that arrives in pieces: a secret split over two of them is found. What may be
/// the beginning of one is held back until more is known.
#[derive(Debug)]
pub struct MaskStream {
    masker: Masker,
    held: Vec<u8>,
}

impl MaskStream {
    /// A stream from its beginning.
    #[must_use]
    pub fn new(masker: Masker) -> Self {
        Self { masker, held: Vec::new() }
    }

    /// Takes the next piece and gives what can be shown by now.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let Some(matcher) = self.masker.matcher() else {
            return std::mem::take(&mut self.held);
        };
        let (whole, rest) = self.held.split_at(matcher.ends_within(&self.held));
        let masked = matcher.replace(whole);
        let open = matcher.open_end(&masked);
        let shown = masked[..open].to_vec();
        self.held = [&masked[open..], rest].concat();
        shown
    }

    /// The stream is over: what was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        self.masker.bytes(&held).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use dr_plugin::Secret;

    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_is_split() {
        let masker = Masker::default();
        masker.add(&Secret::new("hunter22"));
        let text = b"user hunter22 hunter2 hunt";
        for split in 0..=text.len() {
            for second in split..=text.len() {
                let mut stream = MaskStream::new(masker.clone());
                let mut shown = stream.push(&text[..split]);
                shown.extend(stream.push(&text[split..second]));
                shown.extend(stream.push(&text[second..]));
                shown.extend(stream.finish());
                assert_eq!(
                    String::from_utf8(shown).unwrap(),
                    "user *** hunter2 hunt",
                    "{split} {second}"
                );
            }
        }
    }

    /// Nor are bits of it in the base64 digits that it shares with its neighbours.
    #[test]
    fn base64_is_found_wherever_it_is_split() {
        let masker = Masker::default();
        masker.add(&Secret::new("hunter22"));
        for (text, masked) in [
            ("key dTpodW50ZXIyMg== x", "key dT***== x"),
            ("key dXM6aHVudGVyMjIh x", "key dXM6***h x"),
            ("key dXNlOmh1bnRlcjIyISE= x", "key dXNlO***ISE= x"),
            ("dTpodW50ZXIyMg", "dT***"),
        ] {
            for split in 0..=text.len() {
                for second in split..=text.len() {
                    let mut stream = MaskStream::new(masker.clone());
                    let mut shown = stream.push(&text.as_bytes()[..split]);
                    shown.extend(stream.push(&text.as_bytes()[split..second]));
                    shown.extend(stream.push(&text.as_bytes()[second..]));
                    shown.extend(stream.finish());
                    assert_eq!(String::from_utf8(shown).unwrap(), masked, "{split} {second}");
                }
            }
        }
    }

    #[test]
    fn without_secrets_nothing_is_held_back() {
        let mut stream = MaskStream::new(Masker::default());
        assert_eq!(stream.push(b"abc"), b"abc");
        assert!(stream.finish().is_empty());
    }
}
