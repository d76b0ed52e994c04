//! A plan for readers: as text for a terminal, Markdown, a page, and pictures of its graph.

mod compare;
mod dot;
mod facts;
mod forecast;
mod html;
mod markdown;
mod mermaid;
mod paint;
mod picture;
mod pools;
mod sections;
mod spans;
#[cfg(test)]
mod tests;
mod timeline;
mod why;

pub use compare::comparison;
pub use dot::dot;
pub use facts::what_binds;
pub use html::html;
pub use markdown::markdown;
pub use mermaid::mermaid;
use paint::Page;
pub use why::why;

use crate::plan::Plan;

/// How a plan is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal. Fewer than 60 count as 60.
    pub columns: usize,
    /// Whether colours may be used. Everything can be read without them.
    pub colour: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { columns: 80, colour: false }
    }
}

/// The plan for a reader: services against their objectives, the timeline, what binds it, and what
/// a reviewer should know. Ends with a newline; no line is wider than asked.
#[must_use]
pub fn text(plan: &Plan, look: Look) -> String {
    let mut page = Page::new(look);
    sections::header(&mut page, plan);
    sections::services(&mut page, plan);
    forecast::forecast(&mut page, plan);
    spans::spans(&mut page, plan);
    timeline::timeline(&mut page, plan);
    sections::critical_path(&mut page, plan);
    pools::pools(&mut page, plan);
    sections::passed_over(&mut page, plan);
    sections::during_the_run(&mut page, plan);
    sections::locks(&mut page, plan);
    sections::ends(&mut page, plan);
    sections::notices(&mut page, plan);
    page.finish()
}
