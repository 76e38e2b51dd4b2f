//! Times as people and scripts read them.

use std::fmt;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Shows a time as RFC 3339 in UTC, in whole seconds: `2027-03-01T09:30:00Z`.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp(pub SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = offset_date_time(self.0).ok_or(fmt::Error)?;
        let text = moment.format(&Rfc3339).map_err(|_| fmt::Error)?;
        out.write_str(&text)
    }
}

/// The whole seconds of a time since 1970, which is all that X.509 can say of it.
pub(crate) fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The same time, or `None` beyond the year 9999. `From` would panic there.
pub(crate) fn offset_date_time(time: SystemTime) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(whole_seconds(time)).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn shows_whole_seconds_in_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(951_782_400, 999);
        assert_eq!(Timestamp(time).to_string(), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn knows_no_time_beyond_the_year_9999() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(300_000_000_000);
        assert_eq!(offset_date_time(far), None);
    }
}
