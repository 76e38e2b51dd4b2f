//! A clock that the test moves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cluster_tls::Clock;

/// A clock that stands still until it is told otherwise; clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    /// A clock that shows `time`.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(time)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// Moves the clock to `time`, backwards too: clocks of machines do that.
    pub fn jump_to(&self, time: SystemTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn clones_show_the_same_time() {
        let clock = ManualClock::at(UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.now(), UNIX_EPOCH + Duration::from_secs(5));
        other.jump_to(UNIX_EPOCH);
        assert_eq!(clock.now(), UNIX_EPOCH);
    }
}
