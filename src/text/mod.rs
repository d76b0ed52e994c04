//! Text is Handlebars, decisions are CEL, both over the same [`Names`].
//!
//! One evaluator serves `dr check`, the planner and the machine. Text is rendered to segments: a
//! secret stays a reference, so nothing here ever sees one. Captured data is never evaluated again.

mod error;
mod expr;
mod names;
mod template;

pub use error::TextError;
pub use expr::Expr;
pub use names::{Names, NoNames, Path, Segment};
pub use template::{Rendered, Templated};
