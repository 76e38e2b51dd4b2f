use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::backoff::Backoff;
use super::change::Change;
use super::document::{ClusterDocument, DocumentFault, SCHEMA_VERSION};
use super::error::{StateError, StoreError};
use super::store::{Expected, Key, PutError, StateStore};

/// `cluster.json` in a store.
#[derive(Clone, Debug)]
pub(crate) struct ClusterState {
    store: Arc<dyn StateStore>,
    /// What people call the store; without anything secret.
    place: String,
    backoff: Backoff,
}

/// A write whose answer did not come.
struct Unanswered<T> {
    write: String,
    outcome: T,
}

impl ClusterState {
    pub(crate) fn new(store: Arc<dyn StateStore>, place: String, backoff: Backoff) -> Self {
        Self {
            store,
            place,
            backoff,
        }
    }

    /// The store, for the heartbeats that are beside the document.
    pub(crate) fn store(&self) -> &dyn StateStore {
        self.store.as_ref()
    }

    /// The document, empty where there is none yet.
    pub(crate) async fn read(&self) -> Result<ClusterDocument, StateError> {
        Ok(self.read_to_change().await?.0)
    }

    /// Changes the document by `change`, which runs again on what others wrote meanwhile.
    ///
    /// However many answers are lost, the change is made once: a write that went through is
    /// known again by its mark. After an error it may have been made, or be made yet.
    pub(crate) async fn mutate<T: Send>(
        &self,
        change: impl Fn(&mut ClusterDocument) -> Change<T> + Send + Sync,
    ) -> Result<T, StateError> {
        let mut unanswered = vec![];
        let mut failure = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.backoff.wait(attempt - 1).await;
            }
            match self.attempt(&change, &mut unanswered).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => failure = None,
                Err(error @ StateError::Store { .. }) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| self.contended(&Key::cluster())))
    }

    /// Tries once; `None` when another write came first.
    async fn attempt<T: Send>(
        &self,
        change: &(impl Fn(&mut ClusterDocument) -> Change<T> + Send + Sync),
        unanswered: &mut Vec<Unanswered<T>>,
    ) -> Result<Option<T>, StateError> {
        let (mut document, expected) = self.read_to_change().await?;
        let made = unanswered.iter().position(|it| document.holds(&it.write));
        if let Some(made) = made {
            return Ok(Some(unanswered.swap_remove(made).outcome));
        }
        let outcome = match change(&mut document) {
            Change::Keep(outcome) => return Ok(Some(outcome)),
            Change::Write(outcome) => outcome,
        };
        let write = Uuid::new_v4().simple().to_string();
        let bytes = document
            .encode(&write)
            .map_err(|source| self.garbage(&Key::cluster(), source))?;
        self.ensure_readable(&bytes)?;
        let put = self.store.put(&Key::cluster(), bytes, &expected).await;
        if put.is_ok() {
            return Ok(Some(outcome));
        }
        // A store that tries again by itself meets its own first write as a conflict.
        unanswered.push(Unanswered { write, outcome });
        match put {
            Err(PutError::Store(source)) => Err(self.unreachable(source)),
            Ok(_) | Err(PutError::Conflict) => Ok(None),
        }
    }

    /// Whoever wrote what nobody reads would end the cluster.
    fn ensure_readable(&self, document: &Bytes) -> Result<(), StateError> {
        let key = Key::cluster();
        let limit_bytes = key.limit_bytes();
        let bytes = u64::try_from(document.len()).unwrap_or(u64::MAX);
        if bytes <= limit_bytes {
            return Ok(());
        }
        Err(StateError::TooLarge {
            place: self.place.clone(),
            key: key.to_string(),
            bytes,
            limit_bytes,
        })
    }

    async fn read_to_change(&self) -> Result<(ClusterDocument, Expected), StateError> {
        let stored = self.store.read(&Key::cluster()).await;
        let Some(stored) = stored.map_err(|source| self.unreachable(source))? else {
            return Ok((ClusterDocument::new(), Expected::Absent));
        };
        let document = ClusterDocument::decode(&stored.bytes).map_err(|fault| match fault {
            DocumentFault::Garbage(source) => self.garbage(&Key::cluster(), source),
            DocumentFault::Schema(found) => StateError::Schema {
                place: self.place.clone(),
                key: Key::cluster().to_string(),
                found,
                supported: SCHEMA_VERSION,
            },
        })?;
        Ok((document, Expected::At(stored.version)))
    }

    /// A failure of the store, with its place.
    pub(crate) fn unreachable(&self, source: StoreError) -> StateError {
        let place = self.place.clone();
        StateError::Store { place, source }
    }

    /// Something that is none of our documents.
    pub(crate) fn garbage(&self, key: &Key, source: serde_json::Error) -> StateError {
        StateError::Garbage {
            place: self.place.clone(),
            key: key.to_string(),
            source,
        }
    }

    /// There is no room for another member.
    pub(crate) fn full(&self) -> StateError {
        let place = self.place.clone();
        StateError::Full { place }
    }

    /// Others came first too often.
    pub(crate) fn contended(&self, key: &Key) -> StateError {
        StateError::Contended {
            place: self.place.clone(),
            key: key.to_string(),
            attempts: ATTEMPTS,
        }
    }
}

/// As many writers as try at once get through by then, with the waits between.
const ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::super::change::join;
    use super::super::fixture::{entry, state_in};
    use super::super::memory_store::MemoryStore;
    use super::*;

    #[tokio::test]
    async fn a_document_that_nobody_could_read_is_not_written() {
        let store = Arc::new(MemoryStore::default());
        let state = state_in(store.clone());
        let limit = usize::try_from(Key::cluster().limit_bytes()).unwrap();
        let enter = async |id: &str, label_bytes: usize| {
            let mut own = entry(id, "run");
            own.labels = [("a".to_owned(), "x".repeat(label_bytes))].into();
            state
                .mutate(move |document| join(document, &own, None))
                .await
        };
        enter("s1:1", limit / 2).await.unwrap();
        let before = store.content(&Key::cluster());
        let refused = enter("s2:1", limit / 2).await.unwrap_err();
        assert!(matches!(refused, StateError::TooLarge { .. }), "{refused}");
        assert_eq!(store.content(&Key::cluster()), before);
        enter("s2:1", limit / 4).await.unwrap();
        assert_eq!(state.read().await.unwrap().schedulers.len(), 2);
    }
}
