use unicode_width::UnicodeWidthChar as _;

use super::Look;
use crate::markup::{self, clean};

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Title,
    Good,
    Bad,
    Warn,
    Critical,
    Dim,
}

impl Ink {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Title => Some("1"),
            Self::Good => Some("32"),
            Self::Bad => Some("1;31"),
            Self::Warn => Some("33"),
            Self::Critical => Some("36"),
            Self::Dim => Some("2"),
        }
    }
}

/// Lines of text of a limited width.
pub(super) struct Page {
    look: Look,
    out: String,
}

impl Page {
    pub(super) fn new(look: Look) -> Self {
        Self { look: Look { columns: look.columns.max(60), ..look }, out: String::new() }
    }

    pub(super) fn columns(&self) -> usize {
        self.look.columns
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// One line of pieces; what does not fit is cut with `…`, blanks at its end are dropped.
    pub(super) fn line(&mut self, pieces: &[(Ink, &str)]) {
        let last = pieces.iter().rposition(|(_, text)| !text.trim_end().is_empty());
        let mut left = self.look.columns;
        for (position, (ink, text)) in pieces.iter().enumerate() {
            let text = match last {
                Some(last) if position < last => text,
                Some(last) if position == last => text.trim_end(),
                _ => break,
            };
            let text = shorten(text, left);
            left -= width(&text);
            match ink.code().filter(|_| self.look.colour) {
                Some(code) => {
                    self.out.push_str("\u{1b}[");
                    self.out.push_str(code);
                    self.out.push('m');
                    self.out.push_str(&text);
                    self.out.push_str("\u{1b}[0m");
                }
                None => self.out.push_str(&text),
            }
        }
        self.out.push('\n');
    }

    /// One line that ends with a verdict, which is not cut: what does not fit goes on below.
    pub(super) fn verdict(&mut self, pieces: &[(Ink, &str)], ink: Ink, verdict: &str) {
        let used: usize = pieces.iter().map(|(_, text)| width(text)).sum();
        if used + width(verdict) <= self.look.columns {
            let pieces: Vec<_> = pieces.iter().copied().chain([(ink, verdict)]).collect();
            self.line(&pieces);
        } else {
            self.line(pieces);
            self.paragraph(ink, "      ", verdict);
        }
    }

    /// Columns for names of which the longest takes so many, beside what takes the rest of a line.
    pub(super) fn names(&self, longest: usize, least: usize, rest: usize) -> usize {
        longest.clamp(least, self.look.columns.saturating_sub(rest).max(least))
    }

    pub(super) fn title(&mut self, title: &str, remark: &str) {
        self.out.push('\n');
        self.line(&[(Ink::Title, title), (Ink::Plain, "  "), (Ink::Dim, remark)]);
    }

    /// Text that goes on in further lines, each indented.
    pub(super) fn paragraph(&mut self, ink: Ink, lead: &str, text: &str) {
        let indent = " ".repeat(width(lead));
        for (position, line) in wrap(text, self.look.columns - width(lead)).iter().enumerate() {
            let lead = if position == 0 { lead } else { &indent };
            self.line(&[(Ink::Plain, lead), (ink, line)]);
        }
    }
}

/// A text from elsewhere on one line, with nothing in it that a terminal obeys. Its blanks stay.
fn plain(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    markup::width(&plain(text))
}

/// A text of at most `columns`, cut in the middle: names often differ at their ends.
pub(super) fn shorten(text: &str, columns: usize) -> String {
    let text = plain(text);
    if markup::width(&text) <= columns {
        return text;
    }
    let Some(kept) = columns.checked_sub(1) else { return String::new() };
    let tail = kept / 3;
    let first = fitting(text.chars(), kept - tail);
    let last: Vec<char> = fitting(text.chars().rev(), tail);
    first.into_iter().chain(['…']).chain(last.into_iter().rev()).collect()
}

/// As many of the characters as take no more columns.
fn fitting(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut taken = 0;
    let fits = |char: &char| {
        taken += char.width().unwrap_or(0);
        taken <= columns
    };
    chars.take_while(fits).collect()
}

/// A text of exactly `columns`.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let short = shorten(text, columns);
    let missing = columns - width(&short);
    short + &" ".repeat(missing)
}

/// The same, to the right.
pub(super) fn fit_right(text: &str, columns: usize) -> String {
    let short = shorten(text, columns);
    " ".repeat(columns - width(&short)) + &short
}

/// Lines of at most `columns`, broken between words and beside wide characters, which stand
/// together without blanks; a longer word is broken anywhere.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let text = clean(text);
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut blank = usize::from(used > 0);
        for piece in pieces(word) {
            let mut piece = piece;
            while !piece.is_empty() {
                let wide = markup::width(piece);
                if lines.is_empty() || used + blank + wide > columns && used > 0 {
                    lines.push(String::new());
                    (used, blank) = (0, 0);
                }
                let fits: String = fitting(piece.chars(), columns - used - blank).iter().collect();
                let fits = if fits.is_empty() { piece.to_owned() } else { fits };
                piece = &piece[fits.len()..];
                if let Some(line) = lines.last_mut() {
                    line.extend(std::iter::repeat_n(' ', blank));
                    line.push_str(&fits);
                }
                used += blank + markup::width(&fits);
                blank = 0;
            }
        }
    }
    lines
}

/// A word in pieces between which a line may end: each wide character begins one.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let wide = |char: char| char.width().unwrap_or(0) > 1;
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let (_, first) = chars.next()?;
        let end = chars.find(|(_, char)| wide(*char) || (wide(first) && char.width() > Some(0)));
        let (piece, left) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = left;
        Some(piece)
    })
}

/// A list of names that says how many it leaves out.
pub(super) fn list(names: &[&str], most: usize) -> String {
    let shown = names[..names.len().min(most)].join(", ");
    match names.len() - names.len().min(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 step`, `2 steps`.
pub(super) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
