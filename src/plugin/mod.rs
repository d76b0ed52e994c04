//! The plugins of this process, those that are processes of their own, and the secrets that their
//! calls need.

mod find;
mod open_calls;
mod process;
mod registry;
mod secret_source;
mod secrets;
mod vault;

pub use find::{FindError, Found, digest, find, folders, names};
pub use open_calls::{OpenCalls, Outlived, end_outlived};
pub use process::ProcessPlugin;
pub use registry::Registry;
pub use secret_source::Tried;
pub use secrets::{SecretError, SecretStore, called};
pub use vault::{Vault, VaultError, read_identity};
