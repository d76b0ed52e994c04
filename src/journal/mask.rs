use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use dr_plugin::{MASK, SHORTEST_SECRET, Secret};
use regex::bytes::{NoExpand, Regex, RegexBuilder};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::markup::masked_value;

/// A piece of base64 shorter than this says too little to be looked for.
const SHORTEST_BASE64: usize = 5;
/// Lines of a secret of several lines (a private key) are secrets too, from this length on: what a
/// shorter one tells is little, and words such as `private` or `"type":` stand in many texts.
const SHORTEST_LINE: usize = 8;

/// Replaces known secrets by [`MASK`] wherever text leaves the process: in the journal, in kept
/// outputs, on the screen. Clones share what is known.
///
/// A secret is found as it is and as JSON (once and twice), POSIX shell, URL, hexadecimal and
/// base64 text, the last also inside a longer encoded text: there the digits at its ends, which hold
/// bits of it and bits of its neighbours, are masked with it.
#[derive(Clone, Default)]
pub struct Masker {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    patterns: Vec<Pattern>,
    matcher: Option<Arc<Matcher>>,
}

/// A form of a secret.
#[derive(Clone, PartialEq)]
struct Pattern {
    text: Zeroizing<Vec<u8>>,
    /// A base64 digit before it holds bits of it.
    shares_first: bool,
    /// A base64 digit after it holds bits of it.
    shares_last: bool,
}

impl Pattern {
    fn plain(form: String) -> Self {
        let text = Zeroizing::new(form.into_bytes());
        Self { text, shares_first: false, shares_last: false }
    }
}

/// A base64 digit of either alphabet, as a class of a regular expression.
const DIGIT: &str = "[A-Za-z0-9+/_-]?";

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_-".contains(&byte)
}

/// All patterns as one automaton.
pub(super) struct Matcher {
    regex: Regex,
    patterns: Vec<Pattern>,
}

impl Masker {
    /// From now on `secret` is masked. Returns false if it is too short (under 4 bytes) to be.
    pub fn add(&self, secret: &Secret) -> bool {
        let value = secret.expose();
        let mut fresh = Vec::new();
        for form in [value, value.trim()] {
            if form.len() >= SHORTEST_SECRET {
                variants(form, &mut fresh);
            }
        }
        if value.trim().contains('\n') {
            for line in value.lines().map(str::trim).filter(|line| is_secret_line(line)) {
                variants(line, &mut fresh);
            }
        }
        let maskable = !fresh.is_empty();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.patterns.len();
        for pattern in fresh {
            if pattern.text.len() >= SHORTEST_SECRET && !known.patterns.contains(&pattern) {
                known.patterns.push(pattern);
            }
        }
        if known.patterns.len() != before {
            known.matcher = Matcher::new(&known.patterns).map(Arc::new);
        }
        maskable
    }

    pub(super) fn matcher(&self) -> Option<Arc<Matcher>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).matcher.clone()
    }

    /// Whether a known secret occurs in `bytes`.
    #[must_use]
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.matcher().is_some_and(|matcher| matcher.regex.is_match(bytes))
    }

    /// `bytes` with every known secret replaced.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self.matcher() {
            Some(matcher) => matcher.replace(bytes),
            None => Cow::Borrowed(bytes),
        }
    }

    /// `text` with every known secret replaced.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Replaces every known secret in the texts, keys and numbers of `value`.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Value::Number(number) => {
                if self.finds(number.to_string().as_bytes()) {
                    *value = Value::String(MASK.to_owned());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => {
                if map.keys().any(|key| self.finds(key.as_bytes())) {
                    *map = std::mem::take(map)
                        .into_iter()
                        .map(|(key, item)| (self.text(&key).into_owned(), item))
                        .collect();
                }
                map.values_mut().for_each(|item| self.value(item));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

impl Masker {
    /// The same for a value that may be read again when the journal is: every part that held a
    /// secret is marked, so that nobody takes what is left of it for the value. References to
    /// secrets stay.
    pub(super) fn data(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(shown) = self.text(text) {
                    *value = masked_value(shown.into());
                }
            }
            Value::Number(_) => self.marked(value),
            Value::Array(items) => items.iter_mut().for_each(|item| self.data(item)),
            Value::Object(map) if map.len() == 1 && map.contains_key("$secret") => {}
            Value::Object(map) => {
                let typed = map.len() == 1 && !map.contains_key("$text");
                let whole = map
                    .keys()
                    .any(|key| self.finds(key.as_bytes()) || (typed && key.starts_with('$')));
                if whole {
                    self.marked(value);
                } else {
                    map.values_mut().for_each(|item| self.data(item));
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn marked(&self, value: &mut Value) {
        let mut shown = value.clone();
        self.value(&mut shown);
        if shown != *value {
            *value = masked_value(shown);
        }
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").finish_non_exhaustive()
    }
}

impl Matcher {
    fn new(known: &[Pattern]) -> Option<Self> {
        let mut patterns = known.to_vec();
        // The first alternative that matches wins: a secret that begins with another must come
        // before it.
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.text.len()));
        let mut source = Zeroizing::new(String::from("(?s-u:"));
        for (position, pattern) in patterns.iter().enumerate() {
            if position > 0 {
                source.push('|');
            }
            if pattern.shares_first {
                source.push_str(DIGIT);
            }
            for byte in pattern.text.iter() {
                let _ = write!(source, "\\x{byte:02x}");
            }
            if pattern.shares_last {
                source.push_str(DIGIT);
            }
        }
        source.push(')');
        let regex = RegexBuilder::new(&source).size_limit(1 << 28).build().ok()?;
        Some(Self { regex, patterns })
    }

    pub(super) fn replace<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.regex.replace_all(bytes, NoExpand(MASK.as_bytes()))
    }

    /// Where in `bytes` a secret may begin that is not complete yet, or that would be longer with
    /// more bytes; `bytes.len()` if nowhere.
    pub(super) fn open_end(&self, bytes: &[u8]) -> usize {
        let longest = self.patterns.first().map_or(0, |pattern| pattern.text.len());
        let first = bytes.len().saturating_sub(longest.saturating_sub(1));
        let begins = |tail: &[u8], pattern: &Pattern| {
            pattern.text.len() > tail.len() && pattern.text.starts_with(tail)
        };
        let found = (first..bytes.len()).find_map(|start| {
            let tail = &bytes[start..];
            let mut open = self.patterns.iter().filter(|pattern| begins(tail, pattern)).peekable();
            open.peek()?;
            Some((start, open.any(|pattern| pattern.shares_first)))
        });
        let digit_at = |at: usize| bytes.get(at).is_some_and(|byte| is_digit(*byte));
        match found {
            Some((start, true)) if start > 0 && digit_at(start - 1) => start - 1,
            Some((start, _)) => start,
            // The digit before a secret that has not begun.
            None if digit_at(bytes.len().wrapping_sub(1)) && self.shares() => bytes.len() - 1,
            None => bytes.len(),
        }
    }

    /// Where a whole secret begins that ends with `bytes` and has bits in a digit which may follow;
    /// `bytes.len()` if there is none.
    pub(super) fn ends_within(&self, bytes: &[u8]) -> usize {
        let ends = |pattern: &&Pattern| pattern.shares_last && bytes.ends_with(&pattern.text);
        let Some(pattern) = self.patterns.iter().find(ends) else { return bytes.len() };
        let start = bytes.len() - pattern.text.len();
        let before = pattern.shares_first && start > 0 && is_digit(bytes[start - 1]);
        start - usize::from(before)
    }

    fn shares(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.shares_first)
    }
}

/// Whether a line of a secret tells anything of it: not where a key in PEM begins or ends, nor where a
/// list or map in JSON does.
fn is_secret_line(line: &str) -> bool {
    let frame = line.starts_with("-----") && line.ends_with("-----");
    let opens = line.starts_with('"') && line.ends_with(['{', '[']);
    line.len() >= SHORTEST_LINE && !frame && !opens
}

/// The forms in which `text` may turn up.
fn variants(text: &str, into: &mut Vec<Pattern>) {
    let mut push = |form: String| into.push(Pattern::plain(form));
    push(text.to_owned());
    for escaped in [json(text), json_ascii(text)] {
        push(json(&escaped));
        push(escaped);
    }
    push(text.replace('\'', r"'\''"));
    for space in ["%20", "+"] {
        push(url(text, space, false));
        push(url(text, space, true));
    }
    push(hex(text.as_bytes(), false));
    push(hex(text.as_bytes(), true));
    for alphabet in [b"+/", b"-_"] {
        for offset in 0..3 {
            let piece = base64(text.as_bytes(), offset, *alphabet);
            if piece.len() >= SHORTEST_BASE64 {
                into.push(Pattern {
                    shares_first: offset > 0,
                    shares_last: !(offset + text.len()).is_multiple_of(3),
                    ..Pattern::plain(piece)
                });
            }
        }
    }
}

/// As the inside of a JSON text.
fn json(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As the inside of a JSON text, by writers that escape what is not ASCII.
fn json_ascii(text: &str) -> String {
    let mut escaped = String::new();
    for unit in json(text).encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => escaped.push(char::from(byte)),
            _ => {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn url(text: &str, space: &str, lower: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push_str(space),
            _ if lower => {
                let _ = write!(encoded, "%{byte:02x}");
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn hex(bytes: &[u8], upper: bool) -> String {
    let mut encoded = String::new();
    for byte in bytes {
        let _ = if upper { write!(encoded, "{byte:02X}") } else { write!(encoded, "{byte:02x}") };
    }
    encoded
}

/// The characters of base64 that depend on `bytes` alone when `offset` other bytes come before
/// them, whatever those and the following ones are.
fn base64(bytes: &[u8], offset: usize, extra: [u8; 2]) -> String {
    const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let first = (offset * 8).div_ceil(6);
    let last = (offset + bytes.len()) * 8 / 6;
    let bit = |position: usize| {
        let byte = bytes[position / 8 - offset];
        usize::from(byte >> (7 - position % 8) & 1)
    };
    (first..last)
        .map(|digit| {
            let value = (digit * 6..digit * 6 + 6).fold(0, |value, at| value << 1 | bit(at));
            let byte = DIGITS.get(value).or_else(|| extra.get(value - 62));
            char::from(byte.copied().unwrap_or(b'='))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What an independent encoder (`base64`, `xxd`, `jq`, Python's `quote`) makes of it.
    const CANARY: &str = "p\"a's/s+ wörd\\1";
    const FORMS: [&str; 9] = [
        CANARY,
        r#"p\"a's/s+ wörd\\1"#,
        r#"p\"a's/s+ w\u00f6rd\\1"#,
        r#"p\\\"a's/s+ wörd\\\\1"#,
        "p%22a%27s%2Fs%2B%20w%C3%B6rd%5C1",
        "p%22a%27s%2fs%2b+w%c3%b6rd%5c1",
        "702261277",
        "cCJhJ3Mvcysgd8O2cmRcMQ==",
        r#"p"a'\''s/s+ wörd\1"#,
    ];

    fn masker() -> Masker {
        let masker = Masker::default();
        assert!(masker.add(&Secret::new(CANARY)));
        masker
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let masker = masker();
        for form in FORMS {
            if form == "702261277" {
                let whole = hex(CANARY.as_bytes(), false);
                assert!(whole.starts_with(form));
                assert_eq!(masker.text(&format!("<{whole}>")), "<***>");
                continue;
            }
            let shown = masker.text(form).into_owned();
            assert!(shown.starts_with("***"), "{form} became {shown}");
            assert!(shown.trim_start_matches("***").len() <= 3, "{form} became {shown}");
        }
    }

    #[test]
    fn base64_is_found_inside_a_longer_text() {
        // printf 'u:hunter22' | base64; 'us:hunter22!'; 'use:hunter22!!'
        let masker = Masker::default();
        masker.add(&Secret::new("hunter22"));
        for (encoded, masked) in [
            ("dTpodW50ZXIyMg==", "dT***=="),
            ("dXM6aHVudGVyMjIh", "dXM6***h"),
            ("dXNlOmh1bnRlcjIyISE=", "dXNlO***ISE="),
        ] {
            assert_eq!(masker.text(encoded), masked, "no bit of it is left");
        }
    }

    #[test]
    fn short_secrets_are_refused_and_lines_of_long_ones_known() {
        let masker = Masker::default();
        assert!(!masker.add(&Secret::new("abc")));
        assert_eq!(masker.text("abc"), "abc");
        masker.add(&Secret::new("-----BEGIN KEY-----\nMIIEabcdefghijkl\n-----END KEY-----\n"));
        assert_eq!(masker.text("line: MIIEabcdefghijkl."), "line: ***.");
        assert_eq!(masker.text("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
        masker.add(&Secret::new("line1abcdef\nline2defghi\n12345678\n1234567\n"));
        assert_eq!(masker.text("user:line1abcdef 12345678 1234567"), "user:*** *** 1234567");
        masker.add(&Secret::new("{\n  \"keys\": [\n    \"hunter2hunter2\"\n  ],\n  \"n\": 1\n}\n"));
        assert_eq!(
            masker.text("{ \"keys\": [ \"hunter2hunter2\" ], \"n\": 1 }"),
            "{ \"keys\": [ *** ], \"n\": 1 }"
        );
    }

    #[test]
    fn the_longer_of_two_secrets_wins() {
        let masker = Masker::default();
        masker.add(&Secret::new("secret"));
        masker.add(&Secret::new("secret-and-more"));
        assert_eq!(masker.text("secret-and-more secret"), "*** ***");
    }

    #[test]
    fn values_keep_their_shape() {
        let masker = Masker::default();
        masker.add(&Secret::new("12345678"));
        let mut value = json!({"a": [12_345_678, 1, "x12345678"], "12345678": null});
        masker.value(&mut value);
        assert_eq!(value, json!({"a": ["***", 1, "x***"], "***": null}));
    }

    #[test]
    fn what_is_read_again_tells_what_was_masked() {
        let masker = Masker::default();
        masker.add(&Secret::new("12345678"));
        for (value, kept) in [
            (json!(["a", 1, "x12345678"]), json!(["a", 1, {"$masked": "x***"}])),
            (json!({"n": 12_345_678, "m": null}), json!({"n": {"$masked": "***"}, "m": null})),
            (json!({"12345678": 1, "a": 2}), json!({"$masked": {"***": 1, "a": 2}})),
            (
                json!({"$text": ["12345678 ", {"$secret": "12345678"}]}),
                json!({"$text": [{"$masked": "*** "}, {"$secret": "12345678"}]}),
            ),
            (json!({"$duration": 12_345_678}), json!({"$masked": {"$duration": "***"}})),
            (json!({"$masked": "x***"}), json!({"$masked": "x***"})),
        ] {
            let mut data = value;
            masker.data(&mut data);
            assert_eq!(data, kept);
        }
    }
}
