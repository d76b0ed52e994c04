//! The plan's graph for drawing: every step, or, of a large plan, its services and phases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::sections::is_join;
use super::timeline::action;
use crate::plan::{Plan, Step};
use crate::time::Millis;

/// What a node is, for its shape and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Step,
    Gate,
    NoReturn,
    Validation,
    /// Only stands between others.
    Join,
    /// Stands for many steps.
    Many,
}

pub(super) struct Node {
    pub(super) lines: Vec<String>,
    pub(super) shape: Shape,
    pub(super) critical: bool,
    /// Passed over by the plan.
    pub(super) skipped: bool,
}

/// Position and steps of what a service does in a phase.
type Parts<'a> = HashMap<(Option<&'a str>, &'a str), (usize, Vec<&'a Step>)>;

/// A service with the positions of its nodes; the first has no name and no service.
pub(super) struct Group {
    pub(super) name: Option<String>,
    pub(super) nodes: Vec<usize>,
}

pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Waits for its end only, not for its success.
    pub(super) weak: bool,
}

pub(super) struct Picture {
    pub(super) nodes: Vec<Node>,
    pub(super) groups: Vec<Group>,
    pub(super) edges: Vec<Edge>,
}

impl Picture {
    /// Every step of a plan of at most `most`; of a larger one, what each service does in each
    /// phase.
    pub(super) fn new(plan: &Plan, most: usize) -> Self {
        let large = plan.steps.len() > most;
        let mut nodes: Vec<Node> = Vec::new();
        let mut groups = vec![Group { name: None, nodes: Vec::new() }];
        let mut of_step: HashMap<&str, usize> = HashMap::with_capacity(plan.steps.len());
        let mut of_part: Parts<'_> = HashMap::new();
        for step in &plan.steps {
            let service = step.service.as_ref().map(crate::id::ServiceId::as_str);
            let phase = match (step.phase, &step.validates) {
                (_, Some(_)) => "validation",
                (Some(phase), None) => phase.as_str(),
                (None, None) => "",
            };
            let node = if large {
                let part = of_part.entry((service, phase)).or_insert_with(|| {
                    nodes.push(part());
                    (nodes.len() - 1, Vec::new())
                });
                part.1.push(step);
                part.0
            } else {
                nodes.push(node(step));
                nodes.len() - 1
            };
            of_step.insert(step.id.as_str(), node);
            let known = groups.iter().position(|it| it.name.as_deref() == service);
            let group = known.unwrap_or_else(|| {
                groups.push(Group { name: service.map(str::to_owned), nodes: Vec::new() });
                groups.len() - 1
            });
            if groups[group].nodes.last() != Some(&node) && !groups[group].nodes.contains(&node) {
                groups[group].nodes.push(node);
            }
        }
        for ((_, phase), (node, steps)) in of_part {
            nodes[node].lines = describe(phase, &steps);
            nodes[node].critical = steps.iter().any(|step| step.critical);
        }
        let mut seen = BTreeMap::new();
        for step in &plan.steps {
            let to = of_step[step.id.as_str()];
            let needs = step.needs.iter().map(|id| (id, false));
            for (id, weak) in needs.chain(step.after.iter().map(|id| (id, true))) {
                if let Some(&from) = of_step.get(id.as_str()).filter(|from| **from != to) {
                    let both = seen.entry((from, to)).or_insert(weak);
                    *both &= weak;
                }
            }
        }
        if large {
            // Parts may wait for each other both ways: the rarer way is left to the table.
            let pairs: BTreeSet<(usize, usize)> = seen.keys().copied().collect();
            seen.retain(|(from, to), _| from < to || !pairs.contains(&(*to, *from)));
        }
        let edges = seen.into_iter().map(|((from, to), weak)| Edge { from, to, weak }).collect();
        groups.retain(|group| !group.nodes.is_empty());
        Self { nodes, groups, edges }
    }
}

fn node(step: &Step) -> Node {
    let shape = if is_join(step) {
        Shape::Join
    } else if step.point_of_no_return {
        Shape::NoReturn
    } else if step.approve.is_some() {
        Shape::Gate
    } else if step.validates.is_some() {
        Shape::Validation
    } else {
        Shape::Step
    };
    let lines = if shape == Shape::Join {
        vec![step.id.to_string()]
    } else {
        let takes = Millis(step.expected_ms()).short();
        vec![step.id.to_string(), format!("{}, {takes}", action(step))]
    };
    Node { lines, shape, critical: step.critical, skipped: step.skip.is_some() }
}

fn part() -> Node {
    Node { lines: Vec::new(), shape: Shape::Many, critical: false, skipped: false }
}

fn describe(phase: &str, steps: &[&Step]) -> Vec<String> {
    let steps: Vec<&&Step> = steps.iter().filter(|step| !is_join(step)).collect();
    let start = steps.iter().map(|step| step.start_ms).min().unwrap_or(0);
    let finish = steps.iter().map(|step| step.finish_ms).max().unwrap_or(0);
    let phase = if phase.is_empty() { "steps" } else { phase };
    vec![
        format!("{phase}: {}", steps.len()),
        format!("{} to {}", Millis(start).short(), Millis(finish).short()),
    ]
}
