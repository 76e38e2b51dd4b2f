use std::time::Duration;

/// The times that follow from how long a member may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    ttl: Duration,
}

impl Times {
    pub(crate) fn of(ttl: Duration) -> Self {
        let ttl = ttl.clamp(MIN_MEMBER_TTL, MAX_MEMBER_TTL);
        Self { ttl }
    }

    /// Those of a member that wrote this into its entry.
    pub(crate) fn of_ms(ttl_ms: u64) -> Self {
        Self::of(Duration::from_millis(ttl_ms))
    }

    pub(crate) fn ttl(self) -> Duration {
        self.ttl
    }

    /// Between two heartbeats: two may be lost.
    pub(crate) fn heartbeat(self) -> Duration {
        self.ttl / 3
    }

    /// After a heartbeat that the store did not take.
    pub(crate) fn retry(self) -> Duration {
        self.heartbeat() / 4
    }

    /// Between two looks at the others.
    pub(crate) fn discovery(self) -> Duration {
        (self.ttl / 6).min(DISCOVERY)
    }

    /// How long two members may serve different applications before that is worth a warning: each
    /// looks at its own every two seconds, and takes its time to open it.
    pub(crate) fn drift(self) -> Duration {
        (self.heartbeat() * 2).min(DRIFT)
    }

    /// How long a member is silent at most when it leaves by itself, as others see it.
    pub(crate) fn pause(self) -> Duration {
        self.heartbeat() * 2
    }

    /// How long a member is silent before it is dead.
    pub(crate) fn silence(self) -> Duration {
        self.ttl + (self.ttl / 6).min(GRACE)
    }

    /// How long the store may take for one answer: no longer than until the next heartbeat.
    pub(crate) fn patience(self) -> Duration {
        self.heartbeat().min(PATIENCE)
    }
}

/// How long a scheduler may be silent before the others take it for dead, after a grace. Ten times
/// the pauses that a busy machine makes.
pub const DEFAULT_MEMBER_TTL: Duration = Duration::from_secs(30);

/// Below this, pauses of an ordinary machine look like death.
pub const MIN_MEMBER_TTL: Duration = Duration::from_secs(3);

/// Beyond this nobody would wait for a takeover; a bound against entries that say anything.
const MAX_MEMBER_TTL: Duration = Duration::from_secs(60 * 60);

/// A new scheduler is known to all within this.
const DISCOVERY: Duration = Duration::from_secs(5);

/// For a heartbeat that is under way, and for looking only every so often.
const GRACE: Duration = Duration::from_secs(5);

/// Beyond this one of them lacks something.
const DRIFT: Duration = Duration::from_secs(30);

/// A store that needs longer for a few hundred bytes is as good as down.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_the_design_and_short_ones_stay_within_twice_the_ttl() {
        let usual = Times::of(DEFAULT_MEMBER_TTL);
        assert_eq!(usual.heartbeat(), Duration::from_secs(10));
        assert_eq!(usual.discovery(), Duration::from_secs(5));
        assert_eq!(usual.silence(), Duration::from_secs(35));
        for seconds in [0, 3, 4, 10, 30, 60, 1_000_000] {
            let times = Times::of(Duration::from_secs(seconds));
            let noticed = times.heartbeat() + times.silence() + times.discovery();
            assert!(noticed < times.ttl() * 2, "{times:?}");
            // Who left is told from who was removed.
            assert!(times.heartbeat() + times.discovery() < times.pause());
            assert!(times.pause() < times.silence() - times.discovery() * 2);
            assert!(times.patience() <= times.heartbeat());
        }
    }
}
