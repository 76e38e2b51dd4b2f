use std::time::Duration;

/// Waits between attempts at a change that others came before: doubling, with jitter so that
/// those who collided do not collide again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// What a store over a network needs.
    pub(crate) const NETWORK: Self = Self {
        first: Duration::from_millis(20),
        cap: Duration::from_secs(1),
    };

    /// No wait at all, where the order of things is decided by somebody else.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        first: Duration::ZERO,
        cap: Duration::ZERO,
    };

    /// Waits after attempt number `attempt`, the first being 0.
    pub(crate) async fn wait(self, attempt: u32) {
        let wait = self.after(attempt);
        // A timer of nothing would still need somebody to run it.
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn after(self, attempt: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempt.min(MAX_DOUBLINGS));
        doubled.min(self.cap).mul_f64(rand::random_range(0.5..=1.0))
    }
}

const MAX_DOUBLINGS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap() {
        let backoff = Backoff::NETWORK;
        assert!(backoff.after(0) <= backoff.first);
        assert!(backoff.after(0) >= backoff.first / 2);
        for attempt in 0..100 {
            assert!(backoff.after(attempt) <= backoff.cap);
        }
        assert!(backoff.after(20) >= backoff.cap / 2);
        assert_eq!(Backoff::NONE.after(3), Duration::ZERO);
    }
}
