//! The `ssh` plugin: commands, scripts and files on other machines.
//!
//! What may be repeated runs while its connection lasts; everything else is a job on the host that
//! survives the connection and `dr`. A host's key must be known; nothing is ever learned silently.

mod auth;
mod channel;
mod config;
mod connect;
mod connection;
mod direct;
mod encode;
mod files;
mod host_key;
mod input;
mod job;
mod known_hosts;
mod plugin;
mod pool;
mod preview;
mod pump;
mod target;

pub use input::{CommandInput, DownloadInput, ScriptInput, Settings, Transferred, UploadInput};
pub use plugin::plugin;
