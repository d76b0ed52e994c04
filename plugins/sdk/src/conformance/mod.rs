//! Whether a plugin keeps the plugin protocol: checks that anyone can run, against an executable in
//! any language or a [`crate::Plugin`] in the same process.
//!
//! Nothing is changed by it: actions are only asked for previews, with input that they must refuse,
//! and probes only with such input too. What a plugin does beyond that is shown by [`Case`]s of its
//! author: calls, what they must answer, and whether they are to be stopped half way.

mod case;
mod checks;
mod executable;
mod report;
mod subject;

pub use case::{Case, Expected};
pub use checks::{executable, linked};
pub use report::{Finding, Report};
