//! Reading a source on threads that may block.

use std::future::pending;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::load::{CredentialBytes, CredentialSource, LoadError, RevocationBytes};

/// A source that is read on another thread and comes back from there.
pub(super) struct Reader {
    /// Absent while it is being read.
    source: Option<Box<dyn CredentialSource>>,
}

impl Reader {
    pub(super) fn new(source: impl CredentialSource) -> Self {
        Self {
            source: Some(Box::new(source)),
        }
    }

    pub(super) async fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        let Some(mut source) = self.source.take() else {
            // A read that was dropped half-way took the source with it, and with it its reloader.
            return pending().await;
        };
        let (source, read) = blocking(move || {
            let read = source.read();
            (source, read)
        })
        .await;
        self.source = Some(source);
        read
    }

    /// What says who is no longer a member, apart from the rest.
    pub(super) async fn read_revocations(&mut self) -> Option<RevocationBytes> {
        let mut source = self.source.take()?;
        let (source, read) = blocking(move || {
            let read = source.read_revocations();
            (source, read)
        })
        .await;
        self.source = Some(source);
        read
    }

    /// Ends when the source tells of a change.
    pub(super) async fn changed(&mut self) {
        match &mut self.source {
            Some(source) => source.changed().await,
            None => pending().await,
        }
    }

    pub(super) fn locate(&self, error: LoadError) -> LoadError {
        match &self.source {
            Some(source) => error.located(source.as_ref()),
            None => error,
        }
    }
}

/// Runs `work` on a thread that may block. A panic goes on here; a runtime that shuts down ends
/// everything, and this is only one more thing that does not come back.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => pending().await,
    }
}
