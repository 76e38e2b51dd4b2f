//! Every method with every role.

use anyhow::{Result, ensure};
use cluster_test::Node;
use cluster_tls::Role;
use cluster_tls::tonic::WithoutIdentity;
use tonic::Code;

use super::calls::{Caller, ensure_denied, ensure_not_denied};
use super::rows::{self, CLUSTER_SERVICE, FLIGHT, ROLES, Row};
use super::{Scene, call_denied, holder_of};

/// The methods that the service description of the wire declares.
fn declared() -> Vec<String> {
    PROTO
        .lines()
        .filter_map(|line| line.trim().strip_prefix("rpc ")?.split_once('('))
        .map(|(name, _)| format!("/spice.protobuf.ClusterService/{name}"))
        .collect()
}

#[test]
fn every_method_that_the_wire_declares_has_a_row() -> Result<()> {
    let mut declared = declared();
    let mut rows: Vec<String> = CLUSTER_SERVICE.map(|(path, ..)| path.to_owned()).to_vec();
    declared.sort();
    rows.sort();
    ensure!(
        declared == rows,
        "{declared:?} are declared, {rows:?} are rows"
    );
    ensure!(PROTO.matches("\nservice ").count() == 1);
    Ok(())
}

#[test]
fn the_tables_in_the_code_are_the_ones_written_here() -> Result<()> {
    let scheduler = cluster_scheduler::AUTHORIZATION_TABLE.iter();
    let scheduler = scheduler.map(|row| (row.path, row.roles, row.without_identity));
    same_rows(scheduler.collect(), &rows::scheduler())?;
    let executor = cluster_executor::AUTHORIZATION_TABLE.iter();
    let executor = executor.map(|row| (row.path, row.roles, row.without_identity));
    same_rows(executor.collect(), &FLIGHT)
}

type CodeRow = (&'static str, &'static [Role], WithoutIdentity);

fn same_rows(mut code: Vec<CodeRow>, here: &[Row]) -> Result<()> {
    let mut here: Vec<CodeRow> = here
        .iter()
        .map(|(path, callers, insecure)| (*path, callers.roles(), *insecure))
        .collect();
    code.sort_by_key(|(path, ..)| *path);
    here.sort_by_key(|(path, ..)| *path);
    ensure!(code == here, "in the code: {code:#?}, here: {here:#?}");
    Ok(())
}

#[tokio::test]
async fn a_scheduler_denies_every_method_to_every_role_that_its_row_does_not_have() -> Result<()> {
    let scene = Scene::start().await?;
    for role in ROLES {
        let caller = scene.to_scheduler(&holder_of(role))?;
        sweep(&caller, role, &rows::scheduler(), &scene.scheduler).await?;
    }
    scene.still_answers().await
}

#[tokio::test]
async fn an_executor_denies_every_method_to_every_role_that_its_row_does_not_have() -> Result<()> {
    let scene = Scene::start().await?;
    for role in ROLES {
        let caller = scene.to_executor(&holder_of(role))?;
        sweep(&caller, role, &FLIGHT, &scene.executor).await?;
    }
    scene.still_answers().await
}

/// Calls everything with an empty message: whoever may call gets some answer, and nobody else
/// gets further than the denial, which the node tells.
async fn sweep(caller: &Caller, role: Role, rows: &[Row], node: &Node) -> Result<()> {
    for (path, callers, _) in rows {
        let what = format!("{path} by {role}");
        let status = caller.call(path, "").await?;
        if callers.include(role) {
            ensure_not_denied(&status, &what)?;
        } else {
            ensure_denied(&status, &what)?;
            let line = call_denied(node, path, role, "role").await?;
            let peer = line.field("peer").unwrap_or_default();
            ensure!(peer.contains("caller"), "{what}: {}", line.raw());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_method_without_a_row_is_denied_to_everybody_and_not_named() -> Result<()> {
    let scene = Scene::start().await?;
    let caller = scene.to_scheduler(&holder_of(Role::Node))?;
    for path in [
        "/spice.protobuf.ClusterService/Nothing",
        "/spice.protobuf.ClusterService/getAppDefinition",
        "/spice.protobuf.ClusterService/GetAppDefinition/",
        "/ballista.protobuf.SchedulerGrpc/Nothing",
    ] {
        ensure_denied(&caller.call(path, "").await?, path)?;
    }
    call_denied(&scene.scheduler, "(no row)", Role::Node, "unknown_method").await?;
    let caller = scene.to_executor(&holder_of(Role::Node))?;
    let path = "/arrow.flight.protocol.FlightService/Nothing";
    ensure_denied(&caller.call(path, "").await?, path)?;
    call_denied(&scene.executor, "(no row)", Role::Node, "unknown_method").await?;
    Ok(())
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_told_from_a_method_that_is_denied() -> Result<()> {
    let scene = Scene::start().await?;
    let client = scene.to_scheduler(&holder_of(Role::Client))?;
    for path in [
        "/ballista.protobuf.ExecutorGrpc/LaunchTask",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
        "/",
    ] {
        let status = client.call(path, "").await?;
        ensure!(status.code() == Code::Unimplemented, "{path}: {status:?}");
    }
    Ok(())
}

const PROTO: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/cluster-proto/proto/cluster.proto"
));
