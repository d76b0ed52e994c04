//! The files of a run's evidence: written at the end of every session, each whole or not at all,
//! with sums that anybody can check without `dr`.

mod error;
mod files;
mod sums;
mod write;

pub use error::BundleError;
pub use sums::{SumLine, sums};
pub use write::{Written, write};

#[cfg(test)]
mod tests;
