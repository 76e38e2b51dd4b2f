//! A node whose credentials follow their source.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cluster_tls::{
    AcceptLimits, Acceptor, Clock, CredentialBytes, CredentialFile, CredentialSource, Credentials,
    DialLimits, Dialer, Events, LoadError, PeerPolicy, ReloadTiming, ReloadTrigger,
    RevocationBytes, open,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::observed::{Observed, Told, next, observer, within};
use crate::pki::Mid2024;

/// Looks often enough that a test need not wait, and lets files settle long enough that a writer
/// that is interrupted between two files is not taken for a fault.
pub(crate) const BRISK: ReloadTiming = ReloadTiming {
    poll_interval: Duration::from_millis(5),
    settle_time: Duration::from_millis(50),
};

/// A node that reloads until it is dropped.
pub(crate) struct Following {
    pub(crate) credentials: Credentials,
    pub(crate) trigger: ReloadTrigger,
    pub(crate) events: Arc<dyn Events>,
    pub(crate) observed: Observed,
    reads: watch::Receiver<u64>,
    _reloading: JoinSet<()>,
}

/// Follows `source` by the clock of mid 2024.
pub(crate) fn follow(source: impl CredentialSource, timing: ReloadTiming) -> Following {
    follow_by(source, timing, Arc::new(Mid2024))
}

pub(crate) fn follow_by(
    source: impl CredentialSource,
    timing: ReloadTiming,
    clock: Arc<dyn Clock>,
) -> Following {
    let (counter, reads) = watch::channel(0);
    let counted = Counted { source, counter };
    let (credentials, reloader) = open(counted, clock, PeerPolicy::default()).unwrap();
    let reloader = reloader.with_timing(timing);
    let (events, observed) = observer();
    let trigger = reloader.trigger();
    let mut reloading = JoinSet::new();
    reloading.spawn(reloader.run(Arc::clone(&events)));
    Following {
        credentials,
        trigger,
        events,
        observed,
        reads,
        _reloading: reloading,
    }
}

impl Following {
    /// The next thing told about reloading.
    pub(crate) async fn told(&mut self) -> Told {
        next(&mut self.observed.reloads).await
    }

    /// The generation of the next swap. Faults on the way there do not count: two files are never
    /// written at once.
    pub(crate) async fn swapped(&mut self) -> u64 {
        loop {
            if let Told::Swapped(generation) = self.told().await {
                return generation;
            }
        }
    }

    /// Ends when the source has been looked at several more times, from beginning to end.
    pub(crate) async fn looks_again(&mut self) {
        // A look reads at most twice here; the last one may still be under way.
        let enough = *self.reads.borrow() + 10;
        let read = within(self.reads.wait_for(|reads| *reads >= enough)).await;
        assert!(read.is_ok());
    }

    pub(crate) fn generation(&self) -> u64 {
        self.credentials.current().generation()
    }

    /// The identity that the node shows now.
    pub(crate) fn uri(&self) -> String {
        let current = self.credentials.current();
        current.own().uri().unwrap_or_default().to_owned()
    }

    /// What accepts for this node and tells the same observer.
    pub(crate) fn acceptor(&self, limits: AcceptLimits) -> Acceptor {
        Acceptor::new(self.credentials.clone(), limits, Arc::clone(&self.events))
    }

    /// What dials for this node and tells the same observer.
    pub(crate) fn dialer(&self) -> Dialer {
        let events = Arc::clone(&self.events);
        Dialer::new(self.credentials.clone(), DialLimits::default(), events)
    }
}

/// A source that counts how often it is read.
struct Counted<S> {
    source: S,
    counter: watch::Sender<u64>,
}

impl<S: CredentialSource> CredentialSource for Counted<S> {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        let read = self.source.read();
        self.counter.send_modify(|reads| *reads += 1);
        read
    }

    fn read_revocations(&mut self) -> Option<RevocationBytes> {
        self.source.read_revocations()
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.source.changed()
    }

    fn path(&self, file: CredentialFile) -> Option<&Path> {
        self.source.path(file)
    }
}
