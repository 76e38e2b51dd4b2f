//! Objects of a store that speaks S3, as files of the engine.
//!
//! Each dataset has a store of its own, under a URL that no other dataset shares: two datasets in
//! one bucket with different keys never share a client. The URL names the dataset and nothing else,
//! so that a plan tells neither the endpoint nor who asks; every node knows from its own copy of
//! the application what stands behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store_cloud::aws::AmazonS3Builder;
use object_store_cloud::{BackoffConfig, ClientOptions, RetryConfig};
use secrecy::ExposeSecret;
use spicepod::{Dataset, Format, ParamValue, S3Source, TableName};
use tokio::time::timeout;
use url::Url;

use crate::open_error::OpenFault;
use crate::probe::Located;
use crate::secrets::{SecretError, SecretSource, expand};

mod adapter;
mod error;
mod keys;

use adapter::ReadOnlyStore;
use keys::Keys;

pub use error::ObjectError;

/// A dataset in an S3 store, with the client that has its keys.
#[derive(Clone)]
pub(crate) struct S3Dataset {
    dataset: Dataset,
    source: S3Source,
    store: Arc<ReadOnlyStore>,
}

impl S3Dataset {
    /// Makes the client. Nothing is asked of the store yet.
    pub(crate) async fn connect(
        dataset: &Dataset,
        source: &S3Source,
        secrets: &Arc<dyn SecretSource>,
    ) -> Result<Self, OpenFault> {
        let keys = Keys::of(dataset.name(), source.auth(), secrets).await;
        let keys = keys.map_err(|source| secret(dataset, source))?;
        let builder = builder(dataset, source, &**secrets).await?;
        let builder = match &keys {
            Some(keys) => builder.with_credentials(Arc::<Keys>::clone(keys)),
            None => builder.with_skip_signature(true),
        };
        let client = builder.build().map_err(|error| OpenFault::Store {
            dataset: dataset.name().clone(),
            from: dataset.source().to_string(),
            source: ObjectError::of(&error),
        })?;
        Ok(Self {
            dataset: dataset.clone(),
            source: source.clone(),
            store: Arc::new(ReadOnlyStore {
                client,
                keys,
                dataset: dataset.name().clone(),
            }),
        })
    }

    /// The store for the engine, to be registered under [`url`].
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::<ReadOnlyStore>::clone(&self.store)
    }

    /// Where the engine finds the objects.
    pub(crate) fn location(&self) -> Result<ListingTableUrl> {
        location(self.dataset.name(), &self.source)
    }

    /// How the objects are encoded.
    pub(crate) fn format(&self) -> &Format {
        self.source.format()
    }

    /// What the objects are called where something is wrong with them.
    pub(crate) fn shown(&self) -> String {
        self.dataset.source().to_string()
    }

    /// A key that ends in a slash, and the bucket itself, are as directories.
    pub(crate) fn located(&self) -> Located {
        match self.source.key() {
            key if key.is_empty() || key.ends_with('/') => Located::Directory,
            _ => Located::File,
        }
    }

    /// Checks that the object is there, or at least one of the format below the prefix. To the
    /// engine a prefix without objects is one without rows.
    pub(crate) async fn check(&self) -> Result<(), OpenFault> {
        let looked = timeout(LOOK_LIMIT, self.look()).await;
        looked.unwrap_or_else(|_| Err(self.unreadable(ObjectError::silent())))
    }

    async fn look(&self) -> Result<(), OpenFault> {
        let key = Path::parse(self.source.key().trim_end_matches('/'));
        let key = key.map_err(|source| self.unreadable(ObjectError::key(source)))?;
        match self.located() {
            Located::File => self.look_at(&key).await,
            Located::Directory => self.look_below(&key).await,
        }
    }

    async fn look_at(&self, key: &Path) -> Result<(), OpenFault> {
        match self.store.head(key).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Err(OpenFault::NoObject {
                dataset: self.dataset.name().clone(),
                from: self.shown(),
            }),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    async fn look_below(&self, prefix: &Path) -> Result<(), OpenFault> {
        let extension = self.source.format().as_str();
        let suffix = format!(".{extension}");
        let found = self.store.list_below(prefix).await;
        let found = found.map_err(|error| self.unreadable(error))?;
        let name = |path: &Path| path.filename().unwrap_or_default().to_owned();
        let mut directories = found.common_prefixes.iter();
        if let Some(partition) = directories.find(|it| name(it).contains('=')) {
            return Err(OpenFault::Partitioned {
                dataset: self.dataset.name().clone(),
                path: format!("s3://{}/{partition}", self.source.bucket()).into(),
            });
        }
        let mut objects = found.objects.iter();
        if objects.any(|it| name(&it.location).ends_with(&suffix)) {
            return Ok(());
        }
        Err(OpenFault::EmptyDirectory {
            dataset: self.dataset.name().clone(),
            path: self.shown().into(),
            extension,
        })
    }

    fn unreadable(&self, source: ObjectError) -> OpenFault {
        OpenFault::Store {
            dataset: self.dataset.name().clone(),
            from: self.shown(),
            source,
        }
    }
}

impl fmt::Debug for S3Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Dataset")
            .field("dataset", self.dataset.name())
            .finish_non_exhaustive()
    }
}

/// Where the engine finds the store of a dataset.
pub(crate) fn url(dataset: &TableName) -> Result<Url> {
    let text = format!("s3://{}.{}/", dataset.schema(), dataset.table());
    Url::parse(&text).map_err(|error| DataFusionError::External(Box::new(error)))
}

/// Where the engine finds the objects of a dataset. Going through the segments of the URL and not
/// through text keeps `?` and `%` in keys what they are.
fn location(dataset: &TableName, source: &S3Source) -> Result<ListingTableUrl> {
    let mut url = url(dataset)?;
    let no_base = |()| DataFusionError::Internal(format!("{dataset} makes no URL"));
    if !source.key().is_empty() {
        let mut segments = url.path_segments_mut().map_err(no_base)?;
        segments.clear().extend(source.key().split('/'));
    }
    ListingTableUrl::try_new(url, None)
}

/// All of a client but its keys.
async fn builder(
    dataset: &Dataset,
    source: &S3Source,
    secrets: &dyn SecretSource,
) -> Result<AmazonS3Builder, OpenFault> {
    let text = async |value: &ParamValue| {
        let expanded = expand(value, secrets).await;
        expanded.map_err(|source| secret(dataset, source))
    };
    let region = match source.region() {
        Some(region) => text(region).await?,
        None => DEFAULT_REGION.into(),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(source.bucket())
        .with_region(region.expose_secret())
        .with_client_options(client_options(source))
        .with_retry(retries());
    if let Some(endpoint) = source.endpoint() {
        let endpoint = text(endpoint).await?;
        let endpoint = endpoint.expose_secret().trim_end_matches('/');
        check_endpoint(dataset, endpoint, source.allows_http())?;
        builder = builder.with_endpoint(endpoint);
    }
    Ok(builder)
}

fn secret(dataset: &Dataset, source: SecretError) -> OpenFault {
    OpenFault::Secret {
        dataset: dataset.name().clone(),
        source,
    }
}

/// What the manifest could not judge, because a secret store had it.
fn check_endpoint(dataset: &Dataset, endpoint: &str, allows_http: bool) -> Result<(), OpenFault> {
    let url = Url::parse(endpoint).ok().filter(|url| {
        let plain = url.scheme() == "http" && allows_http;
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        (url.scheme() == "https" || plain) && url.has_host() && bare
    });
    match url {
        Some(_) => Ok(()),
        // Its text may be a secret.
        None => Err(OpenFault::Endpoint {
            dataset: dataset.name().clone(),
        }),
    }
}

fn client_options(source: &S3Source) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(source.allows_http())
        .with_connect_timeout(CONNECT_LIMIT)
        .with_read_timeout(SILENCE_LIMIT)
        .with_timeout(REQUEST_LIMIT)
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: RETRY_LIMIT,
    }
}

/// What S3-compatible servers take where they have no regions, and Amazon's own default.
const DEFAULT_REGION: &str = "us-east-1";

/// A store that is there answers a connection within a fraction of it.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Between two pieces of an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// One request for a part of an object; a row group of 128 MiB at 1 MiB/s takes about as long.
const REQUEST_LIMIT: Duration = Duration::from_secs(120);

/// A store that was away for a moment costs nobody a query; one that stays away is told soon.
const RETRY_LIMIT: Duration = Duration::from_secs(15);

/// A look is one request, or a few for a prefix with thousands of objects.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use spicepod::{App, Source};

    use super::*;

    fn dataset(from: &str) -> (Dataset, S3Source) {
        let manifest = format!(
            "{{version: v1, kind: Spicepod, name: a, datasets: [{{name: Sales.t, from: '{from}', \
             params: {{file_format: csv}}}}]}}"
        );
        let app: App =
            spicepod::parse(&manifest, std::path::Path::new("/srv/spicepod.yaml")).unwrap();
        let dataset = app.datasets()[0].clone();
        let Source::S3(source) = dataset.source().clone() else {
            panic!("the manifest says s3");
        };
        (dataset, source)
    }

    #[test]
    fn a_location_names_the_dataset_and_the_key_and_no_bucket() {
        for (from, location, key) in [
            ("s3://lake/", "s3://sales.t/", ""),
            ("s3://lake/a/", "s3://sales.t/a/", "a"),
            (
                "s3://lake/a b%20/c?d#e.csv",
                "s3://sales.t/a%20b%2520/c%3Fd%23e.csv",
                "a b%20/c?d#e.csv",
            ),
        ] {
            let (dataset, source) = dataset(from);
            let url = super::location(dataset.name(), &source).unwrap();
            assert_eq!(url.as_str(), location);
            assert_eq!(url.prefix().as_ref(), key);
        }
    }

    #[test]
    fn an_endpoint_has_tls_unless_it_was_asked_to_do_without() {
        let (dataset, _) = dataset("s3://lake/t.csv");
        let check = |endpoint, allows| check_endpoint(&dataset, endpoint, allows).is_ok();
        assert!(check("https://minio.local:9000", false));
        assert!(check("http://minio.local:9000", true));
        for refused in [
            "http://minio.local:9000",
            "ftp://minio.local",
            "https://user:word@minio.local",
            "https://minio.local/?a=b",
            "minio.local",
            "https://",
        ] {
            assert!(!check(refused, false), "{refused}");
        }
    }
}
