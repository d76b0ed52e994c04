//! One rule a file, each a pure function of the plan's step and what is known.

pub(super) mod finish;
pub(super) mod gate;
pub(super) mod repeat;
pub(super) mod request;
pub(super) mod retry;
pub(super) mod spans;
pub(super) mod tally;
pub(super) mod unknown;
pub(super) mod verdict;
