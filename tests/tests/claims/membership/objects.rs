//! The state in an object store.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use cluster_proto::NodeId;
use cluster_scheduler::{
    Access, Departure, Membership, MembershipError, MembershipEvents, MembershipOptions, S3Keys,
    S3Location, StateLocation,
};
use cluster_test::{Node, S3Server};
use futures::future::{join_all, try_join_all};
use serde_json::Value;

use super::trouble::{AWAY, BACK, ready_until};
use super::{Cluster, Place, id, knows_of, list_until, said, says};
use crate::fixture::PATIENCE;

/// Schedulers whose state is in `server`, and their keys to it in a directory of secrets.
fn cluster_on(server: &S3Server, secret: &str) -> Result<Cluster> {
    let settings = format!(
        "{{member_ttl: 3s, state_location: 's3://{}/shared/state', params: {{s3_endpoint: '{}', \
         allow_http: true, s3_key: '${{keys:id}}', s3_secret: '${{keys:secret}}'}}}}",
        S3Server::BUCKET,
        server.endpoint(),
    );
    let stores = "secrets:\n  - {name: keys, from: 'file:keys'}\n";
    let cluster = Cluster::with_scheduler(&settings, stores)?;
    let keys = cluster.fixture.directory().join("keys");
    fs::create_dir(&keys)?;
    fs::write(keys.join("id"), &server.credentials().access_key_id)?;
    fs::write(keys.join("secret"), secret)?;
    Ok(cluster)
}

#[tokio::test]
async fn schedulers_meet_in_an_object_store_and_survive_that_it_hangs() -> Result<()> {
    let server = S3Server::start().await?;
    let cluster = cluster_on(&server, &server.credentials().secret_access_key)?;
    let first = cluster.start("scheduler1").await?;
    let mut second = cluster.start("scheduler2").await?;
    knows_of(&first, 2).await?;
    knows_of(&second, 2).await?;
    server.pause().await?;
    says(&first, AWAY).await?;
    ready_until(&first, 503).await?;
    server.resume().await?;
    says(&first, BACK).await?;
    ready_until(&first, 200).await?;
    ready_until(&second, 200).await?;
    ensure!(!said(&first, "scheduler left") && !said(&second, "scheduler left"));
    second.terminate(PATIENCE).await?;
    list_until(&first, BTreeMap::is_empty).await?;

    let secret = &server.credentials().secret_access_key;
    for node in [&first, &second] {
        ensure!(!node.log().tail(usize::MAX).contains(secret));
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_scheduler_has_its_id_again_in_an_object_store_too() -> Result<()> {
    let server = S3Server::start().await?;
    let cluster = cluster_on(&server, &server.credentials().secret_access_key)?;
    let mut killed = cluster.start("scheduler1").await?;
    let place = Place::of(&killed)?;
    killed.kill().await?;
    let next = Node::start(cluster.launch("scheduler1", place)?).await?;
    ensure!(said(&next, "took over the id of this scheduler"));
    ensure!(cluster.schedulers_of(&next).await? == [id(&next)?]);
    Ok(())
}

#[tokio::test]
async fn a_store_that_refuses_is_told_at_the_start_without_the_secret() -> Result<()> {
    let server = S3Server::start().await?;
    let cluster = cluster_on(&server, "not-the-secret")?;
    let (status, log) = Node::run_to_end(cluster.launch("scheduler1", Place::ANY)?).await?;
    ensure!(status.code() == Some(1), "{status}");
    let told = log.tail(usize::MAX);
    ensure!(
        told.contains("cannot be kept at s3://data/shared/state"),
        "{told}"
    );
    ensure!(!told.contains("not-the-secret"), "{told}");
    Ok(())
}

/// A membership that nobody listens to.
struct Unheard;

impl MembershipEvents for Unheard {
    fn waiting_for_id(&self, _: &NodeId, _: &str, _: Duration) {}
    fn took_over(&self, _: &NodeId, _: &str, _: &'static str) {}
    fn joined_again(&self, _: &NodeId) {}
    fn left(&self) {}
    fn not_left(&self, _: &(dyn std::error::Error + 'static)) {}
    fn scheduler_joined(&self, _: &NodeId, _: usize) {}
    fn scheduler_restarted(&self, _: &NodeId) {}
    fn scheduler_left(&self, _: &NodeId, _: usize, _: Departure) {}
    fn app_differs(&self, _: &NodeId, _: &str, _: &str) {}
    fn app_agrees(&self, _: &NodeId, _: &str) {}
    fn state_failed(&self, _: Access, _: &(dyn std::error::Error + 'static)) {}
    fn state_recovered(&self, _: Access, _: Duration) {}
    fn state_reached(&self, _: Access, _: Duration) {}
}

#[expect(clippy::expect_used, reason = "a constant name and a port")]
async fn member(server: &S3Server, port: u16) -> Result<Membership, MembershipError> {
    let keys = server.credentials();
    let opened = Membership::open(MembershipOptions {
        node_id: NodeId::new("localhost", port).expect("a valid id"),
        http_address: None,
        version: "1".to_owned(),
        app_digest: "0".repeat(64),
        ttl: Duration::from_secs(30),
        location: StateLocation::S3(S3Location {
            bucket: S3Server::BUCKET.to_owned(),
            prefix: "writers".to_owned(),
            endpoint: Some(server.endpoint()),
            region: None,
            keys: Some(S3Keys {
                key: keys.access_key_id.clone().into(),
                secret: keys.secret_access_key.clone().into(),
                session_token: None,
            }),
            allow_http: true,
        }),
        events: Arc::new(Unheard),
    });
    opened.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_at_once_are_all_members_in_the_end() -> Result<()> {
    let server = S3Server::start().await?;
    let members = try_join_all((1..=WRITERS).map(|port| member(&server, port))).await?;
    try_join_all(members.iter().map(Membership::join)).await?;
    let held = held(&server).await?;
    ensure!(held.len() == usize::from(WRITERS), "{held:?}");

    join_all(members.into_iter().map(Membership::leave)).await;
    let held = self::held(&server).await?;
    ensure!(held.is_empty(), "{held:?}");
    Ok(())
}

const WRITERS: u16 = 8;

async fn held(server: &S3Server) -> Result<Vec<String>> {
    use object_store_cloud::ObjectStoreExt;
    let client = server.client(server.credentials())?;
    let document = client.get(&"writers/cluster.json".into()).await?;
    let document: Value = serde_json::from_slice(&document.bytes().await?)?;
    let members = document["schedulers"].as_object();
    Ok(members
        .into_iter()
        .flat_map(|it| it.keys().cloned())
        .collect())
}
