use std::fmt::Write as _;

use super::picture::{Picture, Shape};
use crate::markup::clean_line;
use crate::plan::Plan;

/// Steps that are drawn one by one: Mermaid gives up at some 500 edges.
const MOST: usize = 150;

/// The plan's graph for Mermaid, as GitHub and wikis draw it. Of a plan with more than 150 steps,
/// services and phases instead of steps.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let picture = Picture::new(plan, MOST);
    let mut out = String::from("flowchart LR\n");
    for (number, group) in picture.groups.iter().enumerate() {
        let indent = if group.name.is_some() { "    " } else { "  " };
        if let Some(name) = &group.name {
            let _ = writeln!(out, "  subgraph s{number}[\"{}\"]", label(name));
        }
        for &position in &group.nodes {
            let node = &picture.nodes[position];
            let lines: Vec<String> = node.lines.iter().map(|line| label(line)).collect();
            let (open, close) = match node.shape {
                Shape::Step => ("[", "]"),
                Shape::Gate => ("{{", "}}"),
                Shape::NoReturn => ("[[", "]]"),
                Shape::Validation => ("([", "])"),
                Shape::Join => ("(", ")"),
                Shape::Many => ("[/", "/]"),
            };
            let _ = writeln!(out, "{indent}n{position}{open}\"{}\"{close}", lines.join("<br/>"));
        }
        if group.name.is_some() {
            out.push_str("  end\n");
        }
    }
    for edge in &picture.edges {
        let arrow = if edge.weak { "-.->" } else { "-->" };
        let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    for (class, style, wanted) in [
        ("critical", "stroke:#c2570c,stroke-width:3px", true),
        ("skipped", "stroke-dasharray:4 3,opacity:0.6", false),
    ] {
        let nodes: Vec<String> = picture
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| if wanted { node.critical } else { node.skipped })
            .map(|(position, _)| format!("n{position}"))
            .collect();
        if !nodes.is_empty() {
            let _ =
                writeln!(out, "  classDef {class} {style}\n  class {} {class}", nodes.join(","));
        }
    }
    out
}

/// Text within quotes, such that Mermaid reads nothing into it.
fn label(text: &str) -> String {
    let mut out = String::new();
    for char in clean_line(text).chars() {
        match char {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '\\' | '[' | ']' | '{' | '}' | '%' => {
                let _ = write!(out, "#{};", u32::from(char));
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_text() {
        assert_eq!(label("fence_primary, 10s"), "fence_primary, 10s");
        assert_eq!(label("\"]; click x"), "#34;#93;#59; click x");
        assert_eq!(label("<b>a</b>\nend"), "#60;b#62;a#60;/b#62; end");
    }
}
