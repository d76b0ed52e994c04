use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};

use crate::runbook::Graph;

/// This many nodes are searched backwards; most steps read what is close.
const NEAR: usize = 64;
/// Sets that are kept. Each takes a bit for every node.
const KEPT: usize = 256;

/// Answers "does this step wait for that one" often: many steps that read the same early one do
/// not walk all the way back to it each time.
#[derive(Debug, Default)]
pub(super) struct Ancestors {
    outgoing: OnceCell<Vec<Vec<usize>>>,
    /// What waits for a node, as bits by position.
    below: RefCell<HashMap<usize, Vec<u64>>>,
}

impl Ancestors {
    /// Whether `of` waits for `ancestor`, directly or not; both are full ids.
    pub(super) fn waits(&self, graph: &Graph, ancestor: &str, of: &str) -> bool {
        let (Some(ancestor), Some(of)) = (graph.position(ancestor), graph.position(of)) else {
            return false;
        };
        if ancestor == of {
            return false;
        }
        let mut seen = HashSet::from([of]);
        let mut open = vec![of];
        while let Some(node) = open.pop() {
            for (before, _) in graph.incoming(node) {
                if before == ancestor {
                    return true;
                }
                if seen.insert(before) {
                    open.push(before);
                }
            }
            if seen.len() > NEAR {
                return self.is_below(graph, ancestor, of);
            }
        }
        false
    }

    fn is_below(&self, graph: &Graph, ancestor: usize, of: usize) -> bool {
        let outgoing = self.outgoing.get_or_init(|| {
            let mut outgoing = vec![Vec::new(); graph.len()];
            for to in 0..graph.len() {
                for (from, _) in graph.incoming(to) {
                    outgoing[from].push(to);
                }
            }
            outgoing
        });
        let mut below = self.below.borrow_mut();
        if below.len() >= KEPT && !below.contains_key(&ancestor) {
            below.clear();
        }
        let bits = below.entry(ancestor).or_insert_with(|| {
            let mut bits = vec![0_u64; graph.len().div_ceil(64)];
            let mut open = vec![ancestor];
            while let Some(node) = open.pop() {
                for &after in &outgoing[node] {
                    let (word, bit) = (after / 64, 1 << (after % 64));
                    if bits[word] & bit == 0 {
                        bits[word] |= bit;
                        open.push(after);
                    }
                }
            }
            bits
        });
        bits[of / 64] & (1 << (of % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::Document;

    #[test]
    fn near_and_far_ancestors_are_found() {
        use std::fmt::Write as _;
        let mut text = String::from("runbook: r\nin_order: true\nsteps:\n");
        for step in 0..300 {
            let _ = writeln!(text, "  - {{ id: s{step} }}");
        }
        text.push_str("  - { id: aside, needs: [] }\n");
        let document: Document = serde_yaml::from_str(&text).expect("a document");
        let (graph, _) = Graph::build(&document);
        let ancestors = Ancestors::default();
        for (ancestor, of) in [
            ("s0", "s1"),
            ("s0", "s299"),
            ("s298", "s299"),
            ("s5", "s200"),
            ("s200", "s5"),
            ("aside", "s299"),
            ("s0", "aside"),
            ("s7", "s7"),
            ("nobody", "s1"),
        ] {
            let expected = graph.is_ancestor(ancestor, of);
            assert_eq!(ancestors.waits(&graph, ancestor, of), expected, "{ancestor} {of}");
        }
    }
}
