//! The engine's interface of a store over the client's, which is one version on.
//!
//! The client signs with aws-lc-rs; in the engine's version it would bring another crypto library.
//! Reading is all that is passed on.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use object_store_cloud as cloud;
use object_store_cloud::ObjectStore as _;
use object_store_cloud::aws::AmazonS3;
use spicepod::TableName;

use super::error::ObjectError;
use super::keys::Keys;

/// The objects that a dataset's keys open, to be read.
pub(super) struct ReadOnlyStore {
    pub(super) client: AmazonS3,
    /// What the client signs with; `None` where it does not.
    pub(super) keys: Option<Arc<Keys>>,
    pub(super) dataset: TableName,
}

impl ReadOnlyStore {
    /// What is known of an object without its bytes.
    pub(super) async fn head(&self, key: &Path) -> Result<ObjectMeta, ObjectError> {
        let key = forth(key)?;
        let options = cloud::GetOptions::new().with_head(true);
        let found = self.ask(|| self.client.get_opts(&key, options.clone()));
        meta(found.await?.meta)
    }

    /// The objects and directories right below a prefix.
    pub(super) async fn list_below(&self, prefix: &Path) -> Result<ListResult, ObjectError> {
        let prefix = forth(prefix)?;
        let found = self.ask(|| self.client.list_with_delimiter(Some(&prefix)));
        let found = found.await?;
        let directories = found.common_prefixes.iter().map(back);
        Ok(ListResult {
            common_prefixes: directories.collect::<Result<_, _>>()?,
            objects: found
                .objects
                .into_iter()
                .map(meta)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Asks once, and once more where the keys were refused and there are others by now.
    async fn ask<T, F>(&self, request: impl Fn() -> F) -> Result<T, ObjectError>
    where
        F: Future<Output = cloud::Result<T>>,
    {
        let used = self.keys.as_ref().map(|keys| keys.current());
        let refused = match request().await.map_err(|error| ObjectError::of(&error)) {
            Err(error) if error.is_denied() => error,
            answer => return answer,
        };
        if let (Some(keys), Some(used)) = (&self.keys, used)
            && keys.renewed_after(&used).await
        {
            return request().await.map_err(|error| ObjectError::of(&error));
        }
        Err(refused)
    }

    fn refused<T>(&self) -> Result<T> {
        Err(Error::NotSupported {
            source: format!("the dataset {} is read-only", self.dataset).into(),
        })
    }
}

#[async_trait]
impl ObjectStore for ReadOnlyStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let told = |error: ObjectError| error.for_engine(location.as_ref());
        let key = forth(location).map_err(told)?;
        let options = get_options(options);
        let found = self.ask(|| self.client.get_opts(&key, options.clone()));
        let found = found.await.map_err(told)?;
        let (range, head) = (found.range.clone(), meta(found.meta.clone()).map_err(told)?);
        let path = location.to_string();
        let bytes = found.into_stream();
        let bytes = bytes.map_err(move |error| ObjectError::of(&error).for_engine(&path));
        Ok(GetResult {
            payload: GetResultPayload::Stream(bytes.boxed()),
            meta: head,
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let told = |error: ObjectError| error.for_engine(location.as_ref());
        let key = forth(location).map_err(told)?;
        let parts = self.ask(|| self.client.get_ranges(&key, ranges));
        parts.await.map_err(told)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let path = prefix.map(ToString::to_string).unwrap_or_default();
        let prefix = match prefix.map(forth).transpose() {
            Ok(prefix) => prefix,
            Err(error) => return stream::iter([Err(error.for_engine(&path))]).boxed(),
        };
        let found = listed(self.client.clone(), self.keys.clone(), prefix);
        let found = stream::once(found).flatten().map(move |found| {
            let found = found
                .map_err(|error| ObjectError::of(&error))
                .and_then(meta);
            found.map_err(|error| error.for_engine(&path))
        });
        found.boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let root = Path::default();
        let prefix = prefix.unwrap_or(&root);
        let found = self.list_below(prefix).await;
        found.map_err(|error| error.for_engine(prefix.as_ref()))
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        self.refused()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.refused()
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::iter([self.refused()]).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        self.refused()
    }
}

impl fmt::Debug for ReadOnlyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client would print whom it asks.
        write!(f, "ReadOnlyStore({})", self.dataset)
    }
}

impl fmt::Display for ReadOnlyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3 store of the dataset {}", self.dataset)
    }
}

/// A listing, begun again where the keys were refused and there are others by now.
async fn listed(
    client: AmazonS3,
    keys: Option<Arc<Keys>>,
    prefix: Option<cloud::path::Path>,
) -> impl Stream<Item = cloud::Result<cloud::ObjectMeta>> {
    let used = keys.as_ref().map(|keys| keys.current());
    let mut found = client.list(prefix.as_ref()).peekable();
    let first = Pin::new(&mut found).peek().await;
    let denied = matches!(first, Some(Err(error)) if ObjectError::of(error).is_denied());
    if let (true, Some(keys), Some(used)) = (denied, keys, used)
        && keys.renewed_after(&used).await
    {
        return client.list(prefix.as_ref()).peekable();
    }
    found
}

fn forth(path: &Path) -> Result<cloud::path::Path, ObjectError> {
    cloud::path::Path::parse(path.as_ref()).map_err(ObjectError::key)
}

fn back(path: &cloud::path::Path) -> Result<Path, ObjectError> {
    Path::parse(path.as_ref()).map_err(ObjectError::key)
}

fn meta(found: cloud::ObjectMeta) -> Result<ObjectMeta, ObjectError> {
    Ok(ObjectMeta {
        location: back(&found.location)?,
        last_modified: found.last_modified,
        size: found.size,
        e_tag: found.e_tag,
        version: found.version,
    })
}

fn get_options(options: GetOptions) -> cloud::GetOptions {
    cloud::GetOptions {
        if_match: options.if_match,
        if_none_match: options.if_none_match,
        if_modified_since: options.if_modified_since,
        if_unmodified_since: options.if_unmodified_since,
        range: options.range.map(|range| match range {
            GetRange::Bounded(range) => cloud::GetRange::Bounded(range),
            GetRange::Offset(first) => cloud::GetRange::Offset(first),
            GetRange::Suffix(length) => cloud::GetRange::Suffix(length),
        }),
        version: options.version,
        head: options.head,
        ..cloud::GetOptions::default()
    }
}
