//! The plugins of this process, and the secrets that their calls need.

mod registry;
mod secrets;

pub use registry::Registry;
pub use secrets::{SecretError, SecretStore, Tried};
