//! The `http` plugin: requests and latency checks over HTTP and HTTPS (rustls with ring).

mod check;
mod client;
mod error;
mod input;
mod plugin;
mod request;

pub use plugin::plugin;
