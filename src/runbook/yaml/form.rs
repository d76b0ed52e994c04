use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::braces;
use super::shape::{Fields, Shape, Shapes};
use super::tree::{Kind, NodeId, Tree};
use crate::runbook::{DocPath, Problem, codes, nearest};

/// More than this many errors of form help nobody.
const MAX_PROBLEMS: usize = 500;

/// Every error of form in a document: what YAML allows and the language does not, and what does
/// not have the shape that the language gives it. With the nodes that it is about.
pub(crate) fn problems(tree: &Tree<'_>, text: &str, shapes: &Shapes) -> (Vec<Problem>, Wrong) {
    let mut form = Form {
        tree,
        text,
        shapes,
        path: Vec::new(),
        problems: tree.problems.clone(),
        wrong: Wrong::default(),
    };
    form.everywhere();
    match tree.root() {
        Some(root) if tree.is_empty(root) => form.nothing(),
        Some(root) => form.node(root, shapes.root),
        None => form.nothing(),
    }
    form.wrong.is_all = !form.full();
    (form.problems, form.wrong)
}

/// What the errors of form are about.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    /// Whether it is all: not if there are too many errors.
    pub(super) is_all: bool,
    /// Values that are not what they should be.
    pub(super) values: HashSet<NodeId>,
    /// Keys that cannot be there, each with the one that was probably meant.
    pub(super) keys: HashMap<NodeId, Option<String>>,
    /// Maps that lack the name of what they are, and its key.
    pub(super) unnamed: Vec<(NodeId, &'static str)>,
}

/// Keys that name what a map is: it can be checked under another name too.
const NAMES: [&str; 2] = ["id", "runbook"];

enum Part {
    Key(NodeId),
    Index(usize),
}

struct Form<'a, 't> {
    tree: &'a Tree<'t>,
    text: &'a str,
    shapes: &'a Shapes,
    path: Vec<Part>,
    problems: Vec<Problem>,
    wrong: Wrong,
}

impl Form<'_, '_> {
    fn nothing(&mut self) {
        self.problems.push(
            Problem::in_text(codes::MISSING_KEY, 0..0, "the runbook is empty")
                .with_help("it needs at least `runbook: NAME` and `steps`"),
        );
    }

    fn full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    fn push(
        &mut self,
        code: &'static str,
        place: Range<usize>,
        message: String,
        help: Option<String>,
    ) {
        if self.full() {
            return;
        }
        let mut at = DocPath::default();
        for part in &self.path {
            at = match part {
                Part::Key(key) => at.field(self.tree.scalar(*key).unwrap_or_default()),
                Part::Index(index) => at.index(*index),
            };
        }
        let mut problem = Problem::in_text(code, place, message);
        problem.at = Some(at);
        problem.help = help;
        self.problems.push(problem);
    }

    /// What is wrong wherever it stands: duplicate keys, keys without a value, bare `{{`.
    fn everywhere(&mut self) {
        let mut braces_end = 0;
        for id in self.tree.ids() {
            if self.full() {
                return;
            }
            let span = self.tree.span(id);
            if span.start < braces_end {
                continue;
            }
            if self.is_bare(id) {
                braces_end = span.end;
                self.wrong.values.insert(id);
                self.problems.push(braces::problem(self.text, span));
                continue;
            }
            match self.tree.kind(id) {
                Kind::Map => self.keys(id),
                Kind::List => {
                    for item in self.tree.children(id) {
                        if self.tree.is_empty(item) {
                            self.wrong.values.insert(item);
                            let at = self.tree.span(item).start;
                            let line = self.text[..at].rfind('-').unwrap_or(at);
                            self.push(
                                codes::EMPTY_KEY,
                                line..line + 1,
                                "a list item has no value".to_owned(),
                                Some("remove the dash, or write `\"\"` for an empty text".into()),
                            );
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn keys(&mut self, map: NodeId) {
        let mut seen = Names::default();
        for (key, value) in self.tree.entries(map) {
            if self.is_bare(key) {
                continue;
            }
            let Some(name) = self.tree.scalar(self.tree.target(key)) else {
                self.wrong.values.insert(map);
                self.push(
                    codes::WRONG_TYPE,
                    first_line(self.text, self.tree.span(key)),
                    "a key must be a text".to_owned(),
                    None,
                );
                continue;
            };
            if self.tree.is_empty(value) {
                self.wrong.values.insert(value);
                self.push(
                    codes::EMPTY_KEY,
                    self.tree.span(key),
                    format!("`{name}` has no value"),
                    Some(
                        "remove the key, or give it a value: `[]`, `{}` and `\"\"` are empty ones"
                            .to_owned(),
                    ),
                );
            }
            if !seen.insert(name) {
                self.wrong.keys.insert(key, Some(name.to_owned()));
                self.push(
                    codes::DUPLICATE_KEY,
                    self.tree.span(key),
                    format!("`{name}` is there twice"),
                    Some("remove one of them: only one could count".to_owned()),
                );
            }
        }
    }

    fn is_bare(&self, id: NodeId) -> bool {
        self.tree.kind(id) == Kind::Map
            && self.text.get(self.tree.span(id).start..).is_some_and(|text| text.starts_with("{{"))
    }

    fn node(&mut self, id: NodeId, shape: usize) {
        let id = self.tree.target(id);
        if self.full() || self.is_bare(id) || self.tree.is_empty(id) {
            return;
        }
        let shapes = self.shapes;
        let kind = self.tree.kind(id);
        match shapes.get(shape) {
            Shape::Any => {}
            Shape::Either(options) => {
                match options.iter().find(|option| self.suits(kind, **option)) {
                    Some(option)
                        if options.len() == 1 || !matches!(kind, Kind::Plain | Kind::Quoted) =>
                    {
                        self.node(id, *option);
                    }
                    // A scalar that may be several things is read by the type itself.
                    Some(_) => {}
                    None if options.len() == 1 => self.node(id, options[0]),
                    None => self.wrong(id, shape),
                }
            }
            Shape::Struct { fields, required } if kind == Kind::Map => {
                let meant = self.fields(id, fields);
                for name in required {
                    self.required(id, name);
                    if self.tree.entry(id, name).is_none() && !meant.contains(&name.as_str()) {
                        let place = self.place_of_map(id);
                        self.push(
                            codes::MISSING_KEY,
                            place,
                            format!("`{name}` is missing"),
                            Some(format!("add `{name}:`")),
                        );
                    }
                }
            }
            Shape::Map(inner) if kind == Kind::Map => {
                for (key, value) in self.tree.entries(id) {
                    if !self.tree.is_merge(key) {
                        self.path.push(Part::Key(self.tree.target(key)));
                        self.node(value, *inner);
                        self.path.pop();
                    }
                }
            }
            Shape::List(inner) if kind == Kind::List => {
                for (index, item) in self.tree.children(id).enumerate() {
                    self.path.push(Part::Index(index));
                    self.node(item, *inner);
                    self.path.pop();
                }
            }
            Shape::Word(words) if matches!(kind, Kind::Plain | Kind::Quoted) => {
                let text = self.tree.scalar(id).unwrap_or_default();
                if !words.iter().any(|word| *word == text) {
                    self.wrong.values.insert(id);
                    let message = format!("`{text}` is none of {}", words.join(", "));
                    let help = nearest(text, words.iter().map(String::as_str))
                        .map(|close| format!("did you mean `{close}`?"));
                    self.push(codes::UNKNOWN_WORD, self.tree.span(id), message, help);
                }
            }
            Shape::Text | Shape::Bool | Shape::Integer(_) | Shape::Number
                if self.accepts(id, shape) => {}
            _ => self.wrong(id, shape),
        }
    }

    /// A map without a key that it needs is as wrong as that key's value would be.
    fn required(&mut self, map: NodeId, name: &str) {
        let is_right = |value: NodeId| {
            [value, self.tree.target(value)].iter().all(|it| !self.wrong.values.contains(it))
        };
        if self.tree.entry(map, name).is_some_and(|(_, value)| is_right(value)) {
            return;
        }
        match NAMES.into_iter().find(|known| *known == name) {
            Some(name) => self.wrong.unnamed.push((map, name)),
            None => {
                self.wrong.values.insert(map);
            }
        }
    }

    /// Whether a scalar can be read as a shape.
    fn accepts(&self, id: NodeId, shape: usize) -> bool {
        let Some(text) = self.tree.scalar(id) else { return false };
        let plain = self.tree.kind(id) == Kind::Plain;
        match self.shapes.get(shape) {
            Shape::Any => true,
            Shape::Text => !(plain && is_null(text)),
            Shape::Bool => plain && matches!(text, "true" | "false"),
            Shape::Integer(least) => plain && text.parse::<i64>().is_ok_and(|n| n >= *least),
            Shape::Number => plain && text.parse::<f64>().is_ok_and(f64::is_finite),
            Shape::Word(words) => words.iter().any(|word| *word == text),
            Shape::Either(options) => options.iter().any(|option| self.accepts(id, *option)),
            _ => false,
        }
    }

    /// Checks the keys of a map; gives the known ones that unknown ones were probably meant to be.
    fn fields<'f>(&mut self, map: NodeId, fields: &'f Fields) -> Vec<&'f str> {
        let mut meant = Vec::new();
        for (key, value) in self.tree.entries(map) {
            if self.tree.is_merge(key) {
                continue;
            }
            let key = self.tree.target(key);
            let Some(name) = self.tree.scalar(key) else { continue };
            if self.full() {
                return meant;
            }
            if let Some(shape) = fields.get(name) {
                self.path.push(Part::Key(key));
                self.node(value, shape);
                self.path.pop();
            } else {
                let names = fields.iter().map(|(field, _)| field.as_str());
                let close = nearest(name, names.clone());
                meant.extend(close);
                self.wrong.keys.insert(key, close.map(str::to_owned));
                let help = close.map_or_else(
                    || {
                        let mut names: Vec<_> = names.collect();
                        names.sort_unstable();
                        format!("known here: {}", names.join(", "))
                    },
                    |close| format!("did you mean `{close}`?"),
                );
                let message = format!("unknown key `{name}`");
                self.push(codes::UNKNOWN_KEY, self.tree.span(key), message, Some(help));
            }
        }
        let merged: Vec<_> = self.tree.merged(map).collect();
        for inner in merged {
            if self.tree.kind(inner) == Kind::Map {
                meant.extend(self.fields(inner, fields));
            }
        }
        meant
    }

    fn suits(&self, kind: Kind, shape: usize) -> bool {
        match self.shapes.get(shape) {
            Shape::Any => true,
            Shape::Either(options) => options.iter().any(|option| self.suits(kind, *option)),
            Shape::List(_) => kind == Kind::List,
            Shape::Map(_) | Shape::Struct { .. } => kind == Kind::Map,
            _ => matches!(kind, Kind::Plain | Kind::Quoted),
        }
    }

    fn wrong(&mut self, id: NodeId, shape: usize) {
        self.wrong.values.insert(id);
        let wanted = self.describe(shape);
        let span = self.tree.span(id);
        let text = self.tree.scalar(id);
        let found = match (self.tree.kind(id), text) {
            (Kind::Map, _) => "a map".to_owned(),
            (Kind::List, _) => "a list".to_owned(),
            (Kind::Plain, Some(text)) if is_null(text) => "nothing".to_owned(),
            (Kind::Quoted, Some(text)) => format!("the text \"{}\"", shorten(text)),
            (_, Some(text)) => format!("`{}`", shorten(text)),
            (_, None) => "something else".to_owned(),
        };
        let help = match (self.shapes.get(shape), self.tree.kind(id)) {
            (Shape::List(_), Kind::Plain | Kind::Quoted) => {
                Some(format!("write a list: `[{}]`", &self.text[span.clone()]))
            }
            (Shape::Bool, _) => Some("write `true` or `false`".to_owned()),
            (Shape::Integer(_) | Shape::Number, Kind::Quoted) => {
                Some("write the number without quotes".to_owned())
            }
            _ => None,
        };
        let place = first_line(self.text, span);
        self.push(codes::WRONG_TYPE, place, format!("expected {wanted}, found {found}"), help);
    }

    fn describe(&self, shape: usize) -> String {
        match self.shapes.get(shape) {
            Shape::Any => "anything".to_owned(),
            Shape::Text => "a text".to_owned(),
            Shape::Bool => "true or false".to_owned(),
            Shape::Integer(least) if *least > i64::MIN => {
                format!("a whole number, at least {least}")
            }
            Shape::Integer(_) => "a whole number".to_owned(),
            Shape::Number => "a number".to_owned(),
            Shape::Word(words) => format!("one of {}", words.join(", ")),
            Shape::List(inner) => format!("a list ({} each)", self.describe(*inner)),
            Shape::Map(_) => "a map".to_owned(),
            Shape::Struct { fields, .. } => {
                let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).take(4).collect();
                let more = if fields.iter().len() > 4 { ", …" } else { "" };
                format!("a map ({}{more})", names.join(", "))
            }
            Shape::Either(options) => {
                let options: Vec<_> = options.iter().map(|o| self.describe(*o)).collect();
                options.join(" or ")
            }
        }
    }

    /// A map has no text of its own: its first key, or the key it is the value of.
    fn place_of_map(&self, id: NodeId) -> Range<usize> {
        let first = self.tree.entries(id).next().map(|(key, _)| self.tree.span(key));
        first.unwrap_or_else(|| first_line(self.text, self.tree.span(id)))
    }
}

/// The keys of one map: most maps have few.
#[derive(Default)]
struct Names<'t> {
    few: Vec<&'t str>,
    many: HashSet<&'t str>,
}

impl<'t> Names<'t> {
    const FEW: usize = 16;

    /// Whether it was not there before.
    fn insert(&mut self, name: &'t str) -> bool {
        if self.few.contains(&name) || self.many.contains(name) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "null" | "Null" | "NULL" | "~")
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(39).chain(['…']).collect()
}

/// A place that takes several lines is shown by its first.
pub(crate) fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let line = text.get(span.clone()).and_then(|part| part.find(['\n', '\r']));
    span.start..line.map_or(span.end, |length| span.start + length)
}
