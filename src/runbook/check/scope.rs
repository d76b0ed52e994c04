/// Which names a place may read.
pub(super) struct Scope {
    /// The roots that exist there.
    pub(super) roots: &'static [&'static str],
    /// Where it is, for messages: `a host`.
    pub(super) place: &'static str,
}

/// Every root of the language.
pub(super) const ROOTS: &[&str] = &[
    "run",
    "values",
    "inputs",
    "hosts",
    "host",
    "secrets",
    "steps",
    "result",
    "outputs",
    "error",
    "iteration",
    "previous",
];

impl Scope {
    pub(super) const VALUE: Self = Self { roots: &[], place: "a constant" };
    pub(super) const HOST: Self = Self { roots: &["values", "inputs"], place: "a host" };
    pub(super) const SETTING: Self =
        Self { roots: &["values", "inputs", "secrets"], place: "a plugin's settings" };
    pub(super) const PLAN: Self =
        Self { roots: &["run", "values", "inputs"], place: "the name of a host" };
    pub(super) const WITH: Self = Self {
        roots: &["run", "values", "inputs", "hosts", "host", "secrets", "steps"],
        place: "an action's arguments",
    };
    pub(super) const QUESTION: Self =
        Self { roots: &["run", "values", "inputs", "hosts", "host", "steps"], place: "a question" };
    pub(super) const WHEN: Self =
        Self { roots: &["run", "values", "inputs", "hosts", "host", "steps"], place: "`when`" };
    /// Of a step that calls an action.
    pub(super) const AFTER_ACTION: Self = Self {
        roots: &["run", "values", "inputs", "hosts", "host", "steps", "result", "outputs"],
        place: "what follows the action",
    };
    /// Of a step that calls none.
    pub(super) const WITHOUT_ACTION: Self = Self {
        roots: &["run", "values", "inputs", "hosts", "host", "steps", "outputs"],
        place: "a step that calls no action",
    };
    pub(super) const UNTIL: Self = Self {
        roots: &[
            "run",
            "values",
            "inputs",
            "hosts",
            "host",
            "steps",
            "result",
            "outputs",
            "iteration",
            "previous",
        ],
        place: "`until`",
    };
    pub(super) const TOLERATE: Self = Self {
        roots: &[
            "run",
            "values",
            "inputs",
            "hosts",
            "host",
            "steps",
            "error",
            "iteration",
            "previous",
        ],
        place: "`tolerate`",
    };
    pub(super) const RETRY: Self = Self {
        roots: &["run", "values", "inputs", "hosts", "host", "steps", "error"],
        place: "`retry.when`",
    };
    pub(super) const CHECK: Self = Self {
        roots: &["run", "values", "inputs", "hosts", "host", "steps", "result"],
        place: "a check",
    };
}
