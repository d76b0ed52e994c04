//! The closed vocabularies that runbooks, plans and events share.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every word, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word as it is written in runbooks, plans and events.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    format!("`{text}` is none of {}", all.join(", "))
                })
            }
        }
    };
}

words! {
    /// What a step is part of. Phases select steps; they do not order them.
    Phase {
        /// Makes what a recovery needs later.
        Backup = "backup",
        /// Moves a service to its standby.
        Failover = "failover",
        /// Brings data back.
        Restore = "restore",
        /// Proves that a service works.
        Validate = "validate",
        /// Moves a service home.
        Failback = "failback",
        /// Puts a drill's traces away.
        Cleanup = "cleanup",
    }
}

words! {
    /// How urgent a service is. The most urgent class comes first.
    Class {
        /// Numbers 1 to 25.
        Critical = "critical",
        /// Numbers 26 to 50.
        High = "high",
        /// Numbers 51 to 75.
        Medium = "medium",
        /// Numbers above 75; also steps that nothing urgent needs.
        Low = "low",
    }
}

words! {
    /// What a run is for.
    Mode {
        /// The real thing.
        Live = "live",
        /// A rehearsal on real systems in an environment of its own.
        Drill = "drill",
    }
}

words! {
    /// How the primary is left.
    Style {
        /// It answers: it is asked to stop.
        Graceful = "graceful",
        /// It is gone: nothing waits for it.
        Ungraceful = "ungraceful",
    }
}

words! {
    /// What a failed step does to the rest of the run.
    OnFailure {
        /// Nothing new of its service, and of what depends on that, is started; of the whole run,
        /// for a step without a service.
        Halt = "halt",
        /// Blocks only what needs it.
        Continue = "continue",
        /// Counts as succeeded, with a warning.
        Warn = "warn",
        /// Unwinds the innermost scope.
        Undo = "undo",
        /// Waits for a person; what does not depend on it goes on.
        Ask = "ask",
    }
}

words! {
    /// What a cancel does to what was done.
    OnCancel {
        /// It is taken back.
        Undo = "undo",
    }
}

words! {
    /// What happens when nobody can tell whether an attempt was applied.
    OnUnknown {
        /// A person is asked.
        Ask = "ask",
        /// It is run again.
        Retry = "retry",
        /// It counts as failed.
        Fail = "fail",
        /// It counts as done.
        Done = "done",
    }
}

words! {
    /// How much an expectation that does not hold matters.
    Severity {
        /// The step fails.
        Fail = "fail",
        /// The step is warned.
        Warn = "warn",
    }
}

words! {
    /// A simpler way to run the steps of a plan.
    Rival {
        /// Groups by depth with a barrier after each, as numbered recovery groups.
        Waves = "waves",
        /// A queue in the order in which steps become ready.
        Fifo = "fifo",
    }
}

words! {
    /// Type of an input.
    InputType {
        /// Any text.
        String = "string",
        /// A whole number.
        Integer = "integer",
        /// Any number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
        /// `90s`, `15m`, `1h30m`.
        Duration = "duration",
        /// RFC 3339.
        Timestamp = "timestamp",
        /// A list.
        List = "list",
        /// A map.
        Map = "map",
    }
}

impl Class {
    /// The class of a priority number.
    #[must_use]
    pub fn of_number(number: u32) -> Self {
        match number {
            0..=25 => Self::Critical,
            26..=50 => Self::High,
            51..=75 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// The number that orders a service which names only its class: the middle of its range.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Critical => 13,
            Self::High => 38,
            Self::Medium => 63,
            Self::Low => 88,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_serde_names_agree() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).expect("json"), phase.as_str());
            assert_eq!(phase.as_str().parse(), Ok(*phase));
        }
        assert!("Backup".parse::<Phase>().is_err());
        for class in Class::ALL {
            assert_eq!(Class::of_number(class.number()), *class);
        }
    }
}
