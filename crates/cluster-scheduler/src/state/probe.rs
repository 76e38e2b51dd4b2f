use bytes::Bytes;

use super::error::{OpenError, StoreError};
use super::store::{Expected, Key, PutError, StateStore, Version};

/// Finds out whether a store keeps its promises, with an object of its own: a store that takes
/// every write would lose members in silence.
pub(super) async fn probe(store: &dyn StateStore, place: &str) -> Result<(), OpenError> {
    let key = Key::probe();
    let probed = conditions_kept(store, &key).await;
    remove(store, &key).await;
    let ignored = probed.map_err(|source| OpenError::Unusable {
        place: place.to_owned(),
        source,
    })?;
    match ignored {
        None => Ok(()),
        Some(condition) => Err(OpenError::Unconditional {
            place: place.to_owned(),
            condition,
        }),
    }
}

/// The condition that the store ignored, if there is one.
async fn conditions_kept(
    store: &dyn StateStore,
    key: &Key,
) -> Result<Option<&'static str>, StoreError> {
    let Some(first) = put(store, key, "1", &Expected::Absent).await? else {
        return Ok(Some("If-None-Match, on an object that was not there"));
    };
    if put(store, key, "2", &Expected::Absent).await?.is_some() {
        return Ok(Some("If-None-Match"));
    }
    let at_first = Expected::At(first);
    if put(store, key, "3", &at_first).await?.is_none() {
        return Ok(Some("If-Match, on an object that was as expected"));
    }
    if put(store, key, "4", &at_first).await?.is_some() {
        return Ok(Some("If-Match"));
    }
    Ok(None)
}

async fn put(
    store: &dyn StateStore,
    key: &Key,
    text: &'static str,
    expected: &Expected,
) -> Result<Option<Version>, StoreError> {
    match store
        .put(key, Bytes::from_static(text.as_bytes()), expected)
        .await
    {
        Ok(version) => Ok(Some(version)),
        Err(PutError::Conflict) => Ok(None),
        Err(PutError::Store(error)) => Err(error),
    }
}

/// What cannot be removed stays: a few bytes that nobody looks at.
async fn remove(store: &dyn StateStore, key: &Key) {
    let removed = match store.read(key).await {
        Ok(Some(stored)) => store.delete(key, &stored.version).await,
        Ok(None) => return,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = removed {
        tracing::warn!(%key, %error, "test object not removed");
    }
}
