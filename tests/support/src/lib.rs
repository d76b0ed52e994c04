//! What the tests share: real servers on loopback, a proxy that cuts and holds, and a builder that
//! runs the real `dr` binary.
//!
//! Servers run as an account without privileges, from temporary folders, on loopback addresses and
//! ports of their own, and are stopped by their process id when they go out of scope, or by the
//! kernel if the test dies. A test that cannot have what it needs panics: `tests/install` brings it.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start processes and threads, read the environment and look at the clock"
)]
#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    reason = "a failing helper is a failing test"
)]

mod account;
mod cases;
mod command;
mod emulator;
mod fault_proxy;
mod folder;
mod http;
mod net;
mod postgres;
mod process;
mod proxy;
mod random;
mod shipped;
mod sql;
mod sshd;
mod wait;

pub use account::Account;
pub use cases::cases;
pub use command::{Dr, Ended, Invocation, Running};
pub use emulator::{Emulator, elements};
pub use fault_proxy::{Fault, FaultProxy};
pub use folder::Folder;
pub use http::{HttpReply, HttpRequest, HttpServer};
pub use net::{address, free_port};
pub use postgres::Postgres;
pub use process::{Daemon, DeathSignal};
pub use proxy::Proxy;
pub use random::Random;
pub use shipped::{SHIPPED, Shipped, VERSIONS};
pub use sql::Sql;
pub use sshd::{SshHome, Sshd};
pub use wait::{LONG, eventually};
