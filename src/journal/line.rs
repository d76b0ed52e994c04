use ring::digest::{Context, Digest, SHA256, digest};
use serde::Deserialize;

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

    /// Whether `line`, its newline included, is the last line.
    pub(super) fn is_sum_of(&self, line: &[u8]) -> bool {
        hex(&digest(&SHA256, line)) == self.sum
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
        let mut hash = Context::new(&SHA256);
        hash.update(&out[start..]);
        let sum: [u8; DIGITS] = hex(&hash.clone().finish());
        let tail = out.len();
        out.extend_from_slice(SUM);
        out.extend_from_slice(&sum);
        out.extend_from_slice(b"\"}\n");
        hash.update(&out[tail..]);
        *self = Self { seq, batch, sum: hex(&hash.finish()) };
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
        let mut hash = Context::new(&SHA256);
        hash.update(&line[..summed]);
        let sum: [u8; DIGITS] = hex(&hash.clone().finish());
        if sum != line[summed + SUM.len()..line.len() - 2] {
            return Err("its sum does not match its content".to_owned());
        }
        let linked = summed
            .checked_sub(PREV_TAIL)
            .filter(|at| line[*at..].starts_with(PREV))
            .ok_or("the line has no link to the one before")?;
        if line[linked + PREV.len()..summed - 1] != self.sum {
            return Err("it does not follow the record before it".to_owned());
        }
        let (envelope, event) = Envelope::split(&line[..linked])?;
        if envelope.seq != self.seq + 1 {
            return Err(format!("its number is {}, not {}", envelope.seq, self.seq + 1));
        }
        if envelope.batch != envelope.seq && (self.seq == 0 || envelope.batch != self.batch) {
            return Err(format!("its batch {} is not the one before", envelope.batch));
        }
        hash.update(&line[summed..]);
        hash.update(b"\n");
        *self = Self { seq: envelope.seq, batch: envelope.batch, sum: hex(&hash.finish()) };

        let Envelope { seq, at, elapsed_ms, .. } = envelope;
        Ok(match serde_json::from_slice::<EventKind>(&event) {
            Ok(kind) => Entry::Known(Record { seq, event: Event { at, elapsed_ms, kind } }),
            Err(_) => Entry::Unknown(Unknown {
                seq,
                at,
                elapsed_ms,
                kind: serde_json::from_slice::<Named>(&event).map_err(not_a_record)?.kind,
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

/// What a line says beside its event.
struct Envelope {
    seq: u64,
    at: Timestamp,
    elapsed_ms: u64,
    batch: u64,
}

impl Envelope {
    /// Takes a line apart, less its link and sum, and gives its event as an object.
    fn split(line: &[u8]) -> Result<(Self, Vec<u8>), String> {
        #[derive(Deserialize)]
        struct Front {
            seq: u64,
            at: Timestamp,
            elapsed_ms: u64,
        }
        const KIND: &[u8] = b",\"type\":";
        const BATCH: &[u8] = b",\"batch\":";
        // Nobody's words come before the type, nor after the batch.
        let mut commas = (0..line.len()).filter(|at| line[*at] == b',');
        let kind = commas.find(|at| line[*at..].starts_with(KIND));
        let kind = kind.ok_or("it is not a record: it has no type")?;
        let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let batch = (line.len() - digits)
            .checked_sub(BATCH.len())
            .filter(|at| *at >= kind && line[*at..].starts_with(BATCH))
            .ok_or("it is not a record: it names no batch")?;
        let front = [&line[..kind], b"}"].concat();
        let Front { seq, at, elapsed_ms } = serde_json::from_slice(&front).map_err(not_a_record)?;
        let number = serde_json::from_slice(&line[line.len() - digits..]).map_err(not_a_record)?;
        let event = [b"{", &line[kind + 1..batch], b"}"].concat();
        Ok((Self { seq, at, elapsed_ms, batch: number }, event))
    }
}

/// An event of which only the kind is understood.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    kind: String,
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn not_a_record(error: serde_json::Error) -> String {
    format!("it is not a record: {error}")
}

/// The first `N` hexadecimal digits.
fn hex<const N: usize>(digest: &Digest) -> [u8; N] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; N];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    text
}
