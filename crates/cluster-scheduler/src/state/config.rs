use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::backoff::Backoff;
use super::cluster::ClusterState;
use super::error::{OpenError, StoreError};
use super::file_store::FileStore;
use super::probe::probe;
use super::s3_store::S3Store;
use super::store::StateStore;

/// Where the schedulers of a cluster keep what they share.
#[derive(Debug)]
pub enum StateLocation {
    /// In a directory: for the schedulers of one machine.
    Directory(PathBuf),
    /// In an object store that speaks S3 and keeps conditions on writes.
    S3(S3Location),
}

/// A place in an object store, and how to get there.
#[derive(Debug)]
pub struct S3Location {
    /// The bucket, which has to be there.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// Its URL; that of AWS where there is none, here or in `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Its region; `AWS_REGION` or `us-east-1` where there is none.
    pub region: Option<String>,
    /// Who this node is to it; what the environment of an AWS client says where there are none.
    pub keys: Option<S3Keys>,
    /// Whether an endpoint without TLS may be used.
    pub allow_http: bool,
}

/// A key of an object store, with its values.
#[derive(Debug)]
pub struct S3Keys {
    /// The access key id.
    pub key: SecretString,
    /// The secret access key.
    pub secret: SecretString,
    /// The token that temporary keys come with.
    pub session_token: Option<SecretString>,
}

impl fmt::Display for StateLocation {
    /// As a manifest writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "file://{}", path.display()),
            Self::S3(s3) if s3.prefix.is_empty() => write!(f, "s3://{}", s3.bucket),
            Self::S3(s3) => write!(f, "s3://{}/{}", s3.bucket, s3.prefix),
        }
    }
}

/// Opens the state at `location`, every call to which has `patience`. An object store is tried
/// first: one that ignores conditions is refused.
pub(crate) async fn open(
    location: StateLocation,
    patience: Duration,
) -> Result<ClusterState, OpenError> {
    let place = location.to_string();
    let store: Arc<dyn StateStore> = match location {
        StateLocation::Directory(path) => {
            let opened = tokio::task::spawn_blocking(move || FileStore::open(&path, patience));
            let opened = opened.await.map_err(|_| OpenError::Unusable {
                place: place.clone(),
                source: StoreError::Stopping,
            })?;
            Arc::new(opened?)
        }
        StateLocation::S3(location) => {
            let store = S3Store::new(&location, patience).map_err(|error| OpenError::Settings {
                place: place.clone(),
                source: Box::new(error),
            })?;
            probe(&store, &place).await?;
            Arc::new(store)
        }
    };
    Ok(ClusterState::new(store, place, Backoff::NETWORK))
}
