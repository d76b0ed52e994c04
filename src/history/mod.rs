//! Past runs: what they were, and how long their steps took. Reads through a reader that it is
//! given, and keeps nothing.

mod durations;
mod past;

pub use durations::{Durations, RunDurations};
pub use past::{Past, Reader, Unreadable, list};

#[cfg(test)]
mod tests;
