//! The `dr` program.

fn main() {}
