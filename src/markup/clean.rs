//! Text and values from elsewhere, made harmless for a terminal.

use std::borrow::Cow;
use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::MASKED;
use crate::time::Millis;

/// `text` without terminal escapes, control characters and characters that reorder what is read.
/// Line ends and tabs stay; a lone carriage return becomes a line end.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\n' | '\t' => out.push(char),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{1b}' => skip_escape(&mut chars),
            // The same introducers as one character.
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            _ if char.is_control() || reorders(char) => {}
            _ => out.push(char),
        }
    }
    out
}

/// The same as one line: every run of white space is one space, none at the ends.
#[must_use]
pub fn clean_line(text: &str) -> String {
    if is_clean_line(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for word in clean(text).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// `text` with blanks for what a terminal would obey, as many as it has bytes: places in it stay.
#[must_use]
pub fn blank(text: &str) -> Cow<'_, str> {
    let obeyed =
        |char: char| (char.is_control() && !matches!(char, '\n' | '\r' | '\t')) || reorders(char);
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if obeyed(char) {
            out.extend(std::iter::repeat_n(' ', char.len_utf8()));
        } else {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

/// Columns that a text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Whether a text is plainly a clean line: printable ASCII, without two spaces together or one at an
/// end.
fn is_clean_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && !bytes.starts_with(b" ")
        && !bytes.ends_with(b" ")
        && !bytes.windows(2).any(|pair| pair == b"  ")
}

/// A rendered or captured value on one line: texts without quotes, times and durations as people
/// write them, secrets masked.
#[must_use]
pub fn value_text(value: &Value) -> String {
    let Value::Object(map) = value else {
        return match value {
            Value::String(text) => clean_line(text),
            other => clean_line(&other.to_string()),
        };
    };
    match map.iter().next() {
        Some((key, inner)) if map.len() == 1 => match (key.as_str(), inner) {
            ("$secret", _) => return "***".to_owned(),
            (MASKED, shown) => return value_text(shown),
            ("$time", Value::String(time)) => return clean_line(time),
            ("$duration", Value::Number(ms)) => {
                if let Some(ms) = ms.as_i64() {
                    let sign = if ms < 0 { "-" } else { "" };
                    return format!("{sign}{}", Millis(ms.unsigned_abs()));
                }
            }
            ("$text", Value::Array(parts)) => {
                let parts: Vec<String> = parts
                    .iter()
                    .map(|part| part.as_str().map_or_else(|| value_text(part), str::to_owned))
                    .collect();
                return clean_line(&parts.concat());
            }
            _ => {}
        },
        _ => {}
    }
    clean_line(&readable(value).to_string())
}

/// The value with everything in it that has a form of its own as text.
fn readable(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.len() == 1 && map.keys().all(|key| key.starts_with('$')) => {
            Value::String(value_text(value))
        }
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), readable(value))).collect()
        }
        Value::Array(items) => items.iter().map(readable).collect(),
        other => other.clone(),
    }
}

/// Marks and overrides of writing direction, which make a line read differently from what it is,
/// and characters that nobody sees.
fn reorders(char: char) -> bool {
    matches!(
        char,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        _ => {
            // Intermediate characters and the final one; anything else is not part of the escape.
            while chars.next_if(|next| matches!(next, ' '..='/')).is_some() {}
            let _ = chars.next_if(|next| matches!(next, '0'..='~'));
        }
    }
}

fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|next| matches!(next, ' '..='?')).is_some() {}
    let _ = chars.next_if(|next| matches!(next, '@'..='~'));
}

/// A string ends with BEL or ST. One that never ends must not swallow the lines that follow.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(next) = chars.next_if(|next| *next != '\n') {
        match next {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if chars.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_moves_or_hides_text_is_gone() {
        for (from, to) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Htop", "top"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]never ends\nnext line", "\nnext line"),
            ("\u{1b}Pdevice\u{1b}\\x", "x"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}(Bascii", "ascii"),
            ("\u{1b}cfull reset", "full reset"),
            ("a\u{8}b\u{7}c\0d\u{7f}", "abcd"),
            ("10%\r20%\r\n", "10%\n20%\n"),
            ("evil\u{202e}txt.exe", "eviltxt.exe"),
            ("tab\tstays", "tab\tstays"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
        ] {
            assert_eq!(clean(from), to, "{from:?}");
        }
        assert_eq!(clean_line("  one\n\t two\u{1b}[0m  "), "one two");
    }

    #[test]
    fn blanks_keep_places() {
        assert_eq!(blank("plain\n\ttext"), "plain\n\ttext");
        assert_eq!(blank("a\u{1b}[2J\u{9b}b\u{202e}c"), "a [2J  b   c");
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        for (value, text) in [
            (json!("a\n\u{1b}[1mb"), "a b"),
            (json!(3), "3"),
            (json!({ "$time": "2026-11-20T03:12:07Z" }), "2026-11-20T03:12:07Z"),
            (json!({ "$duration": 90_000 }), "1m30s"),
            (json!({ "$duration": -1 }), "-1ms"),
            (json!({ "$text": ["key ", { "$secret": "db" }] }), "key ***"),
            (json!({ "$secret": "db" }), "***"),
            (json!([1, null]), "[1,null]"),
        ] {
            assert_eq!(value_text(&value), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_dangerous_survives(text in "(\\PC|[\u{0}-\u{9f}]|\u{1b}[\\[\\]P(])*") {
            let cleaned = clean(&text);
            proptest::prop_assert!(
                cleaned.chars().all(|char| char == '\n' || char == '\t' || !char.is_control())
            );
            proptest::prop_assert_eq!(clean(&cleaned), cleaned);
        }
    }
}
