//! How much strangers and members may cost a node.

use std::time::{Duration, SystemTime};

use crate::connections::Lifetime;
use crate::identity::PeerIdentity;

/// How much a node lets strangers cost it, and how long it talks to members.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cluster_tls::AcceptLimits;
///
/// let limits = AcceptLimits {
///     max_age: Duration::from_secs(15 * 60),
///     ..AcceptLimits::default()
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptLimits {
    /// From the TCP connection to the proven peer; [`HANDSHAKE_TIMEOUT`] by default.
    pub handshake_timeout: Duration,
    /// Handshakes computed at the same time; [`CONCURRENT_HANDSHAKES`] by default. More wait, and
    /// are dropped when their time is up.
    pub concurrent_handshakes: usize,
    /// The same for one source; [`HANDSHAKES_PER_SOURCE`] by default.
    pub handshakes_per_source: usize,
    /// Connections that have not proven anything yet, waiting ones included;
    /// [`PENDING_CONNECTIONS`] by default. For one more, one of the source that has
    /// most goes, a silent one first.
    pub pending_connections: usize,
    /// The same for one source; [`PENDING_PER_SOURCE`] by default. One more is dropped.
    pub pending_per_source: usize,
    /// Failed handshakes of one source that are forgiven at once; [`FAILURE_BURST`] by default.
    pub failure_burst: u32,
    /// Failed handshakes of one source that are forgiven each second after that;
    /// [`FAILURES_PER_SECOND`] by default. Above it connections are dropped unread.
    pub failures_per_second: u32,
    /// Live connections that one certificate may have; [`CONNECTIONS_PER_PEER`] by default.
    pub connections_per_peer: usize,
    /// The age at which a connection is closed, up to a tenth earlier by chance; [`MAX_AGE`] by
    /// default. Credentials and decisions of long ago do not live on in old connections.
    pub max_age: Duration,
    /// How long before that the peer is asked to finish; [`DRAIN_GRACE`] by default, and never
    /// more than a quarter of the age.
    pub drain_grace: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshake_timeout: HANDSHAKE_TIMEOUT,
            concurrent_handshakes: CONCURRENT_HANDSHAKES,
            handshakes_per_source: HANDSHAKES_PER_SOURCE,
            pending_connections: PENDING_CONNECTIONS,
            pending_per_source: PENDING_PER_SOURCE,
            failure_burst: FAILURE_BURST,
            failures_per_second: FAILURES_PER_SECOND,
            connections_per_peer: CONNECTIONS_PER_PEER,
            max_age: MAX_AGE,
            drain_grace: DRAIN_GRACE,
        }
    }
}

impl AcceptLimits {
    /// "No limit" is a natural thing to write, and more than clocks can add up.
    pub(crate) fn within_reason(self) -> Self {
        Self {
            handshake_timeout: self.handshake_timeout.min(FOR_EVER),
            max_age: self.max_age.min(FOR_EVER),
            drain_grace: self.drain_grace.min(FOR_EVER),
            ..self
        }
    }

    pub(crate) fn age(&self) -> AgeLimits {
        AgeLimits {
            max_age: self.max_age,
            drain_grace: self.drain_grace,
            connections_per_peer: self.connections_per_peer,
        }
    }
}

/// How long a connection may live, and how many a peer may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgeLimits {
    pub(crate) max_age: Duration,
    pub(crate) drain_grace: Duration,
    pub(crate) connections_per_peer: usize,
}

impl AgeLimits {
    /// The accepting side looks after the age. The dialling one cuts when the certificate of its
    /// peer ends.
    pub(crate) const DIALLED: Self = Self {
        max_age: FOR_EVER,
        drain_grace: Duration::ZERO,
        connections_per_peer: usize::MAX,
    };

    pub(crate) fn lifetime(&self, peer: &PeerIdentity, now: SystemTime) -> Lifetime {
        Lifetime::new(
            self.max_age,
            self.drain_grace,
            peer.not_after(),
            now,
            chance(),
        )
    }
}

/// Ten years: no process lives longer.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A number from 0 to 1. Nothing secret depends on it, so that a failing generator does no harm.
fn chance() -> f64 {
    let mut byte = [0];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    f64::from(byte[0]) / f64::from(u8::MAX)
}

/// A handshake takes milliseconds; ten seconds forgive a lost packet or two and a busy machine.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Enough for a whole cluster that reconnects at once, at a few milliseconds of CPU each.
pub const CONCURRENT_HANDSHAKES: usize = 64;

/// A quarter of all, so that it takes four sources to keep a fifth one waiting.
pub const HANDSHAKES_PER_SOURCE: usize = 16;

/// Silent connections cost a descriptor each, and a common limit on those is 1024.
pub const PENDING_CONNECTIONS: usize = 512;

/// Half of all: many nodes may share an address, and yet no address has all places.
pub const PENDING_PER_SOURCE: usize = 256;

/// A node that restarts with a wrong certificate fails a few times; a scanner fails hundreds.
pub const FAILURE_BURST: u32 = 64;

/// Below it, failures cost a few milliseconds of CPU a second.
pub const FAILURES_PER_SECOND: u32 = 8;

/// Nodes keep a few connections to each other for each task slot. A stolen key must not be able to
/// use up the descriptors of a node, of which there are often 1024: without one left, a node cannot
/// even read the file that denies the thief.
pub const CONNECTIONS_PER_PEER: usize = 256;

/// Long enough that reconnecting costs nothing, short enough that an old decision does not live
/// for a day.
pub const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Every call has at least this long. What outlives it is cut: those are the streams that would
/// never end by themselves.
pub const DRAIN_GRACE: Duration = Duration::from_secs(15 * 60);
