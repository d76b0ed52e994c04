//! Every code of the language, in one place; `docs/errors/` has a page for each. DR10 is about the
//! file and its form, DR11 names, DR12 order, DR13 actions, DR14 text and decisions, DR15 values,
//! DR19 warnings.

/// Declares the codes as constants and as a list.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*

        /// Every code with its title, in order.
        pub const ALL: &[(&str, &str)] = &[$(($code, $title),)*];
    };
}

codes! {
    /// The file cannot be read, or is no text.
    UNREADABLE = "DR1001", "the runbook cannot be read";
    /// Too large, too deep, or it multiplies itself.
    TOO_LARGE = "DR1002", "the runbook is beyond what is read";
    /// Not YAML.
    SYNTAX = "DR1003", "not valid YAML";
    /// `{{` where YAML reads a map.
    BARE_TEMPLATE = "DR1004", "`{{` without quotes";
    /// A tag that means nothing here.
    UNKNOWN_TAG = "DR1005", "unknown tag";
    /// The same key twice in one map.
    DUPLICATE_KEY = "DR1006", "the same key twice";
    /// A key that the language does not have.
    UNKNOWN_KEY = "DR1007", "unknown key";
    /// A key that must be there is not.
    MISSING_KEY = "DR1008", "a key is missing";
    /// `key:` and nothing after it.
    EMPTY_KEY = "DR1009", "a key without a value";
    /// A list where a text is expected, and the like.
    WRONG_TYPE = "DR1010", "a value of the wrong kind";
    /// A word that is none of a fixed set.
    UNKNOWN_WORD = "DR1011", "not one of the possible words";
    /// A name that expressions could not read.
    BAD_NAME = "DR1101", "not a name";
    /// Two steps with one id.
    DUPLICATE_ID = "DR1102", "two steps have the same id";
    /// A tier that is not in `tiers`.
    UNKNOWN_TIER = "DR1103", "unknown tier";
    /// A host that is not in `hosts`.
    UNKNOWN_HOST = "DR1104", "unknown host";
    /// A pool that is not in `pools`.
    UNKNOWN_POOL = "DR1105", "unknown pool";
    /// `needs` or `after` names no step.
    UNKNOWN_STEP = "DR1201", "unknown step";
    /// `service` or `depends_on` names no service.
    UNKNOWN_SERVICE = "DR1202", "unknown service";
    /// Steps wait for each other.
    CYCLE = "DR1203", "steps wait for each other";
    /// Services depend on each other.
    SERVICE_CYCLE = "DR1204", "services depend on each other";
    /// `closes` with keys that it cannot have, or of what cannot be closed.
    CLOSING = "DR1205", "a closing step that cannot close";
    /// A plugin that is not installed.
    UNKNOWN_PLUGIN = "DR1301", "unknown plugin";
    /// An action that the plugin does not have.
    UNKNOWN_ACTION = "DR1302", "unknown action";
    /// `with` against the action's schema.
    BAD_ARGUMENT = "DR1303", "an argument does not fit the action";
    /// `host` on an action without one, or none on one that needs it.
    HOST_MISMATCH = "DR1304", "a host is missing or not wanted";
    /// Settings of a plugin against its schema.
    BAD_SETTINGS = "DR1305", "a setting does not fit the plugin";
    /// Keys of a step that do not go together, or a step that does nothing.
    STEP_SHAPE = "DR1306", "a step that cannot be carried out";
    /// `effect: checkable` and nothing that checks.
    CHECKABLE_WITHOUT_CHECK = "DR1307", "checkable without a check";
    /// `repeat` or a validation on what changes things.
    NOT_PURE = "DR1308", "it changes things where only reading is allowed";
    /// A template inside a script.
    TEXT_IN_SCRIPT = "DR1309", "text pasted into a script";
    /// A secret where other processes can read it.
    SECRET_IN_ARGV = "DR1310", "a secret on a command line";
    /// `undo` of what cannot be undone, or that does nothing.
    UNDO_SHAPE = "DR1311", "an undo that cannot be carried out";
    /// A loop whose elements cannot be used.
    LOOP_ITEMS = "DR1312", "a loop whose elements cannot be used";
    /// A path that leads to no runbook that could be included, or inputs that it does not take.
    INCLUDE = "DR1313", "a runbook that cannot be included";
    /// A template that cannot be read.
    BAD_TEXT = "DR1401", "a text cannot be read";
    /// An expression that cannot be read.
    BAD_DECISION = "DR1402", "an expression cannot be read";
    /// A name that does not exist.
    UNKNOWN_NAME = "DR1403", "unknown name";
    /// A name that exists, but not there.
    NAME_NOT_HERE = "DR1404", "a name that is not available here";
    /// It reads a step that it does not wait for.
    NOT_AN_ANCESTOR = "DR1405", "it reads a step that it does not wait for";
    /// It reads an output that the step does not declare.
    UNKNOWN_OUTPUT = "DR1406", "it reads an output that is not declared";
    /// It reads outputs of a step that may be skipped.
    OUTPUT_OF_SKIPPABLE = "DR1407", "it reads an output that may not exist";
    /// Not a duration.
    BAD_DURATION = "DR1501", "not a duration";
    /// A number outside its range.
    OUT_OF_RANGE = "DR1502", "a number outside its range";
    /// Default, choices or pattern of an input.
    BAD_INPUT = "DR1503", "an input contradicts itself";
    /// A secret source with no key or several.
    SECRET_SOURCE = "DR1504", "not one source of a secret";
    /// Environments that contradict each other.
    ENVIRONMENTS = "DR1505", "environments that contradict each other";
    /// An environment overrides what does not exist.
    UNKNOWN_OVERRIDE = "DR1506", "an environment overrides what does not exist";
    /// A validation that proves nothing.
    NO_CHECKS = "DR1507", "a validation without checks";
    /// The end of a span does not come after its beginning.
    BAD_SPAN = "DR1508", "a span that may end before it begins";
    /// A key of a gate that nobody could sign with.
    BAD_KEY = "DR1509", "not a public key";
    /// A protected and an unprotected environment act on one host.
    SHARED_HOST = "DR1901", "a drill could reach a protected host";
    /// It changes things and names nothing that it waits for.
    STARTS_AT_ONCE = "DR1902", "a step that changes things starts at once";
    /// An RTO without anything that proves the recovery.
    RTO_WITHOUT_VALIDATION = "DR1903", "an objective without a proof";
    /// After a crash only a person could tell what became of it.
    ONCE_WITHOUT_CHECK = "DR1904", "nobody could tell whether it was done";
    /// It could hang for ever.
    NO_TIMEOUT = "DR1905", "a remote action without a time limit";
    /// It cannot be taken back, and nobody is asked.
    NO_GATE = "DR1906", "no way back, and nobody is asked";
    /// A check tells that it was done, but not what the outputs need.
    CHECK_WITHOUT_RESULT = "DR1907", "a check cannot give what the outputs need";
    /// Whatever was started is taken back, perhaps twice.
    UNDO_NOT_REPEATABLE = "DR1908", "an undo that must not be repeated";
    /// `undo` as a policy, and nothing says how.
    NOTHING_TO_UNDO = "DR1909", "nothing says how to undo";
    /// A closing step that waits for nothing but what it closes.
    CLOSES_AT_ONCE = "DR1910", "a closing step that closes at once";
    /// An RPO without anything that measures the loss.
    RPO_WITHOUT_RECOVERY_POINT = "DR1911", "an objective that nothing measures";
    /// The runbook's own estimates are longer than the objective.
    RTO_BELOW_PATH = "DR1915", "an objective shorter than its own steps";
}

/// Title of a code.
#[must_use]
pub fn title(code: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| *known == code).map(|(_, title)| *title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ordered_and_distinct() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(title(CYCLE), Some("steps wait for each other"));
    }
}
