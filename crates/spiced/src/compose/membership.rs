//! The scheduler's place among the schedulers of its cluster.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cluster_proto::NodeId;
use cluster_scheduler::{
    DEFAULT_MEMBER_TTL, Membership, MembershipError, MembershipOptions, S3Keys, S3Location,
    StateLocation,
};
use secrecy::{ExposeSecret, SecretString};
use spice_runtime::{LocalSecrets, SecretError, SecretStores, expand};
use spicepod::{App, ParamValue, S3Auth, S3State};
use tokio_util::sync::CancellationToken;

use super::{Node, described};

/// What the spicepod says about the state that schedulers share.
pub(super) struct StateSettings {
    location: StateLocation,
    member_ttl: Duration,
}

impl StateSettings {
    /// Those of `app`, with the secrets that they refer to; where it says nothing, a directory
    /// below `data_dir`, so that one scheduler needs nothing else.
    pub(super) async fn of(
        app: &App,
        secrets: &LocalSecrets,
        data_dir: &Path,
    ) -> anyhow::Result<Self> {
        let settings = app.scheduler();
        let location = match settings.state_location() {
            None => StateLocation::Directory(data_dir.join("state")),
            Some(spicepod::StateLocation::File { path }) => StateLocation::Directory(path.into()),
            Some(spicepod::StateLocation::S3(s3)) => {
                let resolved = s3_location(s3, &secrets.stores_of(app)).await;
                StateLocation::S3(resolved.context("runtime.scheduler.params")?)
            }
        };
        Ok(Self {
            location,
            member_ttl: settings.member_ttl().unwrap_or(DEFAULT_MEMBER_TTL),
        })
    }
}

async fn s3_location(s3: &S3State, secrets: &SecretStores) -> Result<S3Location, SecretError> {
    let text = async |value: &Option<ParamValue>| match value {
        Some(value) => expand(value, secrets).await.map(Some),
        None => Ok(None),
    };
    let plain = |value: SecretString| value.expose_secret().to_owned();
    let keys = match &s3.auth {
        S3Auth::Public => None,
        S3Auth::Key {
            key,
            secret,
            session_token,
        } => Some(S3Keys {
            key: expand(key, secrets).await?,
            secret: expand(secret, secrets).await?,
            session_token: text(session_token).await?,
        }),
    };
    Ok(S3Location {
        bucket: s3.bucket.clone(),
        prefix: s3.prefix.clone(),
        endpoint: text(&s3.endpoint).await?.map(plain),
        region: text(&s3.region).await?.map(plain),
        keys,
        allow_http: s3.allow_http,
    })
}

/// Opens the shared state for the scheduler `node_id`, which starts with `app`.
pub(super) async fn open(
    node: &Node,
    node_id: &NodeId,
    app: &App,
    settings: StateSettings,
) -> anyhow::Result<Membership> {
    let http = node.listeners.http.as_ref();
    let http = http.and_then(|listener| listener.local_addr().ok());
    tracing::info!(location = %settings.location, "cluster state");
    node.observer.show_membership();
    let opened = Membership::open(MembershipOptions {
        http_address: http.map(|bound| advertised(bound, node_id)),
        node_id: node_id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        app_digest: app.digest().to_owned(),
        ttl: settings.member_ttl,
        location: settings.location,
        events: Arc::clone(&node.observer) as _,
    });
    opened.await.map_err(described)
}

/// Whether a scheduler became a member, or was told to stop first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Member,
    Stopped,
}

/// Waits for the id of this scheduler to be free.
pub(super) async fn join(
    membership: &Membership,
    shutdown: &CancellationToken,
) -> Result<Admission, MembershipError> {
    tokio::select! {
        joined = membership.join() => joined.map(|()| Admission::Member),
        () = shutdown.cancelled() => Ok(Admission::Stopped),
    }
}

/// Where others reach a listener that is bound to all addresses.
fn advertised(bound: SocketAddr, node_id: &NodeId) -> String {
    if bound.ip().is_unspecified() {
        let named = NodeId::new(node_id.host(), bound.port());
        named.map_or_else(|_| bound.to_string(), |named| named.to_string())
    } else {
        bound.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_told_by_the_name_of_the_node() {
        let node = "scheduler1:50052".parse().unwrap();
        let told = |bound: &str| advertised(bound.parse().unwrap(), &node);
        assert_eq!(told("0.0.0.0:8090"), "scheduler1:8090");
        assert_eq!(told("[::]:8090"), "scheduler1:8090");
        assert_eq!(told("127.0.0.1:8090"), "127.0.0.1:8090");
    }
}
