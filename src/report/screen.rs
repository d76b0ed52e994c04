use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthChar as _;

use super::Tone;
pub use crate::markup::width;
use crate::time::{Millis, Timestamp};

/// What is written on.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Whether colours may be used. Nothing is said by colour alone.
    pub colour: bool,
    /// Where the reader's clock stands.
    pub zone: TimeZone,
}

impl Screen {
    /// A screen of 80 columns without colours, in UTC.
    #[must_use]
    pub fn plain() -> Self {
        Self { width: 80, height: 24, colour: false, zone: TimeZone::UTC }
    }

    /// `text` in the colour of `tone`.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
            Tone::Asks => "1;35",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// A moment as `2026-11-20 03:12:07 UTC`, and on the reader's clock where that differs.
    #[must_use]
    pub fn moment(&self, at: Timestamp) -> String {
        let utc = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        if self.zone == TimeZone::UTC {
            return utc;
        }
        let local = at.to_zoned(self.zone.clone());
        if local.offset().seconds() == 0 {
            return utc;
        }
        let day = if local.date() == at.to_zoned(TimeZone::UTC).date() { "" } else { "%Y-%m-%d " };
        format!("{utc} ({})", local.strftime(&format!("{day}%H:%M:%S %:z")))
    }
}

/// `text` cut to at most `columns`, with `…` for what is gone.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut taken = 0;
    let mut out = String::new();
    for char in text.chars() {
        let wide = char.width().unwrap_or(0);
        if taken + wide > columns - 1 {
            break;
        }
        taken += wide;
        out.push(char);
    }
    out.push('…');
    out
}

/// `text` broken between words into lines of at most `columns`; longer words are broken anywhere.
#[must_use]
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(10);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let wide = width(word);
        if used > 0 && used + 1 + wide > columns {
            lines.push(String::new());
            used = 0;
        }
        let line = lines.last_mut().expect("there is always a line");
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        if wide <= columns {
            line.push_str(word);
            used += wide;
            continue;
        }
        for char in word.chars() {
            let wide = char.width().unwrap_or(0);
            if used + wide > columns {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().expect("there is always a line").push(char);
            used += wide;
        }
    }
    lines
}

/// A length of time in whole seconds, for what is shown while it goes on: `0s`, `9s`, `1m05s`.
#[must_use]
pub(super) fn seconds(ms: u64) -> String {
    if ms < 10_000 { format!("{}s", ms / 1_000) } else { Millis(ms).short() }
}

/// `text` filled up with blanks to `columns`.
#[must_use]
pub(super) fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_owned();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    out
}

/// Columns are not cut below this.
const NARROWEST: usize = 3;

/// One field of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// One line, without escapes.
    pub text: String,
    /// Its colour.
    pub tone: Tone,
}

impl Cell {
    /// A field with a colour.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Cells one after the other on one line that is never wider than the screen.
#[must_use]
pub(super) fn join(screen: &Screen, cells: &[Cell]) -> String {
    let total: usize = cells.iter().map(|cell| width(&cell.text)).sum();
    let mut left = screen.width;
    let mut out = String::new();
    for (position, cell) in cells.iter().enumerate() {
        let wide = width(&cell.text);
        let last = position + 1 == cells.len();
        if wide < left || (wide == left && (last || total <= screen.width)) {
            out.push_str(&screen.paint(cell.tone, &cell.text));
            left -= wide;
            continue;
        }
        let cut = format!("{}…", fit(&cell.text, left).trim_end_matches('…'));
        out.push_str(&screen.paint(cell.tone, &fit(&cut, left)));
        break;
    }
    out
}

/// Rows in columns two blanks apart, the first row being the head. Where they do not fit, the
/// widest columns are cut first, but never the first one: it names things, and names are typed
/// again.
#[must_use]
pub fn table(screen: &Screen, rows: &[Vec<Cell>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(width(&cell.text));
        }
    }
    let gaps = 2 * columns.saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > screen.width {
        let Some(widest) = widths.iter_mut().skip(1).rev().max_by_key(|width| **width) else {
            break;
        };
        if *widest <= NARROWEST {
            break;
        }
        *widest -= 1;
    }
    let mut out = String::new();
    for (position, row) in rows.iter().enumerate() {
        let mut line = String::new();
        let mut blanks = 0;
        for (column, cell) in row.iter().enumerate() {
            let text = fit(&cell.text, widths[column]);
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', blanks));
                blanks = 0;
            }
            let tone = if position == 0 { Tone::Faint } else { cell.tone };
            line.push_str(&screen.paint(tone, &text));
            blanks += widths[column] - width(&text) + 2;
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns() {
        for (text, columns, cut) in [
            ("short", 10, "short"),
            ("exactly", 7, "exactly"),
            ("too long", 5, "too …"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("x", 0, ""),
        ] {
            assert_eq!(fit(text, columns), cut);
            assert!(width(cut) <= columns);
        }
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 10), ["one two", "three"]);
        assert_eq!(wrap("abcdefghijklmno p", 10), ["abcdefghij", "klmno p"]);
        assert_eq!(wrap("", 10), [""]);
    }

    #[test]
    fn tables_fit_the_screen() {
        let rows: Vec<Vec<Cell>> = vec![
            vec!["id".into(), "what".into()],
            vec!["a".into(), "a rather long text that does not fit".into()],
            vec!["long_id".into(), "".into()],
        ];
        let screen = Screen { width: 20, ..Screen::plain() };
        assert_eq!(table(&screen, &rows), "id       what\na        a rather l…\nlong_id\n");
    }

    #[test]
    fn moments_are_shown_twice_where_clocks_differ() {
        let at: Timestamp = "2026-11-20T23:30:00Z".parse().expect("a timestamp");
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(Screen::plain().moment(at), "2026-11-20 23:30:00 UTC");
        assert_eq!(
            Screen { zone: berlin, ..Screen::plain() }.moment(at),
            "2026-11-20 23:30:00 UTC (2026-11-21 00:30:00 +01:00)"
        );
    }
}
