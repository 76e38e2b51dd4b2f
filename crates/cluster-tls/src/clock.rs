//! Where the time comes from: injected, so that validity is testable and one node has one clock.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

/// The clock that certificate validity is judged by.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
///
/// /// A clock that stands still.
/// #[derive(Debug)]
/// struct Noon;
///
/// impl cluster_tls::Clock for Noon {
///     fn now(&self) -> SystemTime {
///         UNIX_EPOCH + Duration::from_secs(1_800_000_000)
///     }
/// }
/// ```
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current wall time. It need not be monotonic.
    fn now(&self) -> SystemTime;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Shows our clock to rustls.
#[derive(Debug)]
pub(crate) struct RustlsClock(pub(crate) Arc<dyn Clock>);

impl TimeProvider for RustlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

/// A clock that stands before 1970 is read as 1970: every certificate is then "not yet valid",
/// which is the message its owner needs.
pub(crate) fn unix_time(at: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}
