//! Following the spicepod while the node runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use spicepod::{App, ManifestText, SchedulerSettings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::adoption::{Adoption, ManifestFault};
use super::memory::{Memory, Occasion};
use super::reading::{Reading, blocking};
use super::shown::shown;
use super::stillness::Stillness;
use super::{Look, Manifest, parse};
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
    reading: Reading<Look>,
    stillness: Stillness,
}

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
            reading: Reading::within(READ_LIMIT),
            stillness: Stillness::default(),
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

    /// What the spicepod says once it stands still. What is in use already needs no second look.
    async fn settled(&mut self) -> Result<Option<ManifestText>, ManifestFault> {
        let mut last = self.read().await;
        for _ in 0..SETTLE_READS_MAX {
            match &last {
                Ok(look) if self.is_settled(look) => return last.map(|look| look.text),
                // What does not answer within its limit is not waited for again.
                Err(ManifestFault::Silent { .. }) => return last.map(|look| look.text),
                Ok(_) | Err(_) => {}
            }
            sleep(SETTLE_TIME).await;
            let next = self.read().await;
            match (&last, &next) {
                (Err(one), Err(other)) if one.code() == other.code() => {
                    self.stillness.settle(None);
                    return next.map(|look| look.text);
                }
                _ => last = next,
            }
        }
        let reads = SETTLE_READS_MAX;
        Err(ManifestFault::Unsettled { reads })
    }

    fn is_settled(&mut self, look: &Look) -> bool {
        let is_still = match look.stamp {
            Some(stamp) => self.stillness.note(stamp, Instant::now()),
            None => look.text.is_none(),
        };
        let settled = is_still || look.text == self.manifest.in_use;
        if settled {
            self.stillness.settle(look.stamp);
        }
        settled
    }

    async fn read(&mut self) -> Result<Look, ManifestFault> {
        let manifest = self.manifest.clone();
        self.reading.read(move || manifest.look()).await
    }

    async fn parse(&self, text: Option<ManifestText>) -> Result<App, ManifestFault> {
        blocking(move || parse(text.as_ref())).await
    }
}

/// As certificates are looked at: notifications can be lost, and mounted file systems send none.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Between two looks at a file that changes.
const SETTLE_TIME: Duration = Duration::from_millis(250);

/// One that has not stood still for five seconds is reported instead of being waited for.
const SETTLE_READS_MAX: usize = 20;

/// A file system that takes longer for a few kibibytes is as good as gone.
const READ_LIMIT: Duration = Duration::from_secs(10);
