//! What every store promises, shown for the one in a directory, with writers that share nothing
//! but the directory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;

use super::cluster::ClusterState;
use super::error::OpenError;
use super::file_store::FileStore;
use super::fixture::{entry, state_in, version_of};
use super::memory_store::MemoryStore;
use super::probe::probe;
use super::store::{Expected, Key, PutError, StateStore};
use super::{StateLocation, change, open};

fn in_directory(directory: &tempfile::TempDir) -> Arc<dyn StateStore> {
    Arc::new(FileStore::open(directory.path(), PATIENCE).unwrap())
}

const PATIENCE: Duration = Duration::from_secs(10);

async fn keeps_every_condition(store: &dyn StateStore) {
    let key = Key::heartbeat(&"[::1]:50052".parse().unwrap());
    let put = async |text: &'static str, expected: &Expected| {
        store
            .put(&key, Bytes::from_static(text.as_bytes()), expected)
            .await
    };
    assert!(store.read(&key).await.unwrap().is_none());
    let unknown = Expected::At(version_of("never written"));
    assert!(matches!(put("0", &unknown).await, Err(PutError::Conflict)));
    let first = put("1", &Expected::Absent).await.unwrap();
    assert!(matches!(
        put("2", &Expected::Absent).await,
        Err(PutError::Conflict)
    ));
    assert_eq!(store.read(&key).await.unwrap().unwrap().version, first);
    let second = put("3", &Expected::At(first.clone())).await.unwrap();
    assert!(matches!(
        put("4", &Expected::At(first.clone())).await,
        Err(PutError::Conflict)
    ));
    assert!(matches!(
        store.delete(&key, &first).await,
        Err(PutError::Conflict)
    ));
    let listed = store.heartbeats().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].0, key);
    store.delete(&key, &second).await.unwrap();
    assert!(matches!(
        store.delete(&key, &second).await,
        Err(PutError::Conflict)
    ));
    assert!(matches!(
        put("5", &Expected::At(second)).await,
        Err(PutError::Conflict)
    ));
    assert!(store.heartbeats().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_stores_keep_every_condition() {
    let directory = tempfile::tempdir().unwrap();
    keeps_every_condition(in_directory(&directory).as_ref()).await;
    keeps_every_condition(&MemoryStore::default()).await;
}

#[tokio::test]
async fn a_store_that_keeps_conditions_passes_the_probe_and_one_that_does_not_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    probe(in_directory(&directory).as_ref(), "file")
        .await
        .unwrap();
    let ignored = async |condition| {
        let store = Careless {
            inner: MemoryStore::default(),
            ignores: condition,
        };
        probe(&store, "s3://bucket").await.unwrap_err()
    };
    for (ignores, named) in [
        (Ignores::Absent, "If-None-Match"),
        (Ignores::At, "If-Match"),
    ] {
        let refused = ignored(ignores).await;
        assert!(
            matches!(&refused, OpenError::Unconditional { condition, .. } if *condition == named),
            "{refused}"
        );
        assert!(refused.to_string().contains("s3://bucket"), "{refused}");
    }
}

/// A store that does not look at one kind of condition.
#[derive(Debug)]
struct Careless {
    inner: MemoryStore,
    ignores: Ignores,
}

#[derive(Debug, PartialEq)]
enum Ignores {
    Absent,
    At,
}

#[async_trait::async_trait]
impl StateStore for Careless {
    async fn read(&self, key: &Key) -> Result<Option<super::store::Stored>, super::StoreError> {
        self.inner.read(key).await
    }

    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        expected: &Expected,
    ) -> Result<super::Version, PutError> {
        let ignored = match expected {
            Expected::Absent => self.ignores == Ignores::Absent,
            Expected::At(_) => self.ignores == Ignores::At,
        };
        let current = self.inner.read(key).await?;
        let found = current.map_or(Expected::Absent, |it| Expected::At(it.version));
        let expected = if ignored { &found } else { expected };
        self.inner.put(key, bytes, expected).await
    }

    async fn delete(&self, key: &Key, version: &super::Version) -> Result<(), PutError> {
        self.inner.delete(key, version).await
    }

    async fn heartbeats(&self) -> Result<Vec<(Key, super::Version)>, super::StoreError> {
        self.inner.heartbeats().await
    }
}

/// Members come one by one, each by a compare-and-set of the whole document.
async fn join_many(state: &ClusterState, writer: usize) -> Vec<String> {
    let mut joined = vec![];
    for number in 0..CHANGES {
        let own = entry(&format!("writer{writer}:{}", number + 1), "run");
        let entering = |document: &mut _| change::join(document, &own, None);
        // Eight writers without a pause between their changes may wear one of them out.
        if state.mutate(entering).await.is_ok() {
            joined.push(own.advertise_address);
        }
    }
    joined
}

const WRITERS: usize = 8;
const CHANGES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_at_once_lose_nothing_that_was_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let location = StateLocation::Directory(directory.path().to_owned());
        tokio::spawn(async move {
            let state = open(location, PATIENCE).await.unwrap();
            join_many(&state, writer).await
        })
    });
    let joined = join_all(writers).await.into_iter().flat_map(Result::unwrap);
    let mut joined: Vec<String> = joined.collect();
    joined.sort();
    let state = state_in(in_directory(&directory));
    let document = state.read().await.unwrap();
    let mut held: Vec<String> = document.schedulers.into_keys().map(String::from).collect();
    held.sort();
    assert_eq!(joined, held);
    assert!(held.len() >= CHANGES, "{held:?}");
}
