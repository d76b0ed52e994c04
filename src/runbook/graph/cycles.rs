use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::model::{Edge, EdgeKind, Node, NodeKind, Reason};
use crate::runbook::{DocPath, Document, Outline, Problem, codes};

type Index = NodeIndex<u32>;

/// All nodes that are on no cycle and behind none, each after what it waits for; among equals the
/// one that comes first in the plan.
pub(super) fn topological(graph: &DiGraph<Node, Edge, u32>) -> Vec<Index> {
    let mut waits: Vec<u32> = vec![0; graph.node_count()];
    for edge in graph.raw_edges() {
        waits[edge.target().index()] += 1;
    }
    let mut ready: BinaryHeap<Reverse<u32>> = (0..graph.node_count() as u32)
        .filter(|node| waits[*node as usize] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(Reverse(node)) = ready.pop() {
        let node = Index::new(node as usize);
        order.push(node);
        for next in graph.neighbors_directed(node, Direction::Outgoing) {
            waits[next.index()] -= 1;
            if waits[next.index()] == 0 {
                ready.push(Reverse(next.index() as u32));
            }
        }
    }
    order
}

/// One problem for each knot of steps that wait for each other: its shortest cycle.
pub(super) fn among_steps(
    document: &Document,
    outline: &Outline<'_>,
    graph: &DiGraph<Node, Edge, u32>,
    steps: &[Index],
) -> Vec<Problem> {
    let mut knots: Vec<Vec<Index>> = kosaraju_scc(graph)
        .into_iter()
        .filter(|knot| knot.len() > 1 || graph.find_edge(knot[0], knot[0]).is_some())
        .collect();
    for knot in &mut knots {
        knot.sort();
    }
    knots.sort();
    let all_steps: HashSet<Index> = steps.iter().copied().collect();
    knots.iter().map(|knot| describe(document, outline, graph, knot, &all_steps)).collect()
}

fn describe(
    document: &Document,
    outline: &Outline<'_>,
    graph: &DiGraph<Node, Edge, u32>,
    knot: &[Index],
    steps: &HashSet<Index>,
) -> Problem {
    // A declared step gives the report a place.
    let start = knot.iter().copied().find(|node| steps.contains(node)).unwrap_or(knot[0]);
    let cycle = shortest_cycle(graph, knot, start);
    let names: Vec<&str> = cycle.iter().map(|node| graph[*node].id.as_str()).collect();
    let arrows = names.join(" -> ");
    let why: Vec<String> = cycle
        .windows(2)
        .filter_map(|pair| {
            let edge = graph.find_edge(pair[1], pair[0])?;
            Some(explain(document, outline, &graph[pair[0]], &graph[pair[1]], graph[edge]))
        })
        .collect();
    let at = match graph[start].kind {
        NodeKind::Step { step } | NodeKind::Begin { step } => outline.path(step),
        NodeKind::Check { service, .. }
        | NodeKind::Tally { service, .. }
        | NodeKind::Join { service } => {
            DocPath(format!("services.{}", service_name(document, service)))
        }
    };
    let way_out = if cycle.windows(2).any(|pair| {
        graph.find_edge(pair[1], pair[0]).is_some_and(|edge| graph[edge].reason != Reason::Written)
    }) {
        "; remove one of these, or say `early: true` on a step that may run before the services \
         that its service depends on have recovered"
    } else {
        "; remove one of these"
    };
    Problem::error(
        codes::CYCLE,
        at,
        format!("steps wait for each other: `{arrows}` (each waits for the next)"),
    )
    .with_help(format!("{}{way_out}", why.join("; ")))
}

/// The shortest way from `start` back to itself against the edges, inside its knot; both ends are
/// `start`.
fn shortest_cycle(graph: &DiGraph<Node, Edge, u32>, knot: &[Index], start: Index) -> Vec<Index> {
    let inside: HashSet<Index> = knot.iter().copied().collect();
    let mut came_from: HashMap<Index, Index> = HashMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        let mut before: Vec<Index> = graph
            .neighbors_directed(node, Direction::Incoming)
            .filter(|other| inside.contains(other))
            .collect();
        before.sort();
        for other in before {
            if other == start {
                let mut way = vec![start, node];
                let mut last = node;
                while last != start {
                    last = came_from[&last];
                    way.push(last);
                }
                if node == start {
                    way.truncate(2);
                }
                way.reverse();
                return way;
            }
            if let Entry::Vacant(entry) = came_from.entry(other) {
                entry.insert(node);
                open.push_back(other);
            }
        }
    }
    vec![start, start]
}

fn service_name(document: &Document, service: usize) -> &str {
    document.services.get_index(service).map_or("", |(name, _)| name.as_str())
}

/// Where the edge comes from, in words.
fn explain(
    document: &Document,
    outline: &Outline<'_>,
    waiting: &Node,
    before: &Node,
    edge: Edge,
) -> String {
    let (waiting_id, before_id) = (&waiting.id, &before.id);
    match (edge.reason, edge.kind) {
        (Reason::Written, EdgeKind::Needs) => format!("`{waiting_id}` needs `{before_id}`"),
        (Reason::Written, EdgeKind::After) => {
            format!("`{waiting_id}` comes after `{before_id}`")
        }
        (Reason::Order, _) => format!("`{waiting_id}` follows `{before_id}` by `in_order`"),
        (Reason::Service { on }, _) => {
            let own = match waiting.kind {
                NodeKind::Step { step } | NodeKind::Begin { step } => {
                    outline.get(step).service.unwrap_or("")
                }
                NodeKind::Check { service, .. }
                | NodeKind::Tally { service, .. }
                | NodeKind::Join { service } => service_name(document, service),
            };
            format!(
                "`{waiting_id}` waits for `{before_id}` because service `{own}` depends on `{}`",
                service_name(document, on)
            )
        }
        (Reason::Validation, _) => {
            format!("`{waiting_id}` waits for `{before_id}` because validation comes last")
        }
        (Reason::Closes, _) => format!("`{waiting_id}` closes `{before_id}`"),
        (Reason::Group, EdgeKind::Needs) => {
            format!("`{waiting_id}` begins with `{before_id}`")
        }
        (Reason::Group, EdgeKind::After) => format!("`{waiting_id}` ends with `{before_id}`"),
        (Reason::Join, _) => format!("`{waiting_id}` stands for `{before_id}` and others"),
    }
}

/// A cycle of `depends_on`, if there is one.
pub(super) fn among_services(document: &Document, depends_on: &[Vec<usize>]) -> Option<Problem> {
    let mut graph: DiGraph<(), (), u32> = DiGraph::default();
    for _ in depends_on {
        graph.add_node(());
    }
    for (service, on) in depends_on.iter().enumerate() {
        for on in on {
            graph.add_edge(Index::new(*on), Index::new(service), ());
        }
    }
    let mut knot = kosaraju_scc(&graph)
        .into_iter()
        .filter(|knot| knot.len() > 1 || graph.find_edge(knot[0], knot[0]).is_some())
        .min_by_key(|knot| knot.iter().min().copied())?;
    knot.sort();
    let inside: HashSet<usize> = knot.iter().map(|node| node.index()).collect();
    let start = knot[0].index();
    let mut way = vec![start];
    let mut seen = HashSet::from([start]);
    let mut at = start;
    // Following any edge inside the knot must come back to a service that was seen.
    while let Some(&next) = depends_on[at].iter().find(|on| inside.contains(on)) {
        way.push(next);
        at = next;
        if !seen.insert(next) {
            break;
        }
    }
    let first = way.iter().position(|service| *service == at).unwrap_or(0);
    let names: Vec<&str> =
        way[first..].iter().map(|service| service_name(document, *service)).collect();
    Some(
        Problem::error(
            codes::SERVICE_CYCLE,
            DocPath(format!("services.{}.depends_on", names[0])),
            format!(
                "services depend on each other: `{}` (each depends on the next)",
                names.join(" -> ")
            ),
        )
        .with_help("remove one of these `depends_on`"),
    )
}
