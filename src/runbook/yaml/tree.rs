use std::collections::{HashMap, HashSet};
use std::ops::Range;

use dr_yaml::{ErrorKind, Event, Events, Options, ScalarStyle, ScanError, Span};

use super::braces;
use crate::runbook::{Problem, codes};

/// Limits that keep hostile files cheap. 100,000 steps are 2.5 million nodes.
const MAX_NODES: usize = 4_000_000;
const MAX_DEPTH: usize = 64;
/// What is nested deeper is not simple.
const SIMPLE_DEPTH: usize = MAX_DEPTH / 2;
const MAX_SCALAR: usize = 1 << 20;
/// Nodes that aliases may stand for, all together.
const MAX_REPEATED: u64 = 100_000;
/// More than this is not simple.
const SIMPLE_REPEATED: u64 = 10_000;
const NONE: u32 = u32::MAX;

/// A node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(u32);

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text without quotes.
    Plain,
    /// A text in quotes or a block.
    Quoted,
    /// A list.
    List,
    /// A map.
    Map,
    /// Stands for another node.
    Alias,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    kind: Kind,
    /// Whether its text is in `unescaped`.
    is_unescaped: bool,
    /// First child, or the node that an alias stands for.
    first: u32,
    /// Next sibling. Children of a map are key, value, key, value.
    next: u32,
}

/// A YAML document with the place of everything, in 20 bytes a node. Places are bytes of the text.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    /// Texts that are not written as they read: escapes, several lines.
    unescaped: HashMap<u32, Box<str>>,
    /// Errors of form that are not about a document's meaning.
    pub(crate) problems: Vec<Problem>,
    /// Whether it has no tags, no merged maps, no aliases of aliases, and is not nested deeply.
    is_simple: bool,
}

/// An open list or map while reading.
struct Open {
    id: u32,
    last: u32,
    anchor: usize,
    weight: u64,
}

impl<'t> Tree<'t> {
    /// Reads one document.
    ///
    /// # Errors
    /// The first error of syntax, or a limit that is exceeded.
    pub(crate) fn parse(text: &'t str) -> Result<Self, Box<Problem>> {
        let mut tree = Self {
            text,
            nodes: Vec::new(),
            unescaped: HashMap::new(),
            problems: Vec::new(),
            is_simple: true,
        };
        let mut open: Vec<Open> = Vec::new();
        let mut anchors: HashMap<usize, (u32, u64)> = HashMap::new();
        let mut last_alias = 0;
        // What has an anchor, and an alias inside it.
        let mut nested: HashSet<u32> = HashSet::new();
        let mut documents = 0_u32;
        let mut repeated = 0_u64;
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH + 1;
        options.block_nesting_limit = MAX_DEPTH + 1;
        for next in Events::new(text, options) {
            let (event, span) = next.map_err(|error| Box::new(tree.syntax(&error)))?;
            let place = tree.range(&span);
            tree.is_simple &= event.tag().is_none();
            if let Some(tag) =
                event.tag().filter(|tag| tag.is_custom() && tree.problems.len() < 100)
            {
                let place = span.tag_span().map_or(place.clone(), |span| tree.range(&span));
                tree.problems.push(
                    Problem::in_text(
                        codes::UNKNOWN_TAG,
                        place,
                        format!("the tag `{}` means nothing here", tag.original()),
                    )
                    .with_help("remove it: values need no tags"),
                );
            }
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return refuse(
                            Problem::in_text(
                                codes::SYNTAX,
                                place,
                                "a file holds one runbook, and here a second document begins",
                            )
                            .with_help("put it into a file of its own"),
                        );
                    }
                }
                Event::Scalar(value, style, anchor, _) => {
                    if value.len() > MAX_SCALAR {
                        let size = value.len();
                        return refuse(
                            too_large(
                                place.start,
                                format!("a text of {size} bytes is longer than 1 MiB"),
                            )
                            .with_help("keep data in a file of its own and let a step read it"),
                        );
                    }
                    let kind = if style == ScalarStyle::Plain { Kind::Plain } else { Kind::Quoted };
                    let id = tree.push(kind, place, &mut open)?;
                    tree.is_simple &= kind == Kind::Quoted || value != "<<";
                    if tree.verbatim(id) != value && !tree.is_empty(NodeId(id)) {
                        tree.unescaped.insert(id, value.into());
                        tree.nodes[id as usize].is_unescaped = true;
                    }
                    if anchor > 0 {
                        anchors.insert(anchor, (id, 1));
                    }
                }
                Event::Alias(anchor) => {
                    let Some(&(target, weight)) = anchors.get(&anchor) else {
                        return refuse(
                            Problem::in_text(
                                codes::TOO_LARGE,
                                place,
                                "this alias stands for something that contains it",
                            )
                            .with_help("write out what is meant"),
                        );
                    };
                    repeated = repeated.saturating_add(weight);
                    if repeated > MAX_REPEATED {
                        return refuse(
                            Problem::in_text(
                                codes::TOO_LARGE,
                                place,
                                format!("aliases repeat more than {MAX_REPEATED} values"),
                            )
                            .with_help("write out what is meant"),
                        );
                    }
                    let id = tree.push(Kind::Alias, place, &mut open)?;
                    tree.is_simple &= repeated <= SIMPLE_REPEATED && !nested.contains(&target);
                    last_alias = id;
                    tree.nodes[id as usize].first = target;
                    if let Some(parent) = open.last_mut() {
                        parent.weight += weight;
                    }
                }
                Event::SequenceStart(_, anchor, _) => {
                    let id = tree.push(Kind::List, place, &mut open)?;
                    tree.is_simple &= open.len() < SIMPLE_DEPTH;
                    open.push(Open { id, last: NONE, anchor, weight: 1 });
                }
                Event::MappingStart(_, anchor, _) => {
                    let id = tree.push(Kind::Map, place, &mut open)?;
                    tree.is_simple &= open.len() < SIMPLE_DEPTH;
                    open.push(Open { id, last: NONE, anchor, weight: 1 });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(done) = open.pop() {
                        let node = &mut tree.nodes[done.id as usize];
                        node.end = node.end.max(place.end as u32);
                        if done.anchor > 0 {
                            anchors.insert(done.anchor, (done.id, done.weight));
                            if last_alias > done.id {
                                nested.insert(done.id);
                            }
                        }
                        if let Some(parent) = open.last_mut() {
                            parent.weight += done.weight;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(tree)
    }

    fn push(
        &mut self,
        kind: Kind,
        place: Range<usize>,
        open: &mut [Open],
    ) -> Result<u32, Box<Problem>> {
        if self.nodes.len() >= MAX_NODES || open.len() >= MAX_DEPTH {
            let limit = if open.len() >= MAX_DEPTH {
                format!("maps and lists are nested more than {MAX_DEPTH} deep")
            } else {
                format!("there are more than {MAX_NODES} values")
            };
            return refuse(too_large(place.start, limit));
        }
        let id = self.nodes.len() as u32;
        let (start, end) = (place.start as u32, place.end as u32);
        self.nodes.push(Node { start, end, kind, is_unescaped: false, first: NONE, next: NONE });
        if let Some(parent) = open.last_mut() {
            parent.weight += 1;
            let slot = if parent.last == NONE {
                &mut self.nodes[parent.id as usize].first
            } else {
                &mut self.nodes[parent.last as usize].next
            };
            *slot = id;
            parent.last = id;
        }
        Ok(id)
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or_default();
        let end = range.end.min(self.text.len());
        range.start.min(end)..end
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = error.marker().byte_offset().unwrap_or_default().min(self.text.len());
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return too_large(at, format!("maps and lists are nested more than {MAX_DEPTH} deep"));
        }
        if let Some(bare) = braces::near(self.text, at) {
            return braces::problem(self.text, bare);
        }
        let help = match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation => "indent with spaces",
            ErrorKind::UnclosedQuotedScalar => "close the quotes",
            ErrorKind::UnknownAnchor => {
                "an alias `*name` needs an earlier `&name`; a text that begins with `*` needs quotes"
            }
            _ => "check indentation, colons and quotes on this line and the one before",
        };
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        Problem::in_text(codes::SYNTAX, at..end, error.kind().to_string()).with_help(help)
    }

    fn verbatim(&self, id: u32) -> &'t str {
        let node = self.nodes[id as usize];
        let (start, end) = (node.start as usize, node.end as usize);
        if node.kind == Kind::Plain || end < start + 2 {
            self.text.get(start..end).unwrap_or_default()
        } else {
            self.text.get(start + 1..end - 1).unwrap_or_default()
        }
    }

    /// The text that it was read from.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// Whether it has no tags, no merged maps, no aliases of aliases, and is not nested deeply.
    pub(crate) fn is_simple(&self) -> bool {
        self.is_simple
    }

    /// The document, unless the file is empty.
    pub(crate) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(NodeId(0))
    }

    /// Every node, a parent before its children.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// What a node is.
    pub(crate) fn kind(&self, id: NodeId) -> Kind {
        self.nodes[id.0 as usize].kind
    }

    /// Bytes of the text that a node takes.
    pub(crate) fn span(&self, id: NodeId) -> Range<usize> {
        let node = self.nodes[id.0 as usize];
        node.start as usize..(node.end.max(node.start)) as usize
    }

    /// The node itself, or what the alias stands for.
    pub(crate) fn target(&self, mut id: NodeId) -> NodeId {
        while self.kind(id) == Kind::Alias {
            id = NodeId(self.nodes[id.0 as usize].first);
        }
        id
    }

    /// The text of a scalar.
    pub(crate) fn scalar(&self, id: NodeId) -> Option<&str> {
        let node = &self.nodes[id.0 as usize];
        match node.kind {
            Kind::Plain | Kind::Quoted if node.is_unescaped => {
                self.unescaped.get(&id.0).map(|text| &**text)
            }
            Kind::Plain | Kind::Quoted => Some(self.verbatim(id.0)),
            Kind::List | Kind::Map | Kind::Alias => None,
        }
    }

    /// Where the text of a scalar begins, if it is written as it reads.
    pub(crate) fn verbatim_start(&self, id: NodeId) -> Option<usize> {
        let start = self.nodes[id.0 as usize].start as usize;
        match self.kind(id) {
            _ if self.unescaped.contains_key(&id.0) => None,
            Kind::Plain => Some(start),
            Kind::Quoted => Some(start + 1),
            _ => None,
        }
    }

    /// Nothing at all: `key:` and the end of the line.
    pub(crate) fn is_empty(&self, id: NodeId) -> bool {
        let node = self.nodes[id.0 as usize];
        node.kind == Kind::Plain && node.start >= node.end
    }

    /// Items of a list, or keys and values of a map one after the other.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.first_child(id), |id| self.next_sibling(*id))
    }

    /// The first item of a list, or the first key of a map.
    pub(crate) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        let node = self.nodes[id.0 as usize];
        if matches!(node.kind, Kind::List | Kind::Map) { some(node.first) } else { None }
    }

    /// The next item of the same list, or the next key or value of the same map.
    pub(crate) fn next_sibling(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id.0 as usize].next)
    }

    /// Keys and values of a map.
    pub(crate) fn entries(&self, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut children = self.children(id);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The key and the value with this name; merged maps come after the map's own keys.
    pub(crate) fn entry(&self, id: NodeId, name: &str) -> Option<(NodeId, NodeId)> {
        let map = self.target(id);
        let own = self
            .entries(map)
            .find(|(key, _)| self.scalar(self.target(*key)).is_some_and(|key| key == name));
        own.or_else(|| self.merged(map).find_map(|merged| self.entry(merged, name)))
    }

    /// The maps that `<<` merges into a map.
    pub(crate) fn merged(&self, map: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.entries(map).filter(|(key, _)| self.is_merge(*key)).flat_map(|(_, value)| {
            let value = self.target(value);
            match self.kind(value) {
                Kind::Map => vec![value],
                Kind::List => self.children(value).map(|item| self.target(item)).collect(),
                _ => Vec::new(),
            }
        })
    }

    /// Whether a key is the merge key.
    pub(crate) fn is_merge(&self, key: NodeId) -> bool {
        self.kind(key) == Kind::Plain && self.scalar(key).is_some_and(|key| key == "<<")
    }
}

/// Changes, for reading what is right in a text that has errors of form.
impl Tree<'_> {
    /// Takes a key and its value out of a map.
    pub(super) fn remove(&mut self, map: NodeId, key: NodeId) {
        let mut before = None;
        let mut entry = self.first_child(map);
        while let Some(at) = entry {
            let Some(value) = self.next_sibling(at) else { return };
            let next = self.nodes[value.0 as usize].next;
            if at == key {
                match before {
                    None => self.nodes[map.0 as usize].first = next,
                    Some(NodeId(before)) => self.nodes[before as usize].next = next,
                }
                return;
            }
            before = Some(value);
            entry = some(next);
        }
    }

    /// Adds a key with a text to a map.
    pub(super) fn add(&mut self, map: NodeId, key: &str, text: &str) {
        let Node { start, first, .. } = self.nodes[map.0 as usize];
        let id = self.nodes.len() as u32;
        for (offset, text) in [key, text].into_iter().enumerate() {
            let next = if offset == 0 { id + 1 } else { first };
            let kind = Kind::Quoted;
            self.nodes.push(Node {
                start,
                end: start,
                kind,
                is_unescaped: true,
                first: NONE,
                next,
            });
            self.unescaped.insert(id + offset as u32, text.into());
        }
        self.nodes[map.0 as usize].first = id;
    }
}

fn too_large(at: usize, limit: String) -> Problem {
    Problem::in_text(codes::TOO_LARGE, at..at, limit).with_help("split the runbook")
}

fn refuse<T>(problem: Problem) -> Result<T, Box<Problem>> {
    Err(Box::new(problem))
}

fn some(id: u32) -> Option<NodeId> {
    (id != NONE).then_some(NodeId(id))
}
