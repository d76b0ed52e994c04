use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::names::resolve;
use super::scan::{Fallback, Piece, Tag, scan};
use super::values::{kind, plain, reserved, scalar_text, typed};
use super::{Names, Path, Read, TextError};
use crate::markup::shown;

/// A value in which texts may hold `{{ path }}`. Plain JSON; a text that must still be rendered is
/// `{"$template": "…"}`, one that holds secrets and nothing else unknown is `{"$text": […]}`, data
/// that only looks like one of these is `{"$literal": …}`; everything else is as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Templated(Value);

/// A rendered value. Plain JSON; a text that holds secrets is
/// `{"$text": ["plain", {"$secret": "name"}]}`.
pub type Rendered = Value;

const TEMPLATE: &str = "$template";
const TEXT: &str = "$text";
const SECRET: &str = "$secret";
const LITERAL: &str = "$literal";

/// What a marked value is.
enum Marked<'a> {
    Template(&'a str),
    /// Segments: texts and secrets.
    Text(&'a [Value]),
    /// Data that must not be taken for one of the others.
    Literal(&'a Value),
    List(&'a [Value]),
    Map(&'a Map<String, Value>),
    Other,
}

fn marked(value: &Value) -> Marked<'_> {
    match value {
        Value::Array(items) => Marked::List(items),
        Value::Object(map) => match map.iter().next().filter(|_| map.len() == 1) {
            Some((key, Value::String(text))) if key == TEMPLATE => Marked::Template(text),
            Some((key, Value::Array(segments))) if key == TEXT => Marked::Text(segments),
            Some((key, data)) if key == LITERAL => Marked::Literal(data),
            Some(_) if typed(map).is_some() => Marked::Other,
            _ => Marked::Map(map),
        },
        _ => Marked::Other,
    }
}

impl Templated {
    /// Reads `written`: every text in it that holds `{{` becomes a template.
    ///
    /// # Errors
    /// A syntax error, a helper or construct that is not in the listed set, `run.now`, a key that
    /// begins with `$` or holds `{{`.
    pub fn parse(written: &Value) -> Result<Self, TextError> {
        parse(written).map(Self)
    }

    /// A value that is never a template, whatever it contains.
    #[must_use]
    pub fn literal(value: Value) -> Self {
        if reserved(&value).is_some() { Self(json!({ LITERAL: value })) } else { Self(value) }
    }

    /// A value of marked JSON, put together from others.
    #[must_use]
    pub fn of_rendered(marked: Value) -> Self {
        Self(marked)
    }

    /// The marked JSON.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// Whether nothing in it must still be rendered.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !holds(&self.0, &|marked| matches!(marked, Marked::Template(_)))
    }

    /// Every place where it reads a name, secrets included (`secrets.db_password`).
    ///
    /// # Errors
    /// A syntax error in a stored template.
    pub fn reads(&self) -> Result<Vec<Read>, TextError> {
        let mut reads = Vec::new();
        if self.is_known() {
            return Ok(reads);
        }
        each_template(&self.0, &mut |text, pointer| {
            for piece in scan(text)? {
                let Piece::Tag(tag, span) = piece else { continue };
                let mut read = |path: Path, guarded: bool| {
                    let (span, pointer) = (Some(span.clone()), pointer.to_owned());
                    reads.push(Read { path, span, pointer, guarded, dashed: None });
                };
                match tag {
                    Tag::Name(path) | Tag::Json(path) => read(path, false),
                    Tag::Default(path, fallback) => {
                        read(path, true);
                        if let Fallback::Name(path) = fallback {
                            read(path, false);
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(reads)
    }

    /// Every name that it reads, each once, secrets included.
    ///
    /// # Errors
    /// A syntax error in a stored template.
    pub fn paths(&self) -> Result<Vec<Path>, TextError> {
        let mut paths: Vec<Path> = self.reads()?.into_iter().map(|read| read.path).collect();
        paths.extend(self.secrets().into_iter().map(secret_path));
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// The names of the secrets in texts that are already rendered.
    fn secrets(&self) -> Vec<&str> {
        fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match marked(value) {
                Marked::Text(segments) => found.extend(segments.iter().filter_map(secret_name)),
                Marked::List(items) => items.iter().for_each(|item| collect(item, found)),
                Marked::Map(map) => map.values().for_each(|item| collect(item, found)),
                Marked::Template(_) | Marked::Literal(_) | Marked::Other => {}
            }
        }
        let mut found = Vec::new();
        collect(&self.0, &mut found);
        found
    }

    /// The value with every template rendered. A text that is exactly one `{{ path }}` gives the
    /// value with its type; mixed text takes strings, numbers, booleans, times and durations.
    ///
    /// # Errors
    /// An unknown name; null, a list or a map inside a mixed text; data with a key that only this
    /// program writes (`$secret`, …).
    pub fn render(&self, names: &dyn Names) -> Result<Rendered, TextError> {
        convert(&self.0, &|text| render(text, names))
    }

    /// The value as one text for people: secrets are masked, a list or map is JSON.
    ///
    /// # Errors
    /// As for [`Templated::render`].
    pub fn render_text(&self, names: &dyn Names) -> Result<String, TextError> {
        let rendered = self.render(&Shown(names))?;
        let told = plain(&masked(&rendered));
        Ok(scalar_text(&told).unwrap_or_else(|| told.to_string()))
    }

    /// The same, with every template rendered whose names are all known; the rest stays. Secrets
    /// need not be known: they stay references.
    ///
    /// # Errors
    /// As for [`Templated::render`].
    pub fn render_known(
        self,
        names: &dyn Names,
        known: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, TextError> {
        let changes =
            |marked: &Marked<'_>| matches!(marked, Marked::Template(_) | Marked::Literal(_));
        if !holds(&self.0, &changes) {
            return Ok(self);
        }
        let rendered = convert(&self.0, &|text| {
            let decided = scan(text)?.iter().all(|piece| match piece {
                Piece::Plain(_) => true,
                Piece::Tag(tag, _) => {
                    paths_of(tag).into_iter().all(|path| path.root() == "secrets" || known(path))
                }
            });
            if decided { render(text, names) } else { Ok(json!({ TEMPLATE: text })) }
        })?;
        Ok(Self(rendered))
    }
}

/// The same names for people: of a value that held a secret, what may be shown of it.
struct Shown<'a>(&'a dyn Names);

impl Names for Shown<'_> {
    fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
        self.0.get(root, member).map(|value| shown(&value))
    }
}

fn paths_of(tag: &Tag) -> Vec<&Path> {
    match tag {
        Tag::Name(path) | Tag::Json(path) | Tag::Default(path, Fallback::Constant(_)) => vec![path],
        Tag::Default(path, Fallback::Name(other)) => vec![path, other],
    }
}

fn parse(written: &Value) -> Result<Value, TextError> {
    if is_plain(written) {
        return Ok(written.clone());
    }
    match written {
        Value::String(text) if has_braces(text) => {
            for piece in scan(text)? {
                if let Piece::Tag(tag, span) = piece {
                    for path in paths_of(&tag) {
                        check(path, &tag).map_err(|error| error.at(span.clone()))?;
                    }
                }
            }
            Ok(json!({ TEMPLATE: text }))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| parse(item).map_err(|error| error.inside(&index.to_string())))
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| {
                if is_marked_key(key) {
                    return Err(TextError::new(format!("a key cannot be `{key}`"))
                        .help("keys are plain text that does not begin with `$`")
                        .inside(key));
                }
                Ok((key.clone(), parse(item).map_err(|error| error.inside(key))?))
            })
            .collect(),
        other => Ok(other.clone()),
    }
}

/// Whether a text may hold a template.
pub(crate) fn has_braces(text: &str) -> bool {
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        rest = &rest[brace + 1..];
        if rest.starts_with('{') {
            return true;
        }
    }
    false
}

fn is_marked_key(key: &str) -> bool {
    key.starts_with('$') || has_braces(key)
}

/// Whether nothing in what is written means anything but itself.
fn is_plain(written: &Value) -> bool {
    match written {
        Value::String(text) => !has_braces(text),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(map) => map.iter().all(|(key, item)| !is_marked_key(key) && is_plain(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether a value, or any part of it, is marked in such a way.
fn holds(value: &Value, wanted: &dyn Fn(&Marked<'_>) -> bool) -> bool {
    match marked(value) {
        Marked::List(items) => items.iter().any(|item| holds(item, wanted)),
        Marked::Map(map) => map.values().any(|item| holds(item, wanted)),
        other => wanted(&other),
    }
}

/// What a text cannot name, whatever the runbook declares.
fn check(path: &Path, tag: &Tag) -> Result<(), TextError> {
    match (path.root(), path.field(1)) {
        ("run", Some("now")) => Err(TextError::new("`run.now` cannot be used in text").help(
            "a text is rendered once and kept; use `run.now` in `when`, `expect` or `outputs`",
        )),
        ("secrets", name) if name.is_none() || path.0.len() != 2 => {
            Err(TextError::new(format!("`{path}` is no secret")).help("write `secrets.NAME`"))
        }
        ("secrets", _) if !matches!(tag, Tag::Name(_)) => {
            Err(TextError::new(format!("`{path}` cannot be handed to a helper")))
        }
        _ => Ok(()),
    }
}

/// Calls `visit` with every template and its JSON pointer.
fn each_template(
    value: &Value,
    visit: &mut dyn FnMut(&str, &str) -> Result<(), TextError>,
) -> Result<(), TextError> {
    fn walk(
        value: &Value,
        pointer: &mut String,
        visit: &mut dyn FnMut(&str, &str) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        let length = pointer.len();
        match marked(value) {
            Marked::Template(text) => visit(text, pointer)
                .map_err(|error| TextError { pointer: pointer.clone(), ..error })?,
            Marked::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                    walk(item, pointer, visit)?;
                    pointer.truncate(length);
                }
            }
            Marked::Map(map) => {
                for (key, item) in map {
                    pointer.push('/');
                    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                    walk(item, pointer, visit)?;
                    pointer.truncate(length);
                }
            }
            Marked::Text(_) | Marked::Literal(_) | Marked::Other => {}
        }
        Ok(())
    }
    walk(value, &mut String::new(), visit)
}

/// The value with every template replaced.
fn convert(
    value: &Value,
    replace: &dyn Fn(&str) -> Result<Value, TextError>,
) -> Result<Value, TextError> {
    match marked(value) {
        Marked::Template(text) => replace(text),
        Marked::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                convert(item, replace).map_err(|error| error.inside(&index.to_string()))
            })
            .collect(),
        Marked::Map(map) => map
            .iter()
            .map(|(key, item)| {
                let item = convert(item, replace).map_err(|error| error.inside(key))?;
                Ok((key.clone(), item))
            })
            .collect(),
        Marked::Literal(data) => Err(refused(data)),
        Marked::Text(_) | Marked::Other => Ok(value.clone()),
    }
}

fn refused(data: &Value) -> TextError {
    let key = reserved(data).unwrap_or(LITERAL);
    TextError::new(format!("the data holds a key `{key}`"))
        .help("keys that begin with `$` belong to the runbook language; capture only the parts of the data that are needed")
}

/// One text: the value of its only name, or a text, or segments if it holds secrets.
fn render(text: &str, names: &dyn Names) -> Result<Value, TextError> {
    let pieces = scan(text)?;
    if let [Piece::Tag(tag, span)] = pieces.as_slice() {
        let place = |error: TextError| error.at(span.clone());
        let value = value_of(tag, names).map_err(place)?;
        if tag_secret(tag).is_some() || is_captured(tag, &value) {
            return Ok(json!({ TEXT: [value] }));
        }
        return if reserved(&value).is_some() { Err(place(refused(&value))) } else { Ok(value) };
    }
    let mut segments: Vec<Value> = Vec::new();
    let mut so_far = String::new();
    for piece in pieces {
        let (tag, span) = match piece {
            Piece::Plain(plain) => {
                so_far.push_str(&plain);
                continue;
            }
            Piece::Tag(tag, span) => (tag, span),
        };
        let value = value_of(&tag, names).map_err(|error| error.at(span.clone()))?;
        if tag_secret(&tag).is_some() || is_captured(&tag, &value) {
            if !so_far.is_empty() {
                segments.push(Value::String(std::mem::take(&mut so_far)));
            }
            segments.push(value);
            continue;
        }
        let Some(part) = scalar_text(&value) else {
            return Err(TextError::new(format!("{} cannot be put into a text", kind(&value)))
                .at(span)
                .help(match value {
                    Value::Null => "give it a default: `{{default NAME \"text\"}}`",
                    _ => "use `{{json NAME}}`, or take a part of it",
                }));
        };
        so_far.push_str(&part);
    }
    if segments.is_empty() {
        return Ok(Value::String(so_far));
    }
    if !so_far.is_empty() {
        segments.push(Value::String(so_far));
    }
    Ok(json!({ TEXT: segments }))
}

fn value_of(tag: &Tag, names: &dyn Names) -> Result<Value, TextError> {
    if let Some(name) = tag_secret(tag) {
        return Ok(json!({ SECRET: name }));
    }
    match tag {
        Tag::Name(path) => resolve(names, path),
        Tag::Json(path) => match resolve(names, path)? {
            value if secret_reference(&value).is_some() => {
                Err(TextError::new(format!("`{path}` is a secret: no helper takes it")))
            }
            value => Ok(Value::String(plain(&value).to_string())),
        },
        Tag::Default(path, fallback) => match (resolve(names, path), fallback) {
            (Ok(value), _) if !value.is_null() => Ok(value),
            (Err(error), _) if error.masked => Err(error),
            (_, Fallback::Constant(constant)) => Ok(constant.clone()),
            (_, Fallback::Name(other)) => resolve(names, other),
        },
    }
}

fn tag_secret(tag: &Tag) -> Option<&str> {
    match tag {
        Tag::Name(path) if path.root() == "secrets" => path.field(1),
        _ => None,
    }
}

/// Whether the value is a secret: one that a step has captured, a reference to the very output that
/// the tag names, or a secret input. Data cannot pass for one, because the machine writes none but
/// these, and no other input may be one.
fn is_captured(tag: &Tag, value: &Value) -> bool {
    let (Tag::Name(path) | Tag::Default(path, _)) = tag else { return false };
    let Some(super::Segment::Field(output)) = path.0.last() else { return false };
    let named = |name: &str| name.rsplit_once('.').is_some_and(|(_, last)| last == output);
    match path.root() {
        "steps" | "self" => secret_reference(value).is_some_and(named),
        "inputs" => path.0.len() == 2 && secret_reference(value).is_some(),
        _ => false,
    }
}

/// The secret that a rendered value is, if it is that one and nothing else.
#[must_use]
pub fn only_secret(rendered: &Rendered) -> Option<&str> {
    match marked(rendered) {
        Marked::Text([one]) => secret_name(one),
        _ => None,
    }
}

/// Whether any part of a rendered value is a secret.
#[must_use]
pub fn holds_secret(rendered: &Rendered) -> bool {
    holds(rendered, &|marked| matches!(marked, Marked::Text(_)))
}

/// The reference to a secret by which data stands for it.
#[must_use]
pub fn secret_value(name: &str) -> Value {
    json!({ SECRET: name })
}

/// The secret that a value refers to, if it is such a reference and nothing else.
#[must_use]
pub fn secret_reference(value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get(SECRET)?.as_str()
}

fn secret_name(segment: &Value) -> Option<&str> {
    segment.get(SECRET).and_then(Value::as_str)
}

fn secret_path(name: &str) -> Path {
    use super::Segment::Field;
    Path(vec![Field("secrets".to_owned()), Field(name.to_owned())])
}

/// The rendered value with every secret as `***`.
fn masked(rendered: &Rendered) -> Value {
    match marked(rendered) {
        Marked::Text(segments) => segments
            .iter()
            .map(|segment| segment.as_str().unwrap_or(dr_plugin::MASK))
            .collect::<String>()
            .into(),
        Marked::List(items) => items.iter().map(masked).collect(),
        Marked::Map(map) => map.iter().map(|(key, item)| (key.clone(), masked(item))).collect(),
        Marked::Template(_) | Marked::Literal(_) | Marked::Other => rendered.clone(),
    }
}
