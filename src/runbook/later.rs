//! Keys of the language that this version does not carry out: said so, instead of "unknown".

pub(crate) const KEYS: &[&str] = &["locks"];
