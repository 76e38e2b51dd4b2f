//! Who is listed as a member, and who no longer.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use cluster_test::{ClusterPlan, Leaf, Listener, LogLine, Node, NodePlan, TestCluster, binary};
use cluster_tls::Role;
use serde_json::Value;
use tokio::time::timeout;

use super::command::spice;
use super::{document, logged_identity};
use crate::fixture::{Fixture, PATIENCE};

/// The members by their address.
async fn members(cluster: &TestCluster) -> Result<BTreeMap<String, Value>> {
    let list = document(cluster.node("scheduler1")?, "/v1/nodes").await?;
    let nodes = list["nodes"].as_array().context("no list")?;
    ensure!(list["total"] == nodes.len(), "{list}");
    let by_address = nodes.iter().map(|node| {
        let address = node["address"].as_str().context("no address")?;
        Ok((address.to_owned(), node.clone()))
    });
    by_address.collect()
}

fn address(node: &Node) -> Result<String> {
    Ok(node.address(Listener::Internal)?.to_string())
}

async fn start(fixture: &Fixture) -> Result<TestCluster> {
    let executors = ["executor1", "executor2"];
    let executors = executors.map(|name| NodePlan::new(name).with_task_slots(3));
    let plan = ClusterPlan::new(binary("spiced")?, fixture.manifest());
    TestCluster::start(plan.with_executors(executors.to_vec())).await
}

#[tokio::test]
async fn a_scheduler_lists_itself_and_its_executors_as_they_proved_themselves() -> Result<()> {
    let fixture = Fixture::new()?;
    let cluster = start(&fixture).await?;
    let members = members(&cluster).await?;
    ensure!(members.len() == 3, "{members:?}");
    let status = document(cluster.node("scheduler1")?, "/v1/status").await?;
    let digest = &status["app"]["digest"];
    ensure!(digest.is_string(), "{status}");
    for name in ["scheduler1", "executor1", "executor2"] {
        let node = cluster.node(name)?;
        let member = &members[&address(node)?];
        let role = name.trim_end_matches(char::is_numeric);
        ensure!(member["role"] == role, "{member}");
        let certificate = &member["certificate"];
        let uri = format!("spiffe://cluster.local/{role}/{name}");
        ensure!(certificate["identity"] == uri, "{member}");
        let serial = certificate["serial"].as_str().context("no serial")?;
        let logged = logged_identity(node)?;
        ensure!(logged.contains(&format!("serial {serial},")), "{logged}");
        ensure!(certificate["not_after_unix_s"].is_u64(), "{member}");
        let executor = role == "executor";
        ensure!(member["version"] == env!("CARGO_PKG_VERSION"), "{member}");
        ensure!(member["app_digest"] == *digest, "{member}");
        ensure!(member["app_differs"] == false, "{member}");
        ensure!(member["app_fault"].is_null(), "{member}");
        ensure!(member["last_seen_s"].is_u64() == executor, "{member}");
        ensure!(member["member_for_s"].is_u64() == executor, "{member}");
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_executor_is_no_longer_listed_and_one_in_its_place_is() -> Result<()> {
    let fixture = Fixture::new()?;
    let mut cluster = start(&fixture).await?;
    let (first, second) = (
        address(cluster.node("executor1")?)?,
        address(cluster.node("executor2")?)?,
    );
    let listed = spice(cluster.node("scheduler1")?, &["nodes"]).await?;
    ensure!(listed.code == Some(0), "{listed:?}");
    ensure!(listed.stdout.contains(&first) && listed.stdout.contains(&second));

    cluster.kill("executor1").await?;
    let gone = |line: &LogLine| {
        line.message() == "executor disconnected" && line.field("executor") == Some(&first)
    };
    cluster.wait_for_event("scheduler1", gone, PATIENCE).await?;
    let left = members(&cluster).await?;
    ensure!(left.len() == 2 && !left.contains_key(&first), "{left:?}");
    ensure!(left.contains_key(&second), "{left:?}");
    let listed = spice(cluster.node("scheduler1")?, &["nodes"]).await?;
    ensure!(!listed.stdout.contains(&first), "{listed:?}");
    ensure!(listed.stdout.contains(&second), "{listed:?}");

    cluster.add_executor(&NodePlan::new("executor1")).await?;
    let third = address(cluster.node("executor1")?)?;
    let back = members(&cluster).await?;
    ensure!(back.len() == 3 && back.contains_key(&third), "{back:?}");
    Ok(())
}

#[tokio::test]
async fn the_task_slots_of_an_executor_are_listed_once_it_told_them() -> Result<()> {
    let fixture = Fixture::new()?;
    let cluster = start(&fixture).await?;
    let executor = cluster.node("executor1")?;
    // The first statistics follow the control stream, and nothing in a log tells of them.
    let told = |member: &Value| !member["task_slots"].is_null();
    let member = listed(&cluster, executor, told).await?;
    ensure!(member["task_slots"] == 3, "{member}");
    ensure!(member["tasks_active"] == 0, "{member}");
    Ok(())
}

#[tokio::test]
async fn a_renewed_executor_is_listed_with_its_new_certificate_and_as_the_member_it_was()
-> Result<()> {
    let fixture = Fixture::new()?;
    let cluster = start(&fixture).await?;
    let executor = cluster.node("executor1")?;
    let before = logged_identity(executor)?;
    let leaf = Leaf::new("executor1").with_role(Role::Executor);
    cluster.pki().write("executor1", &leaf)?;
    let renewed = |line: &LogLine| {
        line.message() == "own certificate" && line.field("identity") != Some(&before)
    };
    executor.log().wait_for(renewed, PATIENCE).await?;
    let after = logged_identity(executor)?;
    let new = |member: &Value| {
        let serial = member["certificate"]["serial"].as_str().unwrap_or_default();
        after.contains(&format!("serial {serial},"))
    };
    listed(&cluster, executor, new).await?;
    ensure!(members(&cluster).await?.len() == 3);
    Ok(())
}

/// Asks for the members until `executor` is listed as `wanted`.
async fn listed(
    cluster: &TestCluster,
    executor: &Node,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let address = address(executor)?;
    let asking = async {
        loop {
            let members = members(cluster).await?;
            if let Some(member) = members.get(&address).filter(|it| wanted(it)) {
                return anyhow::Ok(member.clone());
            }
        }
    };
    let asked = timeout(PATIENCE, asking).await;
    asked.context("the executor is not listed like that")?
}
