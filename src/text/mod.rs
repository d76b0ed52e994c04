//! Text is Handlebars, decisions are CEL, both over the same [`Names`].
//!
//! One evaluator serves `dr check`, the planner and the machine. Text is rendered to segments: a
//! secret stays a reference, so nothing here ever sees one. Captured data is never evaluated again.
//!
//! Names are written alike in both: `steps.backup.outputs.files[0].path`, `headers['content-type']`.
//! A text takes such names and two helpers, `{{default NAME "text"}}` and `{{json NAME}}`. Its tags
//! are read with the Handlebars crate; rendering is a walk of our own, because Handlebars only
//! renders to a string: it would lose the types of single values, turn null into nothing and lists
//! into text, and needs the values of secrets.

mod error;
mod explain;
mod expr;
mod functions;
mod library;
mod names;
mod nearest;
mod read;
mod scan;
mod scope;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod values;

pub use error::TextError;
pub use expr::Expr;
pub use functions::function_names;
pub use names::{MapNames, Names, NoNames, Path, Segment};
pub use nearest::nearest;
pub use read::Read;
pub use scope::{Place, Vocabulary, is_reserved_name, known_at_plan_time};
pub(crate) use template::has_braces;
pub use template::{
    Rendered, Templated, holds_secret, only_secret, secret_reference, secret_value,
};
pub use values::plain;
