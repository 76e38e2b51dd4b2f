//! Which executors are given tasks, and what the tasks say.

use anyhow::{Context, Result, ensure};
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource,
    ExecutorSpecification, PollWorkParams, TaskDefinition,
};
use cluster_test::{Listener, SqlClient};

use super::peer::{ID, Peer, caller, digest_of};
use crate::authorization::calls::Caller;
use crate::definition::until;
use crate::fixture::Fixture;

/// Asks for work once, as the executor `id` of the run `run1` with one slot.
async fn poll(caller: &Caller, id: &str) -> Result<Vec<TaskDefinition>> {
    let (host, port) = id.rsplit_once(':').context("no host:port")?;
    let (host, port) = (host.to_owned(), port.parse()?);
    let resource = Some(Resource::Vcores(1));
    let metadata = ExecutorRegistration {
        id: format!("{id}#run1"),
        host: Some(host),
        port,
        grpc_port: port,
        specification: Some(ExecutorSpecification {
            resources: vec![ExecutorResource { resource }],
        }),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    let params = PollWorkParams {
        num_free_vcores: 1,
        metadata: Some(metadata),
        task_status: vec![],
    };
    let mut client = SchedulerGrpcClient::new(caller.channel());
    Ok(client.poll_work(params).await?.into_inner().tasks)
}

#[tokio::test]
async fn tasks_name_their_definition_and_go_to_executors_that_have_it_open() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let digest = digest_of(&scheduler).await?;
    let able = caller(&fixture, &scheduler, "executor9")?;
    let able_peer = Peer::open(&able, ID, "run1").await?;
    able_peer.loaded(&digest).await?;
    let unable = caller(&fixture, &scheduler, "executor8")?;
    let _unable_peer = Peer::open(&unable, OTHER, "run1").await?;
    ensure!(poll(&able, ID).await?.is_empty() && poll(&unable, OTHER).await?.is_empty());

    let flight = scheduler.address(Listener::Flight)?;
    let query = tokio::spawn(async move {
        let mut client = SqlClient::connect(flight).await?;
        client.query("SELECT count(*) FROM numbers").await
    });
    // The one that cannot asks first each time.
    let ask = || async {
        let refused = poll(&unable, OTHER).await?;
        ensure!(refused.is_empty(), "{refused:?}");
        poll(&able, ID).await
    };
    let tasks = until(ask, |tasks| !tasks.is_empty()).await?;
    let named = tasks[0]
        .props
        .iter()
        .find(|it| it.key == "spice.app_digest");
    let named = named.and_then(|setting| setting.value.as_deref());
    ensure!(named == Some(digest.as_str()), "{named:?}");
    query.abort();
    Ok(())
}

const OTHER: &str = "127.0.0.1:8";
