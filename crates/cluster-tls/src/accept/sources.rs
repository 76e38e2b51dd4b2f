//! What one source address may cost.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::AcceptLimits;
use crate::event::DropReason;

/// The sources that have something under way, or failed lately.
pub(super) struct Sources {
    limits: AcceptLimits,
    table: Mutex<HashMap<Source, State>>,
}

/// Whose connections are counted together: an IPv4 address, or the /64 network that is the least
/// anybody on IPv6 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4([u8; 4]),
    V6Network([u8; 8]),
    /// Everybody who came when the table was full.
    Others,
}

struct State {
    pending: usize,
    slots: Arc<Semaphore>,
    failures: Bucket,
}

impl Sources {
    pub(super) fn new(limits: AcceptLimits) -> Self {
        Self {
            limits,
            table: Mutex::default(),
        }
    }

    /// Lets a connection begin, or says what there is too much of.
    pub(super) fn admit(
        self: &Arc<Self>,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<Ticket, DropReason> {
        let mut table = self.lock();
        let mut source = Source::of(remote.ip());
        if !table.contains_key(&source) && table.len() >= SOURCES_MAX {
            table.retain(|_, state| state.pending > 0 || !self.forgets(state, now));
            if table.len() >= SOURCES_MAX {
                source = Source::Others;
            }
        }
        let limits = &self.limits;
        let state = table.entry(source).or_insert_with(|| State {
            pending: 0,
            slots: Arc::new(Semaphore::new(limits.handshakes_per_source.max(1))),
            failures: Bucket::full(limits, now),
        });
        if !state.failures.has_any(limits, now) {
            return Err(DropReason::FailureRate);
        }
        if state.pending >= limits.pending_per_source.max(1) {
            return Err(DropReason::SourcePending);
        }
        state.pending += 1;
        Ok(Ticket {
            sources: Arc::clone(self),
            slots: Arc::clone(&state.slots),
            source,
            remote,
        })
    }

    /// Counts a failure against the source of a connection that is no more.
    pub(super) fn failed(&self, remote: SocketAddr, now: Instant) {
        if let Some(state) = self.lock().get_mut(&Source::of(remote.ip())) {
            state.failures.take(&self.limits, now);
        }
    }

    /// Nothing is lost when a source is forgotten that has all of its forgiveness back.
    fn forgets(&self, state: &State, now: Instant) -> bool {
        let mut failures = state.failures;
        failures.refill(&self.limits, now);
        failures.tokens >= f64::from(self.limits.failure_burst)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Source, State>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6Network(network(address)),
        }
    }
}

fn network(address: Ipv6Addr) -> [u8; 8] {
    let mut network = [0; 8];
    network.copy_from_slice(&address.octets()[..8]);
    network
}

/// A connection that has begun; it stops counting when this is dropped.
pub(super) struct Ticket {
    sources: Arc<Sources>,
    slots: Arc<Semaphore>,
    source: Source,
    remote: SocketAddr,
}

impl Ticket {
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// One of the source's handshake slots; `None` only when the semaphore is closed, which
    /// nobody does.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_owned().await.ok()
    }

    /// Counts a failed handshake against the source.
    pub(super) fn failed(&self, now: Instant) {
        if let Some(state) = self.sources.lock().get_mut(&self.source) {
            state.failures.take(&self.sources.limits, now);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(state) = self.sources.lock().get_mut(&self.source) {
            state.pending = state.pending.saturating_sub(1);
        }
    }
}

/// A token bucket: failures take from it, time fills it.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(limits: &AcceptLimits, now: Instant) -> Self {
        Self {
            tokens: f64::from(limits.failure_burst),
            at: now,
        }
    }

    fn refill(&mut self, limits: &AcceptLimits, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        let filled = self.tokens + elapsed * f64::from(limits.failures_per_second);
        self.tokens = filled.min(f64::from(limits.failure_burst));
        self.at = now;
    }

    fn has_any(&mut self, limits: &AcceptLimits, now: Instant) -> bool {
        self.refill(limits, now);
        self.tokens >= 1.0
    }

    fn take(&mut self, limits: &AcceptLimits, now: Instant) {
        self.refill(limits, now);
        self.tokens = (self.tokens - 1.0).max(0.0);
    }
}

/// At some hundred bytes each, a flood of sources costs less than a megabyte.
const SOURCES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sources() -> Arc<Sources> {
        Arc::new(Sources::new(AcceptLimits {
            pending_per_source: 2,
            failure_burst: 3,
            failures_per_second: 1,
            ..AcceptLimits::default()
        }))
    }

    fn remote(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    #[test]
    fn one_source_has_its_places_and_no_more() {
        let (sources, now) = (sources(), Instant::now());
        let first = sources.admit(remote("10.0.0.1"), now).unwrap();
        let _second = sources.admit(remote("10.0.0.1"), now).unwrap();
        let third = sources.admit(remote("10.0.0.1"), now);
        assert_eq!(third.err(), Some(DropReason::SourcePending));
        assert!(sources.admit(remote("10.0.0.2"), now).is_ok());
        drop(first);
        assert!(sources.admit(remote("10.0.0.1"), now).is_ok());
    }

    #[test]
    fn failures_are_forgiven_up_to_a_burst_and_then_by_the_second() {
        let (sources, now) = (sources(), Instant::now());
        for _ in 0..3 {
            sources.admit(remote("10.0.0.1"), now).unwrap().failed(now);
        }
        let fourth = sources.admit(remote("10.0.0.1"), now);
        assert_eq!(fourth.err(), Some(DropReason::FailureRate));
        assert!(sources.admit(remote("10.0.0.2"), now).is_ok());
        let later = now + Duration::from_secs(1);
        assert!(sources.admit(remote("10.0.0.1"), later).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_mapped_addresses_are_ipv4() {
        let same = |one: &str, other: &str| {
            Source::of(one.parse().unwrap()) == Source::of(other.parse().unwrap())
        };
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:10.0.0.1", "10.0.0.1"));
    }

    #[test]
    fn a_flood_of_sources_shares_one_place_and_does_not_grow_the_table() {
        let (sources, now) = (sources(), Instant::now());
        for number in 0..10_000_u32 {
            let ip = IpAddr::from(number.to_be_bytes());
            if let Ok(ticket) = sources.admit(SocketAddr::new(ip, 1), now) {
                ticket.failed(now);
            }
        }
        assert!(sources.lock().len() <= SOURCES_MAX + 1);
        // What failed long ago is forgotten, and newcomers have a place of their own again.
        let later = now + Duration::from_secs(60);
        assert!(sources.admit(remote("192.0.2.1"), later).is_ok());
        assert!(sources.lock().len() < 10);
    }
}
