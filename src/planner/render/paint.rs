use super::Look;

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

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text of at most `columns`, cut in the middle: names often differ at their ends.
pub(super) fn shorten(text: &str, columns: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= columns {
        return text.to_owned();
    }
    let Some(kept) = columns.checked_sub(1) else { return String::new() };
    let tail = kept / 3;
    let mut short: String = all[..kept - tail].iter().collect();
    short.push('…');
    short.extend(&all[all.len() - tail..]);
    short
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

fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shorten(word, columns);
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&word) <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
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
