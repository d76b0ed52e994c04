//! In which zone times are shown and read.

use jiff::tz::TimeZone;

/// The file that says it on systems of today, unless the environment does.
const FILE: &str = "/etc/localtime";

/// The zone of this machine.
///
/// To know it by name the library lists every zone that there is, which takes longer than planning a small
/// runbook does. Here a name is of no use: where a file says it, its content is enough.
#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
pub(super) fn local() -> TimeZone {
    let told = std::env::var_os("TZ").is_some();
    let rules = if told { None } else { std::fs::read(FILE).ok() };
    rules.and_then(|rules| TimeZone::tzif("local", &rules).ok()).unwrap_or_else(TimeZone::system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_zone_that_the_library_finds() {
        let (ours, theirs) = (local(), TimeZone::system());
        for moment in ["2026-01-20T03:00:00Z", "2026-07-20T03:00:00Z", "2060-07-20T03:00:00Z"] {
            let moment: jiff::Timestamp = moment.parse().expect("a moment");
            assert_eq!(ours.to_offset(moment), theirs.to_offset(moment), "{moment}");
        }
    }
}
