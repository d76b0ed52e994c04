//! The `postgres` plugin: SQL as a probe (`postgres.query`) and as an action (`postgres.execute`).
//!
//! It speaks PostgreSQL's own protocol, without TLS. A probe runs in a read-only transaction, so
//! that it may be repeated at will; an action says precisely whether a failure left anything behind.
//! Values are read in the server's text form, which every type has.

mod connect;
mod decode;
mod error;
mod input;
mod literal;
mod params;
mod plugin;
mod pool;
mod rows;
mod session;
mod target;

pub use plugin::plugin;
