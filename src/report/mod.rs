//! What people and programs see of a run. Every reporter reads the view and the event that it has
//! just taken in, writes where it is told, and is told the time: it can neither slow nor fail a
//! run, and it never reads a clock.

mod facts;
mod json;
mod lines;
mod reporter;
mod screen;

pub use facts::{Fact, Tone, facts};
pub use json::Json;
pub use lines::Lines;
pub use reporter::Reporter;
pub use screen::{Cell, Screen, fit, table, width};

#[cfg(test)]
mod tests;
