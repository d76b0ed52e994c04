use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Unknown;
use crate::event::{Event, EventKind, Record};
use crate::time::Timestamp;

/// `prev` of the first record.
const ORIGIN: [u8; 64] = [b'0'; 64];
const PREV: &[u8] = b",\"prev\":\"";
const SUM: &[u8] = b",\"sum\":\"";
/// Digits of a line's own sum. It finds accidents; what finds forgery is the chain of full sums.
const DIGITS: usize = 16;
/// Bytes of `,"sum":"…"}`.
const SUM_TAIL: usize = SUM.len() + DIGITS + 2;
/// Bytes of `,"prev":"…"`.
const PREV_TAIL: usize = PREV.len() + 64 + 1;

/// The end of a journal, from which it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last record; 0 before the first.
    pub seq: u64,
    /// First record of the last batch.
    pub batch: u64,
    sum: [u8; 64],
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, batch: 0, sum: ORIGIN }
    }
}

impl Head {
    /// SHA-256 of the last line, its newline included, in hexadecimal: what the next `prev` must
    /// be. 64 zeros before the first record.
    #[must_use]
    pub fn sum(&self) -> &str {
        std::str::from_utf8(&self.sum).unwrap_or_default()
    }

    /// Appends the line of the next record, whose event is `json` (an object), to `out`.
    pub(super) fn encode(&mut self, batch: u64, json: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let seq = self.seq + 1;
        out.extend_from_slice(b"{\"seq\":");
        out.extend_from_slice(seq.to_string().as_bytes());
        out.push(b',');
        out.extend_from_slice(json.get(1..json.len().saturating_sub(1)).unwrap_or_default());
        out.extend_from_slice(b",\"batch\":");
        out.extend_from_slice(batch.to_string().as_bytes());
        out.extend_from_slice(PREV);
        out.extend_from_slice(&self.sum);
        out.push(b'"');
        let mut hash = Sha256::new_with_prefix(&out[start..]);
        let sum = hex(hash.clone());
        let tail = out.len();
        out.extend_from_slice(SUM);
        out.extend_from_slice(&sum[..DIGITS]);
        out.extend_from_slice(b"\"}\n");
        hash.update(&out[tail..]);
        *self = Self { seq, batch, sum: hex(hash) };
    }

    /// Reads the line of the next record, without its newline.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn decode(&mut self, line: &[u8]) -> Result<Entry, String> {
        let summed = line
            .len()
            .checked_sub(SUM_TAIL)
            .filter(|at| line[*at..].starts_with(SUM) && line.ends_with(b"\"}"))
            .ok_or("the line does not end in a sum")?;
        let mut hash = Sha256::new_with_prefix(&line[..summed]);
        if hex(hash.clone())[..DIGITS] != line[summed + SUM.len()..line.len() - 2] {
            return Err("its sum does not match its content".to_owned());
        }
        let linked = summed
            .checked_sub(PREV_TAIL)
            .filter(|at| line[*at..].starts_with(PREV))
            .ok_or("the line has no link to the one before")?;
        if line[linked + PREV.len()..summed - 1] != self.sum {
            return Err("it does not follow the record before it".to_owned());
        }
        let envelope: Envelope<'_> =
            serde_json::from_slice(line).map_err(|error| format!("it is not a record: {error}"))?;
        if envelope.seq != self.seq + 1 {
            return Err(format!("its number is {}, not {}", envelope.seq, self.seq + 1));
        }
        if envelope.batch != envelope.seq && (self.seq == 0 || envelope.batch != self.batch) {
            return Err(format!("its batch {} is not the one before", envelope.batch));
        }
        hash.update(&line[summed..]);
        hash.update(b"\n");
        *self = Self { seq: envelope.seq, batch: envelope.batch, sum: hex(hash) };

        let Envelope { seq, at, elapsed_ms, kind, .. } = envelope;
        Ok(match serde_json::from_slice::<EventKind>(line) {
            Ok(kind) => Entry::Known(Record { seq, event: Event { at, elapsed_ms, kind } }),
            Err(_) => Entry::Unknown(Unknown {
                seq,
                at,
                elapsed_ms,
                kind: kind.into_owned(),
                line: String::from_utf8_lossy(line).into_owned(),
            }),
        })
    }
}

/// One line that holds.
#[expect(clippy::large_enum_variant, reason = "it is moved once, straight into its list")]
pub(super) enum Entry {
    /// An event of this version's vocabulary.
    Known(Record),
    /// An event of a newer one.
    Unknown(Unknown),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    seq: u64,
    at: Timestamp,
    elapsed_ms: u64,
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    batch: u64,
}

fn hex(hash: Sha256) -> [u8; 64] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(hash.finalize()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}
