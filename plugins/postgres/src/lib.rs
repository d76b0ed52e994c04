//! The `postgres` plugin.
