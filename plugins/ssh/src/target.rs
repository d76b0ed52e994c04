use std::path::PathBuf;
use std::time::Duration;

use dr_plugin::CallError;

/// Where a connection goes, with all that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// The host's name in messages.
    pub(crate) name: String,
    /// DNS name or IP address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// The name that the host's keys are filed under.
    pub(crate) key_name: String,
    pub(crate) known_hosts: Vec<PathBuf>,
    pub(crate) identities: Vec<PathBuf>,
    /// The identities were named, not guessed: they are tried before other keys of the agent.
    pub(crate) identities_named: bool,
    /// Hosts to go through, nearest first.
    pub(crate) jumps: Vec<Target>,
    pub(crate) connect_timeout: Duration,
    pub(crate) keepalive: Duration,
}

impl Target {
    /// `user@host:port` for people.
    pub(crate) fn place(&self) -> String {
        format!("{}@{}:{}", self.user, self.host, self.port)
    }
}

/// Refuses what could be taken for an option or would not arrive as it is written.
pub(crate) fn plain_word(what: &str, text: &str) -> Result<(), CallError> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\'' || c == '!';
    if text.is_empty() || text.starts_with('-') || text.ends_with('\\') || text.contains(odd) {
        return Err(CallError::permanent(
            "bad_input",
            format!("{what} `{}` is not acceptable", text.escape_debug()),
        )
        .with_help(
            "it must not be empty, begin with `-`, or hold blanks, quotes or control characters",
        ));
    }
    Ok(())
}

/// A duration such as `90s`, `1m30s`, `500ms`.
pub(crate) fn duration(what: &str, text: &str) -> Result<Duration, CallError> {
    let bad = || {
        CallError::permanent("bad_input", format!("`{what}`: `{text}` is not a duration"))
            .with_help("write it like `10s`, `1m30s` or `500ms`")
    };
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit = &rest[digits..];
        let (part, length) = if unit.starts_with("ms") {
            (Duration::from_millis(number), 2)
        } else if unit.starts_with('s') {
            (Duration::from_secs(number), 1)
        } else if unit.starts_with('m') {
            (Duration::from_secs(number.checked_mul(60).ok_or_else(bad)?), 1)
        } else if unit.starts_with('h') {
            (Duration::from_secs(number.checked_mul(3600).ok_or_else(bad)?), 1)
        } else {
            return Err(bad());
        };
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = unit[length..].trim_start();
    }
    if total.is_zero() { Err(bad()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_could_be_options_are_refused() {
        for bad in ["", "-oProxyCommand=x", "a b", "a\u{0}", "a\nb", "a'b", "a\\"] {
            assert!(plain_word("host", bad).is_err(), "{bad:?}");
        }
        for good in ["db1", "10.0.0.1", "fe80::1%eth0", "CORP\\deploy", "a-b_c.d"] {
            assert!(plain_word("host", good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h", 3_600_000),
            ("1m 5s", 65_000),
        ] {
            assert_eq!(duration("x", text).unwrap(), Duration::from_millis(ms));
        }
        for bad in ["", "10", "s", "10 parsecs", "-1s", "0s", "99999999999999999999s"] {
            assert!(duration("x", bad).is_err(), "{bad}");
        }
    }
}
