//! Who is refused by the node that dialled, and what the other side learns of it.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Node, Protection, http_get};
use cluster_tls::Role;

use crate::fixture::{Fixture, PATIENCE};

async fn peer_refused(node: &Node, reason: &str) -> Result<Arc<LogLine>> {
    let wanted = |line: &LogLine| {
        line.message() == "peer refused"
            && line.field("side") == Some("dialled")
            && line.field("reason") == Some(reason)
    };
    let line = node.log().wait_for(wanted, PATIENCE).await;
    line.with_context(|| format!("no peer refused as {reason}"))
}

/// The dialled side sees no more than an alert, and says so.
async fn alerted(node: &Node) -> Result<()> {
    let wanted = |line: &LogLine| {
        line.message() == "connection refused" && line.field("reason") == Some("peer_alert")
    };
    let line = node.log().wait_for(wanted, PATIENCE).await?;
    let detail = line.field("detail").unwrap_or_default();
    ensure!(detail.contains("refused us"), "{}", line.raw());
    Ok(())
}

fn said(node: &Node, message: &str) -> bool {
    let lines = node.log().lines();
    lines.iter().any(|line| line.message() == message)
}

/// Whether `scheduler` has an executor.
async fn has_an_executor(scheduler: &Node) -> Result<bool> {
    let http = scheduler.address(Listener::Http)?;
    let reply = http_get(http, "/v1/ready?min_ready_executors=1").await?;
    Ok(reply.status == 200)
}

async fn scheduler_named<const N: usize>(fixture: &Fixture, names: [&str; N]) -> Result<Node> {
    let leaf = Leaf::new("scheduler1")
        .with_role(Role::Scheduler)
        .with_names(names);
    let mut arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &leaf)?);
    names[0].clone_into(&mut arguments.host);
    Node::start(fixture.launch(&arguments, &[])).await
}

#[tokio::test]
async fn a_scheduler_whose_certificate_lacks_the_dialled_name_gets_no_executor() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = scheduler_named(&fixture, ["scheduler1.test", "127.0.0.2"]).await?;
    let arguments = fixture.executor_of(&scheduler)?;
    let executor = Node::spawn(fixture.launch(&arguments, &[]))?;
    let line = peer_refused(&executor, "wrong_name").await?;
    let detail = line.field("detail").unwrap_or_default();
    ensure!(detail.contains("127.0.0.1"), "{}", line.raw());
    ensure!(line.raw().contains("scheduler1.test"), "{}", line.raw());
    alerted(&scheduler).await?;
    ensure!(!has_an_executor(&scheduler).await?);
    ensure!(!said(&executor, "ready") && !said(&scheduler, "executor connected"));
    Ok(())
}

#[tokio::test]
async fn a_scheduler_whose_certificate_has_the_dialled_name_gets_its_executor() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = scheduler_named(&fixture, ["scheduler1.test", "127.0.0.1"]).await?;
    let _executor = fixture.executor(&scheduler).await?;
    let connected = |line: &LogLine| line.message() == "executor connected";
    scheduler.log().wait_for(connected, PATIENCE).await?;
    ensure!(has_an_executor(&scheduler).await?);
    Ok(())
}

#[tokio::test]
async fn an_executor_is_not_taken_for_a_scheduler() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let executor = fixture.executor(&scheduler).await?;
    let leaf = Leaf::new("executor2").with_role(Role::Executor);
    let port = executor.address(Listener::Internal)?.port();
    let mut arguments = fixture.executor_with(fixture.pki().write("executor2", &leaf)?, port);
    arguments.data = fixture.directory().join("executor2-data");
    let misled = Node::spawn(fixture.launch(&arguments, &[]))?;
    let line = peer_refused(&misled, "wrong_role").await?;
    let detail = line.field("detail").unwrap_or_default();
    ensure!(detail.contains("executor"), "{}", line.raw());
    alerted(&executor).await?;
    ensure!(!said(&misled, "ready"));
    Ok(())
}

#[tokio::test]
async fn an_executor_does_not_talk_to_a_scheduler_of_another_authority() -> Result<()> {
    let fixture = Fixture::new()?;
    let foreign = Fixture::new()?;
    let scheduler = foreign.scheduler().await?;
    let arguments = fixture.executor_of(&scheduler)?;
    let executor = Node::spawn(fixture.launch(&arguments, &[]))?;
    peer_refused(&executor, "unknown_issuer").await?;
    alerted(&scheduler).await?;
    ensure!(!said(&executor, "ready"));
    Ok(())
}

#[tokio::test]
async fn a_secure_executor_does_not_talk_to_an_insecure_scheduler() -> Result<()> {
    let fixture = Fixture::new()?;
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let mut arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &leaf)?);
    arguments.protection = Protection::Insecure;
    let scheduler = Node::start(fixture.launch(&arguments, &[])).await?;
    let arguments = fixture.executor_of(&scheduler)?;
    let executor = Node::spawn(fixture.launch(&arguments, &[]))?;
    let refused = |line: &LogLine| line.message() == "peer refused";
    let line = executor.log().wait_for(refused, PATIENCE).await?;
    ensure!(
        matches!(line.field("reason"), Some("plaintext" | "closed")),
        "{}",
        line.raw()
    );
    ensure!(!said(&executor, "ready") && !said(&scheduler, "executor connected"));
    Ok(())
}

#[tokio::test]
async fn an_insecure_executor_does_not_get_into_a_secure_cluster() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let mut arguments = fixture.executor_of(&scheduler)?;
    arguments.protection = Protection::Insecure;
    let executor = Node::spawn(fixture.launch(&arguments, &[]))?;
    let refused = |line: &LogLine| {
        line.message() == "connection refused" && line.field("reason") == Some("plaintext")
    };
    scheduler.log().wait_for(refused, PATIENCE).await?;
    ensure!(!said(&executor, "ready") && !said(&scheduler, "executor connected"));
    ensure!(!has_an_executor(&scheduler).await?);
    Ok(())
}

#[tokio::test]
async fn a_node_does_not_start_with_the_certificate_of_another_role() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let port = scheduler.address(Listener::Internal)?.port();
    for role in [Role::Client, Role::Scheduler] {
        let leaf = Leaf::new("executor1").with_role(role);
        let arguments = fixture.executor_with(fixture.pki().write(role.as_str(), &leaf)?, port);
        let (status, log) = Node::run_to_end(fixture.launch(&arguments, &[])).await?;
        let end = log.tail(3);
        ensure!(status.code() == Some(1), "{status}: {end}");
        ensure!(end.contains(&format!("a node with role {role}")), "{end}");
        ensure!(
            end.contains("spice cluster tls add NAME --role executor"),
            "{end}"
        );
    }
    ensure!(!has_an_executor(&scheduler).await?);
    Ok(())
}
