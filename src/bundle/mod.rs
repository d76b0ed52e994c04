//! The files of a run's evidence: written at the end of every session, each whole or not at all,
//! with sums that anybody can check without `dr`.

mod compare;
mod complete;
mod error;
mod files;
mod sums;
mod write;

pub use compare::{compare, unlisted};
pub use complete::{Lacking, complete, is_whole, lacking};
pub use error::BundleError;
pub use sums::{SumLine, sums};
pub use write::{Written, documents, write};

#[cfg(test)]
mod tests;
