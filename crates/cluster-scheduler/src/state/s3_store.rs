//! The shared state in an object store that speaks S3, for schedulers of many machines. The version
//! of an object is its ETag; writes carry `If-Match` or `If-None-Match`.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store_cloud::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store_cloud::path::Path;
use object_store_cloud::{
    BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, RetryConfig, UpdateVersion,
};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::config::S3Location;
use super::error::StoreError;
use super::store::{Expected, HEARTBEATS, Key, LIST_LIMIT, PutError, StateStore, Stored, Version};
use super::strangers::Strangers;

pub(super) struct S3Store {
    store: AmazonS3,
    prefix: String,
    patience: Duration,
    strangers: Strangers,
}

impl S3Store {
    /// Takes the settings; nothing is asked of the store yet.
    pub(super) fn new(location: &S3Location, patience: Duration) -> Result<Self, Error> {
        // The environment is asked first, so that what is configured wins.
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&location.bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_retry(retries(patience));
        if let Some(endpoint) = &location.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &location.region {
            builder = builder.with_region(region);
        }
        if let Some(keys) = &location.keys {
            builder = builder
                .with_access_key_id(keys.key.expose_secret())
                .with_secret_access_key(keys.secret.expose_secret());
            if let Some(token) = &keys.session_token {
                builder = builder.with_token(token.expose_secret());
            }
        }
        let client = ClientOptions::new()
            .with_allow_http(location.allow_http)
            .with_connect_timeout(patience / 2)
            .with_timeout(patience);
        Ok(Self {
            store: builder.with_client_options(client).build()?,
            prefix: location.prefix.trim_matches('/').to_owned(),
            patience,
            strangers: Strangers::default(),
        })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    /// Waits for an answer about `key` for as long as a caller has patience.
    async fn answer<T>(
        &self,
        key: &str,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<Result<T, Error>, StoreError> {
        let (key, after) = (key.to_owned(), self.patience);
        let answered = timeout(after, call).await;
        answered.map_err(|_| StoreError::Silent { key, after })
    }

    async fn heartbeat_objects(&self) -> Result<Vec<ObjectMeta>, Error> {
        let folder = self.path(HEARTBEATS);
        let mut objects = vec![];
        let mut listed = self.store.list(Some(&folder));
        while let Some(object) = listed.try_next().await? {
            objects.push(object);
            if objects.len() >= LIST_LIMIT {
                break;
            }
        }
        Ok(objects)
    }
}

#[async_trait]
impl StateStore for S3Store {
    async fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let path = self.path(key.as_str());
        let reading = async {
            let found = self.store.get(&path).await?;
            if found.meta.size > key.limit_bytes() {
                return Ok(None);
            }
            let e_tag = found.meta.e_tag.clone();
            Ok(Some((found.bytes().await?, e_tag)))
        };
        match self.answer(key.as_str(), reading).await? {
            Ok(Some((bytes, e_tag))) => {
                let version = version(key.as_str(), e_tag.as_deref())?;
                Ok(Some(Stored { bytes, version }))
            }
            Ok(None) => Err(key.too_large()),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(key.as_str(), error)),
        }
    }

    async fn put(&self, key: &Key, bytes: Bytes, expected: &Expected) -> Result<Version, PutError> {
        let mode = match expected {
            Expected::Absent => PutMode::Create,
            Expected::At(version) => PutMode::Update(UpdateVersion {
                e_tag: Some(e_tag(version)),
                version: None,
            }),
        };
        let path = self.path(key.as_str());
        let options = PutOptions::from(mode);
        let putting = self.store.put_opts(&path, bytes.into(), options);
        match self.answer(key.as_str(), putting).await? {
            Ok(put) => Ok(version(key.as_str(), put.e_tag.as_deref())?),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                Err(PutError::Conflict)
            }
            Err(error) => Err(failed(key.as_str(), error).into()),
        }
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<(), PutError> {
        let path = self.path(key.as_str());
        let found = match self.answer(key.as_str(), self.store.head(&path)).await? {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Err(PutError::Conflict),
            Err(error) => return Err(failed(key.as_str(), error).into()),
        };
        if self::version(key.as_str(), found.e_tag.as_deref())? != *version {
            return Err(PutError::Conflict);
        }
        let deleted = self.answer(key.as_str(), self.store.delete(&path)).await?;
        deleted.map_err(|error| failed(key.as_str(), error).into())
    }

    async fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError> {
        let listed = self.answer(HEARTBEATS, self.heartbeat_objects()).await?;
        let listed = listed.map_err(|error| failed(HEARTBEATS, error))?;
        let mut heartbeats = vec![];
        for object in listed {
            let name = object.location.filename();
            let Some(key) = name.and_then(Key::listed_heartbeat) else {
                continue;
            };
            if object.size > key.limit_bytes() {
                self.strangers.leave_out(&key, &key.too_large());
                continue;
            }
            let version = version(key.as_str(), object.e_tag.as_deref())?;
            heartbeats.push((key, version));
        }
        Ok(heartbeats)
    }
}

impl fmt::Debug for S3Store {
    /// The client holds keys; it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn failed(key: &str, error: Error) -> StoreError {
    StoreError::ObjectStore {
        key: key.to_owned(),
        source: Box::new(error),
    }
}

/// Lists give the ETag with its quotes where reads do, or do not.
fn version(key: &str, e_tag: Option<&str>) -> Result<Version, StoreError> {
    let e_tag = e_tag.ok_or_else(|| StoreError::Unversioned {
        key: key.to_owned(),
    })?;
    let plain = e_tag
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"'))
        .unwrap_or(e_tag);
    Ok(Version::new(plain.to_owned()))
}

/// The ETag as a condition of a request has it.
fn e_tag(version: &Version) -> String {
    let plain = String::from_utf8_lossy(version.as_bytes());
    if plain.ends_with('"') {
        // A weak one, `W/"..."`.
        plain.into_owned()
    } else {
        format!("\"{plain}\"")
    }
}

/// Once more at once, for a connection that was just closed; what is down is tried again by the
/// next heartbeat.
fn retries(patience: Duration) -> RetryConfig {
    RetryConfig {
        max_retries: 1,
        retry_timeout: patience,
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            base: 2.0,
        },
    }
}
