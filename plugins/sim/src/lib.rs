//! The `sim` plugin.
