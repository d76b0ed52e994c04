use super::form::Wrong;
use super::tree::{Kind, NodeId, Tree};
use crate::runbook::DocPath;

/// What stands for a key that nobody can tell.
pub(crate) const ANY: &str = "?";

/// Takes what is wrong out of a tree, so that the rest can be read. Gives the keys that are missing
/// now, or that may have been meant: nothing that depends on them can be told. `None`: nothing sensible
/// is left.
pub(crate) fn prune(tree: &mut Tree<'_>, wrong: &Wrong) -> Option<Vec<DocPath>> {
    let root = tree.root().filter(|_| wrong.is_all)?;
    let mut pruning = Pruning { wrong, dropped: Vec::new(), unnamed: 0 };
    pruning.stays(tree, root, &DocPath::default()).then_some(pruning.dropped)
}

struct Pruning<'w> {
    wrong: &'w Wrong,
    dropped: Vec<DocPath>,
    unnamed: usize,
}

impl Pruning<'_> {
    /// Whether a node can stay, without what is wrong inside it. A list stays whole or not at all, so that
    /// its items keep their numbers.
    fn stays(&mut self, tree: &mut Tree<'_>, id: NodeId, at: &DocPath) -> bool {
        let target = tree.target(id);
        if [id, target].iter().any(|id| self.wrong.values.contains(id)) {
            return false;
        }
        match tree.kind(target) {
            Kind::Map => {
                self.entries(tree, target, at);
                true
            }
            Kind::List => {
                let items: Vec<NodeId> = tree.children(target).collect();
                items
                    .into_iter()
                    .enumerate()
                    .all(|(index, item)| self.stays(tree, item, &at.index(index)))
            }
            Kind::Plain | Kind::Quoted | Kind::Alias => true,
        }
    }

    fn entries(&mut self, tree: &mut Tree<'_>, map: NodeId, at: &DocPath) {
        let entries: Vec<_> = tree.entries(map).collect();
        for (key, value) in entries {
            let name = tree.scalar(tree.target(key)).unwrap_or(ANY).to_owned();
            let own = [key, tree.target(key)];
            let wrong = own.iter().find_map(|key| self.wrong.keys.get(key));
            if let Some(meant) = wrong {
                tree.remove(map, key);
                self.dropped.push(at.field(meant.as_deref().unwrap_or(ANY)));
            } else if !self.stays(tree, value, &at.field(&name)) {
                tree.remove(map, key);
                self.dropped.push(at.field(&name));
            }
        }
        let wanting = self.wrong.unnamed.iter().filter(|(unnamed, _)| *unnamed == map);
        for (_, key) in wanting {
            if tree.entry(map, key).is_none() {
                self.unnamed += 1;
                tree.add(map, key, &format!("unnamed_{}", self.unnamed));
                self.dropped.push(at.field(key));
            }
        }
    }
}
