use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;

use super::DocPath;
use super::lines::Lines;
use super::yaml::{Kind, NodeId, Tree, first_line};

/// Finds the bytes of the file that a [`DocPath`] means. Reads the file again, once, when first
/// asked: a runbook without problems never pays for it.
#[derive(Debug)]
pub struct Spans<'t> {
    text: &'t str,
    tree: OnceCell<Option<Tree<'t>>>,
    /// Items of the lists that were asked for: a list is walked once, not for every problem in it.
    items: RefCell<HashMap<NodeId, Vec<NodeId>>>,
    lines: OnceCell<Lines<'t>>,
}

impl<'t> Spans<'t> {
    /// For the text of a runbook.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self { text, tree: OnceCell::new(), items: RefCell::default(), lines: OnceCell::new() }
    }

    pub(super) fn tree(&self) -> Option<&Tree<'t>> {
        self.tree.get_or_init(|| Tree::parse(self.text).ok()).as_ref()
    }

    /// Bytes of the value at `path`; of its key, if it is a map or a list; of the deepest part that
    /// exists, if it does not. `within` narrows it to bytes of the scalar.
    #[must_use]
    pub fn bytes(&self, path: &DocPath, within: Option<&Range<usize>>) -> Option<Range<usize>> {
        let tree = self.tree()?;
        let found = self.find(tree, path)?;
        let value = tree.target(found.value);
        if let (true, Some(within)) = (found.complete, within)
            && let Some(narrow) = narrow(tree, self.text, value, within)
        {
            return Some(narrow);
        }
        let place = match tree.kind(value) {
            Kind::Plain | Kind::Quoted => tree.span(found.value),
            _ => match found.key {
                Some(key) => tree.span(key),
                None => item(tree, value),
            },
        };
        Some(first_line(self.text, place))
    }

    /// The plain text at a path, as it is written.
    pub(super) fn plain(&self, path: &DocPath) -> Option<String> {
        let tree = self.tree()?;
        let found = self.find(tree, path).filter(|found| found.complete)?;
        let node = tree.target(found.value);
        let text = tree.scalar(node).filter(|_| tree.kind(node) == Kind::Plain)?;
        Some(text.to_owned())
    }

    /// Line and column of a byte, both from 1; columns count characters.
    #[must_use]
    pub fn place(&self, at: usize) -> (u32, u32) {
        self.lines.get_or_init(|| Lines::new(self.text)).place(at)
    }

    /// The node at a path, or the deepest one on the way.
    fn find(&self, tree: &Tree<'_>, path: &DocPath) -> Option<Found> {
        let mut found = Found { key: None, value: tree.root()?, complete: true };
        for part in parts(&path.0) {
            let at = tree.target(found.value);
            let next = match &part {
                Part::Key(name) => tree.entry(at, name).map(|(key, value)| (Some(key), value)),
                Part::Index(index) if tree.kind(at) == Kind::List => {
                    let mut items = self.items.borrow_mut();
                    let items = items.entry(at).or_insert_with(|| tree.children(at).collect());
                    items.get(*index).map(|item| (None, *item))
                }
                Part::Index(_) => None,
            };
            let Some((key, value)) = next else {
                found.complete = false;
                break;
            };
            found.key = key;
            found.value = value;
        }
        Some(found)
    }
}

/// An item of a list: its `id` or `name`, else its first key.
fn item(tree: &Tree<'_>, value: NodeId) -> Range<usize> {
    let named = ["id", "name"].iter().find_map(|name| tree.entry(value, name));
    match named.map(|(_, value)| value).or_else(|| tree.children(value).next()) {
        Some(node) => tree.span(node),
        None => tree.span(value),
    }
}

struct Found {
    key: Option<NodeId>,
    value: NodeId,
    complete: bool,
}

fn narrow(
    tree: &Tree<'_>,
    text: &str,
    scalar: NodeId,
    within: &Range<usize>,
) -> Option<Range<usize>> {
    if let Some(start) = tree.verbatim_start(scalar) {
        return Some(start + within.start..start + within.end);
    }
    // Written over several lines or with escapes: the same characters, if they are found there.
    let value = tree.scalar(scalar)?;
    let wanted = value.get(within.clone()).filter(|wanted| !wanted.is_empty())?;
    let before = value.get(..within.start)?.matches(wanted).count();
    let span = tree.span(scalar);
    let (offset, _) = text.get(span.clone())?.match_indices(wanted).nth(before)?;
    Some(span.start + offset..span.start + offset + wanted.len())
}

enum Part {
    Key(String),
    Index(usize),
}

fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let mut values = serde_json::Deserializer::from_str(&rest[1..]).into_iter::<String>();
            let Some(Ok(name)) = values.next() else { break };
            let end = values.byte_offset();
            parts.push(Part::Key(name));
            rest = quoted.get(end..).unwrap_or_default();
        } else if let Some(inside) = rest.strip_prefix('[') {
            let Some((index, after)) = inside.split_once(']') else { break };
            let Ok(index) = index.parse() else { break };
            parts.push(Part::Index(index));
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            parts.push(Part::Key(name[..end].to_owned()));
            rest = &name[end..];
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
runbook: größe
hosts:
  a.b: { address: \"x\", port: 22 }
steps:
  - id: one
    with: { argv: [\"ls\", 'it {{ x }}'] }
    when: |
      a == 1
      b == 2
  - uses: two
";

    #[test]
    fn paths_become_bytes() {
        let spans = Spans::new(TEXT);
        let hosts = DocPath::key("hosts").field("a.b");
        for (path, within, expected) in [
            (DocPath::key("runbook"), None, "größe"),
            (DocPath::key("steps"), None, "steps"),
            (DocPath::step(0), None, "one"),
            (DocPath::step(1), None, "uses"),
            (DocPath::step(0).field("with").field("argv").index(1), None, "'it {{ x }}'"),
            (DocPath::step(0).field("with").field("argv").index(1), Some(3..10), "{{ x }}"),
            (DocPath::step(0).field("when"), Some(7..8), "b"),
            (DocPath::step(0).field("nothing").field("there"), None, "one"),
            (hosts.clone(), None, "a.b"),
            (hosts.field("port"), None, "22"),
            (hosts.field("address"), Some(0..1), "x"),
        ] {
            let bytes = spans.bytes(&path, within.as_ref()).expect("a place");
            assert_eq!(&TEXT[bytes], expected, "{path}");
        }
        let second = spans.bytes(&DocPath::step(1), None).expect("a place");
        assert_eq!(spans.place(second.start), (10, 5));
        let plain = |path: DocPath| spans.plain(&path);
        assert_eq!(plain(DocPath::key("hosts").field("a.b").field("port")).as_deref(), Some("22"));
        assert_eq!(plain(DocPath::key("hosts").field("a.b").field("address")), None);
        assert_eq!(Spans::new("").bytes(&DocPath::step(1), None), None);
    }
}
