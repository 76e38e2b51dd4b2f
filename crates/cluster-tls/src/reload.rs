//! Credentials that follow their source.

mod expiry;
mod memory;
#[cfg(feature = "notify")]
mod notify;
mod reader;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use self::expiry::ExpiryWatch;
use self::memory::{Memory, Occasion, Outcome};
use self::reader::{Reader, blocking};
use crate::clock::Clock;
use crate::credentials::{Credentials, CredentialsWriter, publish};
use crate::event::Events;
use crate::load::{
    CredentialBytes, CredentialFile, CredentialSource, LoadError, LoadFault, assemble, load_from,
};
use crate::policy::PeerPolicy;
use crate::snapshot::Snapshot;

#[cfg(feature = "notify")]
pub use self::notify::WatchedFiles;

/// Loads credentials and gives, beside them, what keeps them up to date.
///
/// This is the one call that a node needs: spawn [`Reloader::run`] and the credentials follow
/// their source. Reads the source: call it on a thread that may block.
///
/// # Errors
///
/// As [`load`](crate::load): the first load must succeed, for a node without an identity has
/// nothing to fall back on.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// use cluster_tls::{CredentialPaths, FileSource, NoEvents, PeerPolicy, SystemClock, open};
///
/// let source = FileSource::new(CredentialPaths {
///     ca: "ca.pem".into(),
///     certificate: "executor1.pem".into(),
///     key: "executor1-key.pem".into(),
/// });
/// let (credentials, reloader) = open(source, Arc::new(SystemClock), PeerPolicy::default())?;
/// let trigger = reloader.trigger();
/// tokio::spawn(reloader.run(Arc::new(NoEvents)));
/// // For example on SIGHUP:
/// trigger.reload();
/// # Ok(())
/// # }
/// ```
pub fn open<S: CredentialSource>(
    mut source: S,
    clock: Arc<dyn Clock>,
    policy: PeerPolicy,
) -> Result<(Credentials, Reloader), LoadError> {
    // Read once, so that what later looks are compared with is what was verified here.
    let bytes = source.read()?;
    let snapshot = load_from(&mut Arc::clone(&bytes), Arc::clone(&clock), policy.clone())
        .map_err(|error| error.located(&source))?;
    let (writer, credentials) = publish(snapshot);
    let reloader = Reloader {
        reader: Reader::new(source),
        writer,
        memory: Memory::new(bytes.digest()),
        in_use: bytes,
        expiry: ExpiryWatch::default(),
        rules: Rules { clock, policy },
        check: Arc::new(|_| Ok(())),
        timing: ReloadTiming::default(),
        asked: Arc::default(),
    };
    Ok((credentials, reloader))
}

/// When a source is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadTiming {
    /// Time between two looks, whether or not the source tells of changes; [`POLL_INTERVAL`] by
    /// default. Notifications can be lost, and mounted file systems send none.
    pub poll_interval: Duration,
    /// How long a changed source must stay as it is before it is believed; [`SETTLE_TIME`] by
    /// default. Certificate and key are written one after the other.
    pub settle_time: Duration,
}

impl Default for ReloadTiming {
    fn default() -> Self {
        Self {
            poll_interval: POLL_INTERVAL,
            settle_time: SETTLE_TIME,
        }
    }
}

/// A revoked peer is cut within this and a little more.
pub const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Longer than any tool takes between two files.
pub const SETTLE_TIME: Duration = Duration::from_millis(250);

/// Keeps credentials up to date with their source. Does nothing until it [runs](Self::run).
pub struct Reloader {
    reader: Reader,
    writer: CredentialsWriter,
    in_use: Arc<CredentialBytes>,
    memory: Memory,
    expiry: ExpiryWatch,
    rules: Rules,
    check: Arc<Check>,
    timing: ReloadTiming,
    asked: Arc<Notify>,
}

type Check = dyn Fn(&Snapshot) -> Result<(), String> + Send + Sync;

/// What credentials are verified by.
#[derive(Clone)]
struct Rules {
    clock: Arc<dyn Clock>,
    policy: PeerPolicy,
}

/// Asks a [`Reloader`] to look at its source now; cheap to clone.
#[derive(Clone, Debug)]
pub struct ReloadTrigger {
    asked: Arc<Notify>,
}

impl ReloadTrigger {
    /// Asks for a look now. Its outcome reaches the [`Events`] even when nothing has changed.
    pub fn reload(&self) {
        self.asked.notify_one();
    }
}

impl Reloader {
    /// Changes when the source is looked at.
    #[must_use]
    pub fn with_timing(self, timing: ReloadTiming) -> Self {
        Self { timing, ..self }
    }

    /// Adds what your program asks of its own certificate, for example that it carries the name
    /// under which this node is known: new credentials that `check` objects to are rejected with
    /// its words. It is not asked about those that are in use already.
    #[must_use]
    pub fn with_check(
        self,
        check: impl Fn(&Snapshot) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            check: Arc::new(check),
            ..self
        }
    }

    /// What asks for a reload, for example when a signal arrives.
    #[must_use]
    pub fn trigger(&self) -> ReloadTrigger {
        ReloadTrigger {
            asked: Arc::clone(&self.asked),
        }
    }

    /// Looks at the source until it is dropped, and tells `events` what came of it.
    ///
    /// A change is used only as a whole: it is read twice equal, verified exactly as at the start,
    /// and then swapped in. What cannot be used is reported once and changes nothing. Blocking
    /// reads and signature checks run on threads that may block.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops reloading; the last good credentials stay in use.
    pub async fn run(mut self, events: Arc<dyn Events>) {
        let mut occasion = Occasion::Routine;
        loop {
            for outcome in self.look(occasion).await {
                outcome.tell(events.as_ref());
            }
            let in_use = self.writer.current();
            for event in self.expiry.due(&in_use, self.rules.clock.now()) {
                events.expiring(&event);
            }
            occasion = tokio::select! {
                () = self.asked.notified() => Occasion::Asked,
                () = self.reader.changed() => {
                    // Whoever writes beside the files all the time must not keep us reading.
                    sleep(self.timing.settle_time).await;
                    Occasion::Routine
                }
                () = sleep(self.timing.poll_interval) => Occasion::Routine,
            };
        }
    }

    async fn look(&mut self, occasion: Occasion) -> Vec<Outcome> {
        let bytes = match self.settled().await {
            Ok(bytes) if self.memory.is_in_use(bytes.digest()) => {
                return vec![self.memory.found_unchanged(occasion)];
            }
            Ok(bytes) => bytes,
            Err(error) => return self.reject(error.others(), error, occasion).await,
        };
        let digest = bytes.digest();
        match self.verify(Arc::clone(&bytes)).await {
            Ok(snapshot) => vec![self.swap(bytes, snapshot)],
            Err(error) => {
                let error = self.reader.locate(error);
                self.reject(Some(digest), error, occasion).await
            }
        }
    }

    fn swap(&mut self, bytes: Arc<CredentialBytes>, snapshot: Snapshot) -> Outcome {
        self.memory.swapped(bytes.digest());
        self.in_use = bytes;
        self.expiry = ExpiryWatch::default();
        self.writer.swap(snapshot);
        Outcome::Swapped(self.writer.current())
    }

    /// What does not fit as a whole may still say who is no longer a member, and that does not wait
    /// until somebody has repaired the rest.
    async fn reject(
        &mut self,
        digest: Option<[u8; 32]>,
        error: LoadError,
        occasion: Occasion,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let first = self.reader.read_revocations().await;
        sleep(self.timing.settle_time).await;
        let settled = self.reader.read_revocations().await;
        if let Some(revocations) = settled.filter(|settled| first.as_ref() == Some(settled)) {
            let bytes = Arc::new(self.in_use.with_revocations(revocations));
            if !self.memory.is_in_use(bytes.digest())
                && let Ok(snapshot) = self.verify(Arc::clone(&bytes)).await
            {
                outcomes.push(self.swap(bytes, snapshot));
            }
        }
        outcomes.push(self.memory.rejected(digest, error, occasion));
        outcomes
    }

    /// What the source says once it says the same twice; what is in use already needs no second
    /// look.
    async fn settled(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        let mut last = self.reader.read().await;
        for _ in 0..SETTLE_READS_MAX {
            if last
                .as_ref()
                .is_ok_and(|bytes| self.memory.is_in_use(bytes.digest()))
            {
                return last;
            }
            sleep(self.timing.settle_time).await;
            let next = self.reader.read().await;
            if same(&last, &next) {
                return next;
            }
            last = next;
        }
        let fault = LoadFault::Unsettled {
            reads: SETTLE_READS_MAX,
        };
        Err(LoadError::new(CredentialFile::Certificate, fault))
    }

    /// Borrowed exclusively, because a source need not be `Sync`: with a shared borrow the future
    /// of [`run`](Self::run) could not be spawned.
    async fn verify(&mut self, bytes: Arc<CredentialBytes>) -> Result<Snapshot, LoadError> {
        let Rules { clock, policy } = self.rules.clone();
        let (check, current) = (Arc::clone(&self.check), self.writer.current());
        blocking(move || {
            let snapshot = assemble(&bytes, clock, policy)?;
            if let Some(list) = snapshot.rolled_back_from(&current) {
                let subject = list.issuer.clone();
                let fault = LoadFault::OlderList { subject };
                return Err(LoadError::new(CredentialFile::Crl, fault));
            }
            check(&snapshot)
                .map_err(LoadFault::Unfit)
                .map_err(|fault| LoadError::new(CredentialFile::Certificate, fault))?;
            Ok(snapshot)
        })
        .await
    }
}

impl Debug for Reloader {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// Whether two reads say the same, faults included: a file that is missing twice is missing.
fn same(
    one: &Result<Arc<CredentialBytes>, LoadError>,
    other: &Result<Arc<CredentialBytes>, LoadError>,
) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.digest() == other.digest(),
        (Err(one), Err(other)) => {
            let seen = |error: &LoadError| (error.file(), error.fault().code(), error.others());
            seen(one) == seen(other)
        }
        _ => false,
    }
}

/// A source that has not stood still for five seconds at the usual timing is reported instead of
/// being waited for.
const SETTLE_READS_MAX: usize = 20;
