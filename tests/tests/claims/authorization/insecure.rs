//! Insecure nodes: nobody can be told from anybody else, so some things are never served.

use anyhow::{Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Node, NodeArguments, Protection};
use cluster_tls::tonic::WithoutIdentity;

use super::calls::{Caller, ensure_denied, ensure_not_denied};
use super::rows::{self, FLIGHT, Row};
use crate::fixture::{Fixture, PATIENCE};

async fn insecure(fixture: &Fixture, mut arguments: NodeArguments) -> Result<Node> {
    arguments.protection = Protection::Insecure;
    Node::start(fixture.launch(&arguments, &[])).await
}

async fn start(fixture: &Fixture) -> Result<(Node, Node)> {
    let unused = fixture.pki().write("unused", &Leaf::new("unused"))?;
    let scheduler = insecure(fixture, fixture.scheduler_with(unused)).await?;
    let executor = insecure(fixture, fixture.executor_of(&scheduler)?).await?;
    Ok((scheduler, executor))
}

#[tokio::test]
async fn an_insecure_node_still_refuses_what_needs_an_identity() -> Result<()> {
    let fixture = Fixture::new()?;
    let (scheduler, executor) = start(&fixture).await?;
    sweep(&scheduler, &rows::scheduler()).await?;
    sweep(&executor, &FLIGHT).await?;
    Ok(())
}

async fn sweep(node: &Node, rows: &[Row]) -> Result<()> {
    let caller = Caller::plaintext(node.address(Listener::Internal)?)?;
    for (path, _, without_identity) in rows {
        let what = format!("{path} without an identity");
        let status = caller.call(path, "").await?;
        if *without_identity == WithoutIdentity::Admit {
            ensure_not_denied(&status, &what)?;
            continue;
        }
        ensure_denied(&status, &what)?;
        let told = |line: &LogLine| {
            line.message() == "call denied"
                && line.field("method") == Some(path)
                && line.field("reason") == Some("no_identity")
        };
        node.log().wait_for(told, PATIENCE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_is_never_among_what_an_insecure_scheduler_serves() -> Result<()> {
    let row = rows::CLUSTER_SERVICE
        .iter()
        .find(|(path, ..)| path.ends_with("/ExpandSecret"));
    ensure!(row.is_some_and(|(.., insecure)| *insecure == WithoutIdentity::Refuse));
    let fixture = Fixture::new()?;
    let (scheduler, _executor) = start(&fixture).await?;
    let caller = Caller::plaintext(scheduler.address(Listener::Internal)?)?;
    let request = cluster_proto::pb::ExpandSecretRequest {
        executor_id: "127.0.0.1:1".to_owned(),
        key: "PASSWORD".to_owned(),
        store: String::new(),
    };
    let message = prost::Message::encode_to_vec(&request);
    let method = "/spice.protobuf.ClusterService/ExpandSecret";
    ensure_denied(&caller.call(method, message).await?, method)
}

#[tokio::test]
async fn an_insecure_node_says_so_loudly() -> Result<()> {
    let fixture = Fixture::new()?;
    let (scheduler, _executor) = start(&fixture).await?;
    let loud = |line: &LogLine| {
        line.field("level") == Some("WARN") && line.message().contains("WITHOUT protection")
    };
    scheduler.log().wait_for(loud, PATIENCE).await?;
    let secure = fixture.scheduler().await?;
    ensure!(!secure.log().lines().iter().any(|line| loud(line)));
    Ok(())
}
