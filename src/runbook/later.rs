//! Keys of the language that this version does not carry out: said so, instead of "unknown".

pub(crate) const KEYS: &[&str] = &[
    "allow_empty",
    "expect_error",
    "field",
    "for_each",
    "from",
    "incident",
    "inputs",
    "locks",
    "max_failures",
    "max_parallel",
    "prompt",
    "remind",
    "secret",
    "sleep",
    "spans",
    "steps",
];
