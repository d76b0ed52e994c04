use std::fmt;

use serde_json::{Map, Value};

use super::TextError;
use super::nearest::suggestion;
use crate::markup::{holds_masked, is_masked};

/// One part of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// `.name`, or `['name']` with a constant.
    Field(String),
    /// `[0]`.
    Index(usize),
    /// An index that is only known when evaluated.
    Dynamic,
}

/// A name that a text or decision reads, from its root as far as it is constant:
/// `steps.last_commit.outputs.at`, `result.rows[0].standby`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(pub Vec<Segment>);

impl Path {
    /// Reads `a.b[0]['c-d']`: the form that texts and decisions share. `a.b.[0]` is the same.
    ///
    /// # Errors
    /// Anything else, with the place inside `text`.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let mut segments = Vec::new();
        let mut at = 0;
        loop {
            let rest = &text[at..];
            let (segment, length) = if let Some(inner) = rest.strip_prefix('[') {
                if segments.is_empty() {
                    return Err(not_a_path(text, at..text.len()));
                }
                bracket(inner).ok_or_else(|| not_a_path(text, at..text.len()))?
            } else {
                let length = identifier(rest);
                if length == 0 {
                    return Err(not_a_path(text, at..text.len()));
                }
                (Segment::Field(rest[..length].to_owned()), length)
            };
            segments.push(segment);
            at += length;
            match text.as_bytes().get(at) {
                None => return Ok(Self(segments)),
                Some(b'[') => {}
                Some(b'.') => at += 1,
                Some(_) => return Err(not_a_path(text, at..text.len())),
            }
        }
    }

    /// The first name: `steps`, `values`, `result`, …
    #[must_use]
    pub fn root(&self) -> &str {
        self.field(0).unwrap_or_default()
    }

    /// The field at `position`, if that part is one.
    #[must_use]
    pub fn field(&self, position: usize) -> Option<&str> {
        match self.0.get(position) {
            Some(Segment::Field(name)) => Some(name),
            _ => None,
        }
    }

    /// Whether `other` is this path or leads on from it.
    #[must_use]
    pub fn leads_to(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

/// Bytes of the identifier at the start of `text`.
fn identifier(text: &str) -> usize {
    text.bytes()
        .enumerate()
        .take_while(|(position, byte)| {
            byte.is_ascii_alphabetic() || *byte == b'_' || (*position > 0 && byte.is_ascii_digit())
        })
        .count()
}

/// What follows a `[`, and the bytes from the `[` to the `]`.
fn bracket(inner: &str) -> Option<(Segment, usize)> {
    let quote = inner.chars().next()?;
    if quote == '\'' || quote == '"' {
        let end = inner[1..].find(quote)? + 1;
        let name = &inner[1..end];
        let closed = inner[end + 1..].starts_with(']') && !name.contains('\\');
        return closed.then(|| (Segment::Field(name.to_owned()), end + 3));
    }
    let end = inner.find(']')?;
    let digits = &inner[..end];
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?.map(|index| (Segment::Index(index), end + 2))
}

fn not_a_path(text: &str, span: std::ops::Range<usize>) -> TextError {
    let error = TextError::new(format!("`{text}` is not a name")).at(span.clone());
    let rest = &text[span.start..];
    if rest.starts_with('-') {
        error.help("names have no dashes: use an underscore, or write `['the-name']`")
    } else if rest.starts_with(|c: char| c.is_ascii_digit()) && span.start > 0 {
        error.help("an index is written `[0]`")
    } else {
        error.help("a name is written `steps.backup.outputs.size` or `result.rows[0].name`")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) if identifier(name) == name.len() && !name.is_empty() => {
                    write!(f, ".{name}")?;
                }
                Segment::Field(name) if name.contains('\'') => write!(f, "[\"{name}\"]")?,
                Segment::Field(name) => write!(f, "['{name}']")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Dynamic => f.write_str("[…]")?,
            }
        }
        Ok(())
    }
}

/// Gives names their values. Times and durations are `{"$time": RFC 3339}` and
/// `{"$duration": milliseconds}`; `run`, `values`, `inputs`, `hosts`, `host`, `steps`, `item`,
/// `result`, `outputs`, `error`, `iteration`, `previous` are the roots.
///
/// `secrets` is never asked for: a text that names one renders to a reference.
pub trait Names {
    /// The value of `root` or, for `steps`, `hosts`, `values`, `inputs` and `run`, of `root.member`:
    /// only what is read is ever built. `None`: there is no such name.
    ///
    /// Without a member these five are asked for only where an expression takes them whole or with
    /// a computed index (`hosts[item]`). `labelled()` asks for all `hosts`, in declared order, as a
    /// map of objects with `labels`.
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value>;

    /// Shows the same value to `look` instead of giving it away; false if there is no such name.
    /// Worth implementing for values that are kept anyway and may be large.
    fn lend(&self, root: &str, member: Option<&str>, look: &mut dyn FnMut(&Value)) -> bool {
        self.get(root, member).is_some_and(|value| {
            look(&value);
            true
        })
    }
}

/// The roots whose members are asked for one by one.
pub(super) const MEMBERED: [&str; 5] = ["steps", "hosts", "values", "inputs", "run"];

/// No names at all.
#[derive(Debug, Clone, Copy)]
pub struct NoNames;

impl Names for NoNames {
    fn get(&self, _: &str, _: Option<&str>) -> Option<Value> {
        None
    }
}

/// Names that are all there: a JSON object of roots.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapNames(pub Map<String, Value>);

impl MapNames {
    /// The members of a JSON object as roots; anything else gives no names.
    #[must_use]
    pub fn new(roots: Value) -> Self {
        match roots {
            Value::Object(map) => Self(map),
            _ => Self::default(),
        }
    }

    /// The same with one more root, which replaces one of the same name.
    #[must_use]
    pub fn with(mut self, root: &str, value: Value) -> Self {
        self.0.insert(root.to_owned(), value);
        self
    }
}

impl MapNames {
    fn find(&self, root: &str, member: Option<&str>) -> Option<&Value> {
        let value = self.0.get(root)?;
        match member {
            Some(member) => value.get(member),
            None => Some(value),
        }
    }
}

impl Names for MapNames {
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
        self.find(root, member).cloned()
    }

    fn lend(&self, root: &str, member: Option<&str>, look: &mut dyn FnMut(&Value)) -> bool {
        self.find(root, member).is_some_and(|value| {
            look(value);
            true
        })
    }
}

/// The value at `path`. A dynamic part cannot be followed.
///
/// # Errors
/// The first part that is not there, and what is there instead; a value that held a secret and is
/// known in its masked form only.
pub(super) fn resolve(names: &dyn Names, path: &Path) -> Result<Value, TextError> {
    let root = path.root();
    let (member, depth) = match path.field(1) {
        Some(member) if MEMBERED.contains(&root) => (Some(member), 2),
        _ => (None, 1),
    };
    let mut found = None;
    names.lend(root, member, &mut |value| found = Some(follow(value, path, depth)));
    found.unwrap_or_else(|| {
        let known = Path(path.0[..path.0.len().min(depth)].to_vec());
        Err(TextError::new(format!("there is no `{path}`"))
            .help(format!("nothing is known here of `{known}`")))
    })
}

fn follow(mut value: &Value, path: &Path, from: usize) -> Result<Value, TextError> {
    for (depth, segment) in path.0.iter().enumerate().skip(from) {
        if value.as_object().is_some_and(is_masked) {
            return Err(TextError::masked(path));
        }
        value = match segment {
            Segment::Field(name) => value.as_object().and_then(|map| map.get(name)),
            Segment::Index(index) => value.as_array().and_then(|list| list.get(*index)),
            Segment::Dynamic => None,
        }
        .ok_or_else(|| missing(path, depth, value))?;
    }
    if holds_masked(value) { Err(TextError::masked(path)) } else { Ok(value.clone()) }
}

fn missing(path: &Path, depth: usize, found: &Value) -> TextError {
    let before = Path(path.0[..depth].to_vec());
    let error = TextError::new(format!("there is no `{path}`"));
    match (found, &path.0[depth]) {
        (Value::Object(map), Segment::Field(name)) => {
            let help = suggestion(name, map.keys().map(String::as_str))
                .unwrap_or_else(|| format!("`{before}` has no `{name}`"));
            error.help(help)
        }
        (Value::Array(list), Segment::Index(_)) => error.help(match list.len() {
            0 => format!("`{before}` is empty"),
            1 => format!("`{before}` has one element, `[0]`"),
            length => format!("`{before}` has {length} elements, counted from 0"),
        }),
        (other, _) => error.help(format!("`{before}` is {}", super::values::kind(other))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_read_and_printed() {
        for (text, shown) in [
            ("item", "item"),
            ("steps.a_1.outputs.at", "steps.a_1.outputs.at"),
            ("result.rows[0].x", "result.rows[0].x"),
            ("result.rows.[0].x", "result.rows[0].x"),
            ("a['b-c'].d", "a['b-c'].d"),
            ("a[\"b\"]", "a.b"),
            ("a[\"it's\"]", "a[\"it's\"]"),
            ("a[0][1]", "a[0][1]"),
        ] {
            let path = Path::parse(text).expect(text);
            assert_eq!(path.to_string(), shown);
            assert_eq!(Path::parse(shown), Ok(path));
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a[",
            "a[]",
            "a[x]",
            "a[-1]",
            "a['b]",
            "a['b'",
            "a-b",
            "0",
            "a.0",
            "a b",
            "[0]",
            "a[0]b",
            "é",
            "a.é",
            "a['é",
            "a[99999999999999999999]",
            "a['\\'']",
        ] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        let dashed = Path::parse("outputs.last-commit").expect_err("a dash");
        assert_eq!(dashed.span, Some(12..19));
        assert!(dashed.help.expect("help").contains("underscore"));
    }

    #[test]
    fn what_is_missing_is_told_with_what_is_there() {
        let names = MapNames::new(json!({
            "steps": {"a": {"outputs": {"last_commit": 1, "rows": [1, 2]}}}, "item": "web",
        }));
        for (text, help) in [
            ("steps.a.outputs.last_comit", "did you mean `last_commit`?"),
            ("steps.a.outputs.rows[2]", "has 2 elements"),
            ("item.name", "`item` is a text"),
            ("steps.b.outputs", "nothing is known here of `steps.b`"),
            ("typo", "nothing is known here of `typo`"),
        ] {
            let error = resolve(&names, &Path::parse(text).expect(text)).expect_err(text);
            assert_eq!(error.message, format!("there is no `{text}`"));
            assert!(error.help.as_deref().unwrap_or_default().contains(help), "{error:?}");
        }
        let path = Path::parse("steps.a.outputs.rows[1]").expect("a path");
        assert_eq!(resolve(&names, &path), Ok(json!(2)));
    }
}
