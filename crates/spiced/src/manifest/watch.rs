//! Following the spicepod while the node runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use spicepod::{App, LoadError, ManifestText, SchedulerSettings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::adoption::{Adoption, ManifestFault};
use super::memory::{Memory, Occasion};
use super::shown::shown;
use super::{Manifest, parse};
use crate::faults::chain;
use crate::observers::{Observer, Rejected};

/// Looks at the spicepod every two seconds, and when SIGHUP asks for it.
pub(crate) struct ManifestWatch {
    manifest: Arc<Manifest>,
    /// Of the application in use.
    digest: String,
    /// What this node started with, as a scheduler.
    settings: SchedulerSettings,
    adoption: Adoption,
    observer: Arc<Observer>,
    memory: Memory,
}

type Looked = Result<Option<ManifestText>, ManifestFault>;

impl ManifestWatch {
    /// Follows `manifest`, which said what `app` is.
    pub(crate) fn new(
        manifest: Manifest,
        app: &App,
        adoption: Adoption,
        observer: Arc<Observer>,
    ) -> Self {
        Self {
            manifest: Arc::new(manifest),
            digest: app.digest().to_owned(),
            settings: app.scheduler().clone(),
            adoption,
            observer,
            memory: Memory::default(),
        }
    }

    /// Follows it in the background, until `shutdown`.
    pub(crate) fn start(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let hangups = signal(SignalKind::hangup()).context("SIGHUP cannot be handled")?;
        tokio::spawn(async move {
            tokio::select! {
                () = self.follow(hangups) => {}
                () = shutdown.cancelled() => {}
            }
        });
        Ok(())
    }

    async fn follow(mut self, mut hangups: Signal) {
        loop {
            let occasion = tokio::select! {
                Some(()) = hangups.recv() => Occasion::Asked,
                () = sleep(POLL_INTERVAL) => Occasion::Routine,
            };
            self.look(occasion).await;
        }
    }

    async fn look(&mut self, occasion: Occasion) {
        let asked = occasion == Occasion::Asked;
        let text = match self.settled().await {
            Ok(text) => text,
            Err(fault) => return self.reject(None, &fault, asked),
        };
        if text == self.manifest.in_use {
            return self.unchanged(asked);
        }
        if !asked && !self.memory.is_due(text.as_ref(), Instant::now()) {
            return;
        }
        if let Err(fault) = self.adopt(text.clone(), asked).await {
            self.reject(text, &fault, asked);
        }
    }

    async fn adopt(
        &mut self,
        text: Option<ManifestText>,
        asked: bool,
    ) -> Result<(), ManifestFault> {
        let app = self.parse(text.clone()).await?;
        if self.adoption.cluster.is_some() && *app.scheduler() != self.settings {
            tracing::warn!("runtime.scheduler has changed; it is used after a restart");
        }
        let same = app.digest() == self.digest;
        if !same {
            for warning in app.warnings() {
                tracing::warn!("{warning}");
            }
            let app = Arc::new(app);
            let changed = self.adoption.adopt(app.clone()).await?;
            app.digest().clone_into(&mut self.digest);
            self.memory.settle();
            self.observer.manifest_changed(&app, changed.as_ref());
        }
        self.manifest = Arc::new(Manifest {
            path: self.manifest.path.clone(),
            in_use: text,
        });
        if same {
            self.unchanged(asked);
        }
        Ok(())
    }

    fn reject(&mut self, text: Option<ManifestText>, fault: &ManifestFault, asked: bool) {
        let error = chain(fault);
        if self.memory.reject(text, &error, Instant::now()) || asked {
            let rejected = Rejected {
                code: fault.code(),
                reason: Some(shown(fault)),
            };
            self.observer.manifest_rejected(rejected, &error);
        }
    }

    /// News only if a fault has gone, or if somebody asked.
    fn unchanged(&mut self, asked: bool) {
        if self.memory.settle() {
            self.observer.manifest_good_again();
        } else if asked {
            self.observer.manifest_unchanged();
        }
    }

    /// What the spicepod says once it says the same twice. What is in use already, or was rejected a
    /// moment ago, needs no second look.
    async fn settled(&self) -> Looked {
        let mut last = self.read().await;
        for _ in 0..SETTLE_READS_MAX {
            if last
                .as_ref()
                .is_ok_and(|text| *text == self.manifest.in_use)
            {
                return last;
            }
            sleep(SETTLE_TIME).await;
            let next = self.read().await;
            match (&last, &next) {
                (Ok(one), Ok(other)) if one == other => return next,
                (Err(one), Err(other)) if one.code() == other.code() => return next,
                _ => last = next,
            }
        }
        let reads = SETTLE_READS_MAX;
        Err(ManifestFault::Unsettled { reads })
    }

    async fn read(&self) -> Looked {
        let manifest = self.manifest.clone();
        blocking(move || manifest.look()).await
    }

    async fn parse(&self, text: Option<ManifestText>) -> Result<App, ManifestFault> {
        blocking(move || parse(text.as_ref())).await
    }
}

/// Runs `work` on a thread that may block (I10). A panic goes on here; a runtime that shuts down
/// ends everything, and this is only one more thing that does not come back.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, ManifestFault> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(ManifestFault::Load),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await,
    }
}

/// As certificates are looked at: notifications can be lost, and mounted file systems send none.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A file that is written in one go is complete within this.
const SETTLE_TIME: Duration = Duration::from_millis(250);

/// One that has not stood still for five seconds is reported instead of being waited for.
const SETTLE_READS_MAX: usize = 20;
