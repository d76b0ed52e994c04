//! What people and programs see of a run. Every reporter reads the view and the event that it has
//! just taken in, writes where it is told, and is told the time: it can neither slow nor fail a
//! run, and it never reads a clock.

mod facts;
mod frame;
mod json;
mod lines;
mod live;
mod logs;
mod plugins;
mod preflight;
mod reporter;
mod runs;
mod screen;
mod services;
mod show;
mod show_step;
mod spans;
mod wording;

pub use facts::{Fact, Tone, facts};
pub use frame::frame;
pub use json::Json;
pub use lines::{Lines, screen_line};
pub use live::{Live, TICK};
pub use logs::{Log, log_text, logs};
pub use plugins::{Place, plugin, plugins};
pub use preflight::preflight;
pub use reporter::{Reporter, Unsaid};
pub use runs::runs;
pub use screen::{Cell, Screen, fit, table, width};
pub use show::{Beside, show, summary};
pub use show_step::show_step;

#[cfg(test)]
mod tests;
