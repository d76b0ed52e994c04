//! Names and identities. Every id is a newtype, so that a step cannot be taken for a service.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text that is already known to be well formed.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
    };
}

id! {
    /// Full id of a step in a plan: a path such as `promote`, `restart_web@web_1/stop` or
    /// `database!validation/1`.
    StepId
}
id! {
    /// Name of a service of the runbook.
    ServiceId
}
id! {
    /// One execution of one plan: `20261120T031207Z-shop_failover-4f3a`. Sorts by start.
    RunId
}
id! {
    /// `sha256:` and 64 hexadecimal digits.
    Digest
}
id! {
    /// One sealed plan: 16 hexadecimal digits.
    SealId
}
id! {
    /// One request of a person (an approval, a retry, a cancel): duplicates fall by it.
    RequestId
}

impl Digest {
    /// SHA-256 of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(bytes);
        digester.finish()
    }

    /// Its digits, without the name of the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.as_str().trim_start_matches("sha256:")
    }
}

/// Makes a [`Digest`] of what comes piece by piece.
#[derive(Clone)]
pub struct Digester(Context);

impl Default for Digester {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digester {
    /// Takes in what comes next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all of it.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in self.0.finish().as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        Digest::from(text)
    }
}

impl io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Words that YAML or the expression language reads as something else.
const RESERVED: [&str; 10] = ["true", "false", "null", "in", "on", "off", "yes", "no", "y", "n"];

/// Whether `text` may name a step, a service, a host or anything else that expressions read:
/// `[a-z][a-z0-9_]*`, and no word that YAML or CEL reads as something else.
///
/// # Errors
/// Why not, as a fragment that follows the quoted name.
pub fn check_name(text: &str) -> Result<(), &'static str> {
    let mut bytes = text.bytes();
    if !bytes.next().is_some_and(|first| first.is_ascii_lowercase()) {
        return Err("must begin with a lower-case letter");
    }
    if bytes.clone().any(|byte| byte == b'-') {
        return Err("must not contain a dash (it would read as a subtraction): use an underscore");
    }
    if !bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err("may contain only lower-case letters, digits and underscores");
    }
    if RESERVED.contains(&text) {
        return Err("is a reserved word");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "db_1", "standby_writable"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "1a", "_a", "a-b", "aB", "a.b", "yes", "null", "é"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
