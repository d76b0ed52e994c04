use crate::random::Random;

/// What readers trip over.
const TOKENS: &[&str] = &[
    "{{",
    "}}",
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "\n",
    "\r\n",
    "\t",
    "'",
    "\"",
    "\\",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!tag ",
    "|",
    ">",
    "?",
    "%",
    "@",
    "\u{0}",
    "\u{feff}",
    "é",
    "🦀",
    "null",
    "~",
    "true",
    "on",
    "0x1f",
    "1e999",
    "-0",
    "99999999999999999999",
    "1h30m",
    "2026-01-01T00:00:00Z",
    "steps",
    "needs",
    "uses",
    "with",
    "id",
    "result",
    "outputs",
    "secrets.x",
    "--- ",
    "...",
];

/// A text, a little changed.
pub(crate) fn text(random: &mut Random, seed: &str, others: &[String]) -> String {
    let mut text = seed.to_owned();
    for _ in 0..=random.below(4) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        text = match random.below(7) {
            1 if lines.len() > 1 => {
                let gone = random.below(lines.len());
                let kept = lines.iter().enumerate().filter(|(at, _)| *at != gone);
                kept.map(|(_, line)| *line).collect()
            }
            2 if lines.len() > 1 => {
                let (from, to) = (random.below(lines.len()), random.below(lines.len()));
                let mut lines = lines.clone();
                lines.insert(to, lines[from]);
                lines.concat()
            }
            3 => {
                let other = format!("{}\n", random.pick(others));
                let from: Vec<&str> = other.split_inclusive('\n').collect();
                let at = random.below(lines.len());
                let mut lines = lines.clone();
                lines.insert(at, from[random.below(from.len())]);
                lines.concat()
            }
            4 => {
                let at = boundary(random, &text);
                text[..at].to_owned()
            }
            5 => {
                let (one, two) = (boundary(random, &text), boundary(random, &text));
                let (from, to) = (one.min(two), one.max(two).min(one.min(two) + 40));
                let to = (from..=to).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from);
                format!("{}{}", &text[..from], &text[to..])
            }
            _ => insert(random, &text),
        };
    }
    text
}

fn insert(random: &mut Random, text: &str) -> String {
    let at = boundary(random, text);
    format!("{}{}{}", &text[..at], random.pick(TOKENS), &text[at..])
}

fn boundary(random: &mut Random, text: &str) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Bytes, a little changed.
pub(crate) fn bytes(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            2 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            3 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            4 => {
                let end = (at + random.below(400)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let end = (at + random.below(400)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
    bytes
}
