//! Which parts of a result expressions read, and as what: found from the places where they read it.

use serde_json::{Value, json};

use super::shape::Part;
use crate::text::{Expr, Path, Segment};

/// A part of a result that an expression reads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) path: Vec<Part>,
    /// What it is read as.
    pub(super) hint: Hint,
}

/// What a part is read as.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Hint {
    /// Anything.
    Any,
    /// A text that is a number.
    Number,
    /// A text that is a time.
    Time,
    /// A text that is a length of time.
    Duration,
    /// A text that this pattern finds something in.
    Pattern(String),
    /// A time in this format.
    Format(String),
    /// A list, or its length.
    List,
}

/// The parts of `result` that `expr` reads.
pub(super) fn readings(expr: &Expr) -> Vec<Reading> {
    let source = expr.source();
    let mut found = Vec::new();
    for read in expr.reads().unwrap_or_default() {
        if read.path.root() != "result" {
            continue;
        }
        let Some(place) = read.span.clone() else { continue };
        let mut scan = Scan { source, start: place.start, end: place.end, path: parts(&read.path) };
        let hint = scan.follow(&mut found);
        found.push(Reading { path: scan.path, hint });
    }
    found
}

/// Values that are written in an expression, with their neighbours.
pub(super) fn literals(expr: &Expr) -> Vec<Value> {
    let source = expr.source();
    let mut values = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if c == '\'' || c == '"' {
            let Some((text, after)) = literal(rest) else { break };
            values.push(json!(text));
            rest = after;
        } else if c.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            if let Ok(number) = rest[..end].parse::<i64>() {
                values.extend([json!(number), json!(number + 1), json!(number - 1)]);
            } else if let Ok(number) = rest[..end].parse::<f64>() {
                values.extend([json!(number), json!(number + 0.5), json!(number - 0.5)]);
            }
            rest = &rest[end..];
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            match &rest[..end] {
                "true" | "false" => values.extend([json!(true), json!(false)]),
                "null" => values.push(Value::Null),
                _ => {}
            }
            rest = &rest[end..];
        } else {
            rest = &rest[c.len_utf8()..];
        }
    }
    values
}

fn parts(path: &Path) -> Vec<Part> {
    let known = path.0[1..].iter().map_while(|segment| match segment {
        Segment::Field(name) => Some(Part::Field(name.clone())),
        Segment::Index(index) => Some(Part::Index(*index)),
        Segment::Dynamic => None,
    });
    known.collect()
}

/// A text in quotes at the start of `rest`, and what follows it.
fn literal(rest: &str) -> Option<(String, &str)> {
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                other => text.push(other),
            },
            c if c == quote => return Some((text, &rest[at + 1..])),
            c => text.push(c),
        }
    }
    None
}

/// Follows what an expression does with a part, outwards.
struct Scan<'a> {
    source: &'a str,
    start: usize,
    end: usize,
    path: Vec<Part>,
}

impl Scan<'_> {
    fn follow(&mut self, more: &mut Vec<Reading>) -> Hint {
        let mut hint = Hint::Any;
        loop {
            if let Some(hint) = self.member(more) {
                return hint;
            }
            let Some((function, argument)) = self.call() else { return hint };
            let index = self.index();
            // All lines or pieces are wanted, however many there are.
            let is_list = index.is_none() && matches!(function.as_str(), "lines" | "split");
            hint = if is_list { Hint::List } else { Hint::Any };
            match (function.as_str(), argument, index) {
                ("lines", None, index) => self.path.push(Part::Line(index.unwrap_or(0))),
                ("split", Some(by), index) => {
                    self.path.push(Part::Piece(by, index.unwrap_or(0)));
                }
                ("json", None, index) => {
                    self.path.push(Part::Json);
                    self.path.extend(index.map(Part::Index));
                }
                ("int" | "double" | "uint", ..) => return Hint::Number,
                ("timestamp", None, _) => return Hint::Time,
                ("time", Some(format), _) => return Hint::Format(format),
                ("duration", None, _) => return Hint::Duration,
                ("extract", Some(pattern), _) => return Hint::Pattern(pattern),
                ("size" | "max" | "min" | "sort" | "distinct", ..) => return Hint::List,
                _ => return Hint::Any,
            }
        }
    }

    /// Takes `.name` and `[0]` that follow. A method ends the way: what it reads of items is told.
    fn member(&mut self, more: &mut Vec<Reading>) -> Option<Hint> {
        loop {
            if let Some(index) = self.index() {
                self.path.push(Part::Index(index));
                continue;
            }
            let rest = &self.source[self.end..];
            let name = rest.strip_prefix('.').map(word).filter(|name| !name.is_empty())?;
            let after = &rest[1 + name.len()..];
            if !after.starts_with('(') {
                self.path.push(Part::Field(name.to_owned()));
                self.end += 1 + name.len();
                continue;
            }
            let body = &after[..=closing(after)?];
            match name {
                "all" | "exists" | "exists_one" | "map" | "filter" => {
                    self.items(body, more);
                    self.end += 1 + name.len() + body.len();
                    if name != "filter" {
                        return Some(Hint::List);
                    }
                    if self.index().is_none() {
                        return Some(Hint::List);
                    }
                    self.path.push(Part::Index(0));
                }
                "trim" | "lowerAscii" | "upperAscii" => {
                    self.end += 1 + name.len() + body.len();
                }
                "matches" => {
                    let pattern = literal(body[1..].trim_start()).map(|(text, _)| text);
                    return Some(pattern.map_or(Hint::Any, Hint::Pattern));
                }
                "size" => return Some(Hint::List),
                _ => return Some(Hint::Any),
            }
        }
    }

    /// What a macro over a list reads of each item.
    fn items(&self, body: &str, more: &mut Vec<Reading>) {
        let variable = word(body[1..].trim_start());
        if variable.is_empty() {
            return;
        }
        let mut from = 0;
        while let Some(at) = body[from..].find(variable) {
            let start = from + at;
            from = start + variable.len();
            let before = body[..start].chars().next_back();
            let is_word = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
            if is_word || !body[from..].starts_with('.') {
                continue;
            }
            let mut path = self.path.clone();
            path.push(Part::Index(0));
            let mut inner = Scan { source: body, start, end: from, path };
            let hint = inner.follow(more);
            more.push(Reading { path: inner.path, hint });
        }
    }

    fn index(&mut self) -> Option<usize> {
        let inner = self.source[self.end..].strip_prefix('[')?;
        let close = inner.find(']')?;
        let index = inner[..close].trim().parse().ok()?;
        self.end += close + 2;
        Some(index)
    }

    /// Takes the call around what was taken so far: its name, and its second argument if that is a
    /// text.
    fn call(&mut self) -> Option<(String, Option<String>)> {
        let before = self.source[..self.start].trim_end().strip_suffix('(')?;
        let name_at =
            before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let name = before[name_at..].to_owned();
        let rest = self.source[self.end..].trim_start();
        let (argument, rest) = match rest.strip_prefix(',') {
            Some(rest) => {
                let (text, rest) = literal(rest.trim_start())?;
                (Some(text), rest.trim_start())
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix(')')?;
        if name.is_empty() {
            // Only parentheses.
            self.start = name_at;
            self.end = self.source.len() - rest.len();
            return None;
        }
        self.start = name_at;
        self.end = self.source.len() - rest.len();
        Some((name, argument))
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Where the parenthesis closes that `text` begins with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<(Vec<Part>, Hint)> {
        let expr = Expr::parse(source).expect("an expression");
        readings(&expr).into_iter().map(|reading| (reading.path, reading.hint)).collect()
    }

    fn field(name: &str) -> Part {
        Part::Field(name.to_owned())
    }

    #[test]
    fn parts_are_found_with_what_they_are_read_as() {
        let stdout = || field("stdout");
        let piece = |at| Part::Piece(" ".to_owned(), at);
        for (source, expected) in [
            (
                "result.rows[0].standby == false",
                (vec![field("rows"), Part::Index(0), field("standby")], Hint::Any),
            ),
            ("timestamp(lines(result.stdout)[1])", (vec![stdout(), Part::Line(1)], Hint::Time)),
            (
                "int(split(lines(result.stdout)[0], ' ')[2]) > 3",
                (vec![stdout(), Part::Line(0), piece(2)], Hint::Number),
            ),
            (
                "json(result.stdout).items[0].name",
                (
                    vec![stdout(), Part::Json, field("items"), Part::Index(0), field("name")],
                    Hint::Any,
                ),
            ),
            (
                "extract(result.stdout, 'lag: (\\\\d+)')",
                (vec![stdout()], Hint::Pattern("lag: (\\d+)".to_owned())),
            ),
            ("size(result.rows) > 1", (vec![field("rows")], Hint::List)),
            ("time(result.stdout, '%Y')", (vec![stdout()], Hint::Format("%Y".to_owned()))),
        ] {
            assert_eq!(found(source), [expected], "{source}");
        }
    }

    #[test]
    fn macros_read_items() {
        let rows = || vec![field("rows"), Part::Index(0)];
        let with = |name| [rows(), vec![field(name)]].concat();
        assert_eq!(
            found("result.rows.filter(r, r.state == 'up' && r.n > 1)[0].name"),
            [(with("state"), Hint::Any), (with("n"), Hint::Any), (with("name"), Hint::Any)]
        );
        assert_eq!(
            found("result.rows.all(r, r.state == 'up')"),
            [(with("state"), Hint::Any), (vec![field("rows")], Hint::List)]
        );
    }

    #[test]
    fn literals_come_with_their_neighbours() {
        let expr = Expr::parse("result.a == 'it\\'s' && result.b >= 3").expect("an expression");
        assert_eq!(literals(&expr), [json!("it's"), json!(3), json!(4), json!(2)]);
    }
}
