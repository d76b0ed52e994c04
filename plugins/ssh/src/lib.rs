//! The `ssh` plugin.
