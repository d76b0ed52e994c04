use std::collections::HashMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use crate::id::StepId;

/// Steps, validations and what orders them.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(super) inner: DiGraph<Node, Edge, u32>,
    pub(super) by_id: HashMap<StepId, NodeIndex<u32>>,
    /// Position of each node in one topological order; nodes on cycles come last.
    pub(super) rank: Vec<u32>,
    pub(super) order: Vec<NodeIndex<u32>>,
}

/// A node: something the plan has a step for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Full id.
    pub id: StepId,
    /// What it stands for.
    pub kind: NodeKind,
}

/// What a node stands for. Numbers are positions in the document, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A declared step; of a group or loop, its end.
    Step {
        /// Position in the [`Outline`](crate::runbook::Outline).
        step: usize,
    },
    /// Where a group or loop begins: `STEP!begin`.
    Begin {
        /// Position in the [`Outline`](crate::runbook::Outline).
        step: usize,
    },
    /// One check of a validation: `SERVICE!validation/N` or `SERVICE!validation/N/M`.
    Check {
        /// Position in `services`.
        service: usize,
        /// Position in the service's `validation`.
        validation: usize,
        /// Position in the validation's `checks`.
        check: usize,
    },
    /// Counts the checks of a validation with a threshold: `SERVICE!validation/N`.
    Tally {
        /// Position in `services`.
        service: usize,
        /// Position in the service's `validation`.
        validation: usize,
    },
    /// Does nothing: stands between many steps of a service and many that wait for them, so that
    /// edges stay few. `SERVICE!steps`: its steps are done. `SERVICE!recovered`: all of it is.
    Join {
        /// Position in `services`.
        service: usize,
    },
}

/// Why one node waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Whether it must have succeeded or only be over.
    pub kind: EdgeKind,
    /// Where it comes from.
    pub reason: Reason,
}

/// What a node demands of one it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// It must have succeeded.
    Needs,
    /// It must be over.
    After,
}

/// Where an edge comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The step names it.
    Written,
    /// `in_order`: it is the step before.
    Order,
    /// The service of the waiting step depends on this service.
    Service {
        /// The service waited for, as a position in `services`.
        on: usize,
    },
    /// A validation follows its service's steps.
    Validation,
    /// It joins the steps of a service.
    Join,
    /// It is what the waiting step closes.
    Closes,
    /// A group begins before its steps and ends after them.
    Group,
}

impl Graph {
    /// Nodes in the order of the plan: that of the runbook, a service's validation after the last
    /// of its steps.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.inner.node_weights()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.node_count()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.node_count() == 0
    }

    /// The position of a node in [`Graph::nodes`].
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).map(|index| index.index())
    }

    /// The node at a position.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    pub fn node(&self, position: usize) -> &Node {
        &self.inner[NodeIndex::new(position)]
    }

    /// What the node at `position` waits for: positions and edges, by position.
    #[must_use]
    pub fn incoming(&self, position: usize) -> Vec<(usize, Edge)> {
        let mut edges: Vec<_> = self
            .inner
            .edges_directed(NodeIndex::new(position), Direction::Incoming)
            .map(|edge| (edge.source().index(), *edge.weight()))
            .collect();
        edges.sort_by_key(|(source, edge)| (*source, edge.kind));
        edges
    }

    /// Positions of all nodes, each after all that it waits for (without cycles); among equals the
    /// first declared comes first.
    #[must_use]
    pub fn topological(&self) -> impl ExactSizeIterator<Item = usize> {
        self.order.iter().map(|index| index.index())
    }

    /// Whether `of` waits for `ancestor`, directly or not. False for unknown names and for a node
    /// and itself.
    #[must_use]
    pub fn is_ancestor(&self, ancestor: &str, of: &str) -> bool {
        let (Some(&ancestor), Some(&of)) = (self.by_id.get(ancestor), self.by_id.get(of)) else {
            return false;
        };
        if ancestor == of {
            return false;
        }
        // Walks backwards, never below the rank that is looked for.
        let floor = self.rank[ancestor.index()];
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![of];
        while let Some(node) = open.pop() {
            for before in self.inner.neighbors_directed(node, Direction::Incoming) {
                if before == ancestor {
                    return true;
                }
                if self.rank[before.index()] > floor && seen.insert(before) {
                    open.push(before);
                }
            }
        }
        false
    }
}
