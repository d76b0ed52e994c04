//! The `ec2` plugin: instances, snapshots, images, volumes and addresses.

mod address;
mod image;
mod input;
mod instance;
mod launch;
mod output;
mod plugin;
mod power;
mod selector;
mod snapshot;
mod volume;

pub use plugin::plugin;
