//! Moments as people give them on the command line.

use jiff::{SignedDuration, civil, tz::TimeZone};

use crate::time::{Millis, Timestamp};

/// Reads `2026-11-20T03:12:00Z`, `14:05` (the last time the local clock showed that) or `-25m`.
///
/// # Errors
/// What cannot be read, and the future.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let moment = if let Some(ago) = text.strip_prefix('-') {
        let Millis(ago) = ago.parse()?;
        now - SignedDuration::from_millis(ago as i64)
    } else if let Ok(time) = civil::Time::strptime("%H:%M", text) {
        last(time, now, zone)?
    } else if let Ok(time) = civil::Time::strptime("%H:%M:%S", text) {
        last(time, now, zone)?
    } else {
        text.parse::<Timestamp>().map_err(|_| {
            format!("`{text}` is not a time: write `14:05`, `-25m` or `2026-11-20T03:12:00Z`")
        })?
    };
    if moment > now {
        return Err(format!("`{text}` is in the future"));
    }
    Ok(moment)
}

fn last(time: civil::Time, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let today = now.to_zoned(zone.clone()).date();
    let at = |date: civil::Date| {
        zone.to_timestamp(date.to_datetime(time)).map_err(|error| error.to_string())
    };
    let candidate = at(today)?;
    if candidate <= now {
        Ok(candidate)
    } else {
        at(today.saturating_sub(jiff::Span::new().days(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now: Timestamp = "2026-11-20T14:30:00Z".parse().expect("a timestamp");
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let read = |text: &str| parse(text, now, &zone).map(|moment| moment.to_string());
        assert_eq!(read("-25m"), Ok("2026-11-20T14:05:00Z".into()));
        assert_eq!(read("15:05"), Ok("2026-11-20T14:05:00Z".into()));
        assert_eq!(read("15:31"), Ok("2026-11-19T14:31:00Z".into()), "yesterday");
        assert_eq!(read("2026-11-20T15:00:00+01:00"), Ok("2026-11-20T14:00:00Z".into()));
        assert_eq!(
            read("2026-11-20T15:00:00Z"),
            Err("`2026-11-20T15:00:00Z` is in the future".into())
        );
        assert!(read("25:00").is_err());
        assert!(read("-5").is_err());
    }
}
