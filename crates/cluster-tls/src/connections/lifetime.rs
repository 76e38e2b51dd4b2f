//! How long a connection lives: pure, from limits, clock and chance.

use std::time::{Duration, SystemTime};

/// When a connection is asked to drain and when it is closed, from its beginning on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) drain_after: Duration,
    pub(crate) close_after: Duration,
    pub(crate) end: End,
}

/// Which of the two limits comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    MaxAge,
    Expired,
}

impl Lifetime {
    /// Of a connection that begins at `now` with a peer whose certificate ends at `not_after`.
    ///
    /// `chance`, between 0 and 1, shortens the age by up to a tenth, so that connections made
    /// together do not all end together.
    pub(crate) fn new(
        max_age: Duration,
        grace: Duration,
        not_after: SystemTime,
        now: SystemTime,
        chance: f64,
    ) -> Self {
        let jittered = max_age.mul_f64(1.0 - chance.clamp(0.0, 1.0) * JITTER_SHARE);
        let valid_for = not_after.duration_since(now).unwrap_or_default();
        let (close_after, end) = if valid_for < jittered {
            (valid_for, End::Expired)
        } else {
            (jittered, End::MaxAge)
        };
        // A short life is not all grace.
        let grace = grace.min(close_after / GRACE_DIVISOR);
        Self {
            drain_after: close_after - grace,
            close_after,
            end,
        }
    }
}

const JITTER_SHARE: f64 = 0.1;
const GRACE_DIVISOR: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn lifetime(valid_for: Duration, chance: f64) -> Lifetime {
        let now = SystemTime::UNIX_EPOCH + HOUR;
        Lifetime::new(HOUR, 5 * MINUTE, now + valid_for, now, chance)
    }

    #[test]
    fn the_age_ends_it_with_a_grace_before() {
        let life = lifetime(24 * HOUR, 0.0);
        assert_eq!(life.close_after, HOUR);
        assert_eq!(life.drain_after, 55 * MINUTE);
        assert_eq!(life.end, End::MaxAge);
    }

    #[test]
    fn chance_shortens_it_by_a_tenth_at_most() {
        assert_eq!(lifetime(24 * HOUR, 1.0).close_after, 54 * MINUTE);
        assert_eq!(lifetime(24 * HOUR, 7.0).close_after, 54 * MINUTE);
    }

    #[test]
    fn the_certificate_ends_it_earlier() {
        let life = lifetime(8 * MINUTE, 0.5);
        assert_eq!(life.close_after, 8 * MINUTE);
        assert_eq!(life.drain_after, 6 * MINUTE);
        assert_eq!(life.end, End::Expired);
    }

    #[test]
    fn a_certificate_that_has_ended_leaves_nothing() {
        let now = SystemTime::UNIX_EPOCH + HOUR;
        let life = Lifetime::new(HOUR, MINUTE, now - MINUTE, now, 0.0);
        assert_eq!(life.close_after, Duration::ZERO);
    }
}
