use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::yield_now;

use super::error::StoreError;
use super::store::{Expected, HEARTBEATS, Key, PutError, StateStore, Stored, Version};

/// A store in memory that fails as a test says. Every call gives way once, so that whoever polls
/// decides about the order of calls.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<Key, (Bytes, u64)>,
    writes: u64,
    /// What every accepted write made of its object.
    accepted: Vec<(Key, Bytes)>,
    faults: VecDeque<Fault>,
    /// Writes that are still on their way.
    late: Vec<(Key, Bytes, Expected)>,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    No,
    /// It is not carried out.
    Refused,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is carried out, its answer is lost, and the client's own second try meets the first.
    TriedTwice,
    /// There is no answer, and it is carried out before a later one.
    Late,
}

impl MemoryStore {
    pub(crate) fn failing(faults: &[Fault]) -> Self {
        let store = Self::default();
        store.fail_with(faults);
        store
    }

    /// From now on calls fail like this, one after the other.
    pub(crate) fn fail_with(&self, faults: &[Fault]) {
        self.inner.lock().unwrap().faults = faults.iter().copied().collect();
    }

    /// From now on everything works.
    pub(crate) fn heal(&self) {
        self.inner.lock().unwrap().faults.clear();
    }

    /// From now on so many calls fail.
    pub(crate) fn fail(&self, calls: usize) {
        self.fail_with(&vec![Fault::Refused; calls]);
    }

    /// Puts anything in the place of an object, as nobody may.
    pub(crate) fn overwrite(&self, key: &Key, bytes: impl Into<Bytes>) {
        self.inner.lock().unwrap().write(key, bytes.into());
    }

    /// Takes an object away, as nobody may.
    pub(crate) fn lose(&self, key: &Key) {
        self.inner.lock().unwrap().objects.remove(key);
    }

    pub(crate) fn content(&self, key: &Key) -> Option<Bytes> {
        let inner = self.inner.lock().unwrap();
        inner.objects.get(key).map(|(bytes, _)| bytes.clone())
    }

    /// What every accepted write made of an object, in their order.
    pub(crate) fn accepted(&self, key: &Key) -> Vec<Bytes> {
        let inner = self.inner.lock().unwrap();
        let accepted = inner.accepted.iter().filter(|(written, _)| written == key);
        accepted.map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Takes the turn of a call: first the late ones that come before it.
    async fn turn(&self) -> (std::sync::MutexGuard<'_, Inner>, Fault) {
        yield_now().await;
        let mut inner = self.inner.lock().unwrap();
        let fault = inner.faults.pop_front().unwrap_or(Fault::No);
        if fault != Fault::Late {
            for (key, bytes, expected) in std::mem::take(&mut inner.late) {
                // Its writer has heard nothing, and does not hear of this either.
                let _ = inner.put(&key, bytes, &expected);
            }
        }
        (inner, fault)
    }
}

impl Inner {
    fn put(&mut self, key: &Key, bytes: Bytes, expected: &Expected) -> Result<Version, PutError> {
        let current = self.objects.get(key).map(|(_, count)| version(*count));
        let expected = match expected {
            Expected::Absent => None,
            Expected::At(version) => Some(version.clone()),
        };
        if current != expected {
            return Err(PutError::Conflict);
        }
        Ok(self.write(key, bytes))
    }

    fn write(&mut self, key: &Key, bytes: Bytes) -> Version {
        self.writes += 1;
        self.accepted.push((key.clone(), bytes.clone()));
        self.objects.insert(key.clone(), (bytes, self.writes));
        version(self.writes)
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let (inner, fault) = self.turn().await;
        if fault != Fault::No {
            return Err(silent(key));
        }
        let stored = inner.objects.get(key);
        Ok(stored.map(|(bytes, count)| Stored {
            bytes: bytes.clone(),
            version: version(*count),
        }))
    }

    async fn put(&self, key: &Key, bytes: Bytes, expected: &Expected) -> Result<Version, PutError> {
        let (mut inner, fault) = self.turn().await;
        match fault {
            Fault::No => inner.put(key, bytes, expected),
            Fault::Refused => Err(silent(key).into()),
            Fault::AnswerLost => {
                inner.put(key, bytes, expected)?;
                Err(silent(key).into())
            }
            Fault::TriedTwice => {
                inner.put(key, bytes, expected)?;
                Err(PutError::Conflict)
            }
            Fault::Late => {
                inner.late.push((key.clone(), bytes, expected.clone()));
                Err(silent(key).into())
            }
        }
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<(), PutError> {
        let (mut inner, fault) = self.turn().await;
        if fault != Fault::No {
            return Err(silent(key).into());
        }
        match inner.objects.get(key) {
            Some((_, count)) if self::version(*count) == *version => {
                inner.objects.remove(key);
                Ok(())
            }
            Some(_) | None => Err(PutError::Conflict),
        }
    }

    async fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError> {
        let (inner, fault) = self.turn().await;
        if fault != Fault::No {
            return Err(silent(&Key::cluster()));
        }
        let objects = inner.objects.iter();
        let beats = objects.filter(|(key, _)| key.as_str().starts_with(HEARTBEATS));
        Ok(beats
            .map(|(key, (_, count))| (key.clone(), version(*count)))
            .collect())
    }
}

fn version(count: u64) -> Version {
    Version::new(count.to_string())
}

fn silent(key: &Key) -> StoreError {
    StoreError::Silent {
        key: key.to_string(),
        after: Duration::ZERO,
    }
}
