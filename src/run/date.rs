//! UTC dates and times.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time in UTC as RFC 3339, to the second: 2026-07-31T12:34:56Z. `None` before 1970.
///
/// ```
/// use cresset::run::date::second;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let time = UNIX_EPOCH + Duration::from_secs(1_709_251_199);
/// assert_eq!(second(time).as_deref(), Some("2024-02-29T23:59:59Z"));
/// ```
pub fn second(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    Some(format!("{}T{hours:02}:{minutes:02}:{:02}Z", day(time)?, seconds % 60))
}

/// The UTC date of a time: 2026-07-31. `None` before 1970.
pub(crate) fn day(time: SystemTime) -> Option<String> {
    let days = time.duration_since(UNIX_EPOCH).ok()?.as_secs() / 86_400;
    // Years start in March, so that the leap day is the last day; in cycles of 400 years, of which 1970-01-01 is day 719,468.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (400 * cycle + year, if month < 10 { month + 3 } else { month - 9 });
    Some(format!("{:04}-{month:02}-{day:02}", year + u64::from(month < 3)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_those_of_the_calendar() {
        // From `date -u -d DAY +%s`.
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_251_199, "2024-02-29"),
            (1_735_689_599, "2024-12-31"),
            (1_735_689_600, "2025-01-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(day(UNIX_EPOCH + Duration::from_secs(seconds)).as_deref(), Some(expected));
        }
        assert_eq!(day(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn seconds_are_those_of_the_clock() {
        let time = UNIX_EPOCH + Duration::from_millis(1_709_251_199_999);
        assert_eq!(second(time).as_deref(), Some("2024-02-29T23:59:59Z"));
        assert_eq!(second(UNIX_EPOCH).as_deref(), Some("1970-01-01T00:00:00Z"));
    }
}
