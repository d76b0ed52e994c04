//! What a plugin of `dr` is made of: a [`Plugin`] describes itself by a [`Manifest`] and answers
//! [`Call`]s. The engine decides when to call; a plugin only acts and reports what it knows.
//!
//! A plugin knows this crate and nothing else of `dr`.

mod call;
mod cancel;
mod change;
mod coerce;
pub mod conformance;
mod effect;
mod error;
mod host;
pub mod job;
mod manifest;
mod period;
mod plugin;
pub mod protocol;
mod secret;
mod serve;

pub use call::{Call, CallKey, Input};
pub use cancel::{Cancel, CancelLevel};
pub use change::Change;
pub use coerce::coerce;
pub use effect::Effect;
pub use error::{CallError, ErrorClass};
pub use host::{Become, Host};
pub use manifest::{ActionManifest, EffectWhen, HostNeed, Keyed, Kind, Manifest, PROTOCOL};
pub use period::{Period, PeriodError};
pub use plugin::{Checked, Context, Plugin, Preview, PreviewStatus, Progress, Stream};
pub use secret::{MASK, SHORTEST_SECRET, Secret, Secrets, resolve_secrets};
pub use serve::main;
