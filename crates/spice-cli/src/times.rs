//! How long ago, how long still, and what deserves a warning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_pki::Timestamp;

/// When a certificate ends, for a person who reads this at `now`: `in 364 days`, and with a
/// mark before it where that is soon or over.
pub(crate) fn expiry(not_after_unix_s: u64, now: SystemTime) -> String {
    match remaining(not_after_unix_s, now) {
        Remaining::Long(left) => format!("in {}", span(left)),
        Remaining::Short(left) => format!("{MARK} in {}", span(left)),
        Remaining::Over(ago) => format!("{MARK} expired {} ago", span(ago)),
    }
}

/// The same as half a sentence with the date: `expires in 364 days (2027-03-01T09:30:00Z)`.
pub(crate) fn expires(not_after_unix_s: u64, now: SystemTime) -> String {
    // A server may say any number, and there are no dates beyond this one.
    let seconds = Duration::from_secs(not_after_unix_s.min(LAST_SECOND_OF_9999));
    let date = Timestamp(UNIX_EPOCH + seconds);
    match remaining(not_after_unix_s, now) {
        Remaining::Long(left) => format!("expires in {} ({date})", span(left)),
        Remaining::Short(left) => format!("{MARK} expires in {} ({date})", span(left)),
        Remaining::Over(ago) => format!("{MARK} expired {} ago ({date})", span(ago)),
    }
}

/// How long a certificate is valid still, in seconds.
enum Remaining {
    Long(u64),
    Short(u64),
    Over(u64),
}

fn remaining(not_after_unix_s: u64, now: SystemTime) -> Remaining {
    let now_unix_s = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    match not_after_unix_s.checked_sub(now_unix_s) {
        None => Remaining::Over(now_unix_s - not_after_unix_s),
        Some(left) if left < SOON.as_secs() => Remaining::Short(left),
        Some(left) => Remaining::Long(left),
    }
}

/// A span in its largest whole unit: `3 hours`.
pub(crate) fn span(seconds: u64) -> String {
    let (count, unit) = UNITS
        .into_iter()
        .map(|(length, unit)| (seconds / length, unit))
        .find(|(count, _)| *count > 0)
        .unwrap_or((0, "second"));
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// What a person should look at.
pub(crate) const MARK: char = '!';

/// Time enough for a renewal that has to be asked for.
const SOON: Duration = Duration::from_secs(30 * DAY_S);

const DAY_S: u64 = 24 * 60 * 60;

const UNITS: [(u64, &str); 4] = [
    (DAY_S, "day"),
    (60 * 60, "hour"),
    (60, "minute"),
    (1, "second"),
];

const LAST_SECOND_OF_9999: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: u64 = 1_800_000_000;

    fn told(not_after_unix_s: u64) -> String {
        expiry(not_after_unix_s, UNIX_EPOCH + Duration::from_secs(NOW_S))
    }

    #[test]
    fn what_expires_within_thirty_days_is_marked_and_the_rest_is_not() {
        assert_eq!(told(NOW_S + 364 * DAY_S + 3600), "in 364 days");
        assert_eq!(told(NOW_S + 30 * DAY_S), "in 30 days");
        assert_eq!(told(NOW_S + 30 * DAY_S - 1), "! in 29 days");
        assert_eq!(told(NOW_S), "! in 0 seconds");
        assert_eq!(told(NOW_S - 60), "! expired 1 minute ago");
        assert_eq!(told(0), "! expired 20833 days ago");
    }

    #[test]
    fn no_number_of_a_server_is_too_large() {
        let now = UNIX_EPOCH + Duration::from_secs(NOW_S);
        let text = expires(u64::MAX, now);
        assert!(text.ends_with("(9999-12-31T23:59:59Z)"), "{text}");
        let text = expires(NOW_S + 40 * DAY_S, now);
        assert_eq!(text, "expires in 40 days (2027-02-24T08:00:00Z)");
        assert!(expires(NOW_S, now).starts_with("! expires in 0 "));
        assert!(expires(NOW_S - 1, now).starts_with("! expired 1 second ago ("));
    }

    #[test]
    fn a_span_is_told_in_its_largest_unit() {
        assert_eq!(span(0), "0 seconds");
        assert_eq!(span(1), "1 second");
        assert_eq!(span(59), "59 seconds");
        assert_eq!(span(7199), "1 hour");
        assert_eq!(span(2 * DAY_S), "2 days");
    }
}
