//! Codes of what planning can find wrong; each has a page in `docs/errors/`.

/// No environment of this name, or none was chosen.
pub const ENVIRONMENT: &str = "DR2001";
/// An input is missing.
pub const INPUT_MISSING: &str = "DR2002";
/// An input was given that the runbook does not ask for.
pub const INPUT_UNKNOWN: &str = "DR2003";
/// An input's value does not fit its type, its list or its pattern.
pub const INPUT_INVALID: &str = "DR2004";
/// A text or decision that must be known when planning cannot be evaluated.
pub const NOT_KNOWN: &str = "DR2005";
/// A host, plugin setting, value or secret does not resolve.
pub const UNRESOLVED: &str = "DR2006";
/// There is no such host, or the action wants one, or none.
pub const HOST: &str = "DR2007";
/// There is no such plugin or action.
pub const ACTION: &str = "DR2008";
/// A pool is unknown, or has a name of `dr`'s own.
pub const POOL: &str = "DR2009";
/// A step takes more than a whole pool.
pub const CAPACITY: &str = "DR2010";
/// `when` is neither true nor false.
pub const WHEN: &str = "DR2011";
/// A duration, expression or number does not read.
pub const UNREADABLE: &str = "DR2012";
/// A phase leaves out a gate, guard or point of no return that a step needs.
pub const GATE_LEFT_OUT: &str = "DR2013";
/// A step reads outputs of a step that the plan leaves out.
pub const OUTPUTS_LEFT_OUT: &str = "DR2014";
/// `--skip` or `--phase` names something that is not there.
pub const SELECTION: &str = "DR2015";
/// The runbook depends on the style, and none was given.
pub const STYLE: &str = "DR2016";
/// A drill in a protected environment, or cleanup of a live run.
pub const MODE: &str = "DR2017";
/// A validation uses an action that must not be repeated.
pub const VALIDATION: &str = "DR2018";
/// A tier does not exist.
pub const TIER: &str = "DR2019";

/// What a loop goes over cannot be told, is empty, or has an element twice.
pub const LOOP: &str = "DR2020";

/// Notice: a need on a step whose phase is not taken counts as met.
pub const NEED_NOT_TAKEN: &str = "DR2101";
/// Notice: a step is passed over by decision of a person.
pub const SKIPPED: &str = "DR2102";
/// Notice: no plan of these steps can meet the objective.
pub const IMPOSSIBLE: &str = "DR2103";
/// Notice: the prediction misses the objective.
pub const MISSED: &str = "DR2104";
/// Notice: durations are guesses.
pub const GUESSED: &str = "DR2105";
/// Notice: an included runbook has something of its own under a name that is taken.
pub const KEPT_APART: &str = "DR2106";
/// Notice: declared durations are not what past runs took.
pub const CONTRADICTED: &str = "DR2107";
