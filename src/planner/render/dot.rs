use std::fmt::Write as _;

use super::picture::{Picture, Shape};
use crate::markup::clean_line;
use crate::plan::Plan;

/// Steps that are drawn one by one.
const MOST: usize = 400;

/// The plan's graph for Graphviz: `dr plan … --format dot | dot -Tsvg`. Of a plan with more than
/// 400 steps, services and phases instead of steps.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let picture = Picture::new(plan, MOST);
    let mut out = format!(
        "digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n",
        quoted(&plan.runbook)
    );
    for (number, group) in picture.groups.iter().enumerate() {
        let indent = if group.name.is_some() { "    " } else { "  " };
        if let Some(name) = &group.name {
            let _ =
                writeln!(out, "  subgraph cluster_{number} {{\n    label=\"{}\";", quoted(name));
        }
        for &position in &group.nodes {
            let node = &picture.nodes[position];
            let lines: Vec<String> = node.lines.iter().map(|line| quoted(line)).collect();
            let mut look = String::new();
            match node.shape {
                Shape::Step => {}
                Shape::Gate => look.push_str(", shape=hexagon"),
                Shape::NoReturn => look.push_str(", peripheries=2"),
                Shape::Validation => look.push_str(", style=rounded"),
                Shape::Join => look.push_str(", shape=plaintext"),
                Shape::Many => look.push_str(", shape=folder"),
            }
            if node.critical {
                look.push_str(", color=\"#c2570c\", penwidth=2");
            }
            if node.skipped {
                look.push_str(", style=dashed, fontcolor=gray");
            }
            let _ = writeln!(out, "{indent}n{position} [label=\"{}\"{look}];", lines.join("\\n"));
        }
        if group.name.is_some() {
            out.push_str("  }\n");
        }
    }
    for edge in &picture.edges {
        let style = if edge.weak { " [style=dashed]" } else { "" };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from, edge.to);
    }
    out.push_str("}\n");
    out
}

/// Text within quotes.
fn quoted(text: &str) -> String {
    clean_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_text() {
        assert_eq!(quoted("a \"b\" \\n"), "a \\\"b\\\" \\\\n");
    }
}
