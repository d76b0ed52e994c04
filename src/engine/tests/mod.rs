//! The driver against decisions by hand, a storage that fails, and plugins that misbehave; and once
//! with the machine itself.

mod attempts;
mod driver;
mod preflight;
mod real;
mod session;
mod support;
