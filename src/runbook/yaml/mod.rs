//! The text of a runbook as a tree with places, read apart from the typed document: every error of
//! form at once, the place of any path, and what was written where a text is meant.

mod braces;
mod form;
mod prune;
mod shape;
mod tree;
mod typed;

pub(super) use form::{first_line, problems};
pub(super) use prune::prune;
pub(super) use shape::{Shape, Shapes};
pub(super) use tree::{Kind, NodeId, Tree};
pub(super) use typed::typed;
