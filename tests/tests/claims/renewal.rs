//! Certificates that change while the nodes run: renewed, exchanged, revoked.

mod administrator;
mod load;
mod rotation;

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Metrics, Node};
use cluster_tls::{CredentialPaths, PeerPolicy, Role, SystemClock};

use crate::fixture::{Fixture, PATIENCE};
use crate::refusals::stranger::{Answer, Stranger};

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let before = own_serial(&scheduler)?;
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    fixture.pki().write("scheduler1", &leaf)?;
    happened(&scheduler, "credentials renewed").await?;
    let renewed = |line: &LogLine| {
        let identity = line.field("identity").unwrap_or_default();
        line.message() == "own certificate" && !identity.contains(&before)
    };
    scheduler.log().wait_for(renewed, PATIENCE).await?;
    // It serves with the new one: an executor that starts now gets along with it.
    fixture.executor(&scheduler).await?;
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_the_node_is_not_taken_and_said_once() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    for (leaf, word) in [
        (
            Leaf::new("scheduler1").with_role(Role::Executor),
            "role executor",
        ),
        (
            Leaf::new("scheduler1")
                .with_names(["scheduler1"])
                .with_role(Role::Scheduler),
            "--node-advertise-address",
        ),
        (
            Leaf::new("scheduler2").with_role(Role::Scheduler),
            "this node is spiffe://cluster.local/scheduler/scheduler1",
        ),
    ] {
        fixture.pki().write("scheduler1", &leaf)?;
        let rejected = |line: &LogLine| {
            let error = line.field("error").unwrap_or_default();
            line.message() == "credentials rejected, those in use stay" && error.contains(word)
        };
        scheduler.log().wait_for(rejected, PATIENCE).await?;
        // Asked for, it says so again: until then the same fault was told once.
        let told = scheduler.log().lines();
        ensure!(told.iter().filter(|line| rejected(line)).count() == 1);
    }
    let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
    let rejected = metrics.sum_where("runtime_tls_reload_total", "reason=\"unfit\"");
    ensure!(
        rejected.is_some_and(|count| count >= 1.0),
        "{}",
        metrics.text()
    );
    // What it had is what it still serves with.
    fixture.executor(&scheduler).await?;
    Ok(())
}

#[tokio::test]
async fn a_hangup_signal_asks_for_a_look_and_gets_an_answer() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    scheduler.hang_up().await?;
    happened(&scheduler, "credentials unchanged").await?;
    let stranger = Stranger::with(&fixture.pki().issue(&executor())?);
    let answer = stranger
        .knock(
            [127, 0, 0, 1].into(),
            scheduler.address(Listener::Internal)?,
        )
        .await?;
    ensure!(answer == Answer::Served, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_denied_executor_is_cut_at_once_and_stays_out_while_others_stay_in() -> Result<()> {
    let fixture = Fixture::new()?;
    let denied = fixture.directory().join("denied.txt");
    fs::write(&denied, "# nobody yet\n")?;
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &leaf)?);
    let flags = ["--node-mtls-deny-list-file", &denied.display().to_string()];
    let scheduler = Node::start(fixture.launch(&arguments, &flags)).await?;
    let executor = fixture.executor(&scheduler).await?;
    happened(&scheduler, "executor connected").await?;

    let serial = own_serial(&executor)?;
    let revoked_at = Instant::now();
    fs::write(&denied, format!("{serial}  # stolen\n"))?;
    let cut = |line: &LogLine| {
        line.message() == "connection cut" && line.field("cause") == Some("revoked")
    };
    scheduler.log().wait_for(cut, PATIENCE).await?;
    let took = revoked_at.elapsed();
    // The poll interval, the time to settle, and one second.
    let limit = cluster_tls::POLL_INTERVAL + cluster_tls::SETTLE_TIME + SECOND;
    ensure!(took < limit, "the connection lived on for {took:?}");
    let refused = |line: &LogLine| {
        line.message() == "connection refused" && line.field("reason") == Some("revoked")
    };
    scheduler.log().wait_for(refused, PATIENCE).await?;

    let other = fixture
        .pki()
        .issue(&Leaf::new("executor2").with_role(Role::Executor))?;
    let answer = Stranger::with(&other)
        .knock(
            [127, 0, 0, 1].into(),
            scheduler.address(Listener::Internal)?,
        )
        .await?;
    ensure!(answer == Answer::Served, "{answer:?}");
    let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
    let closed = metrics.sum_where("spiced_tls_connections_closed_total", "cause=\"revoked\"");
    ensure!(
        closed.is_some_and(|count| count >= 1.0),
        "{}",
        metrics.text()
    );
    Ok(())
}

#[tokio::test]
async fn a_node_whose_own_certificate_is_denied_refuses_to_start() -> Result<()> {
    let fixture = Fixture::new()?;
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let paths = fixture.pki().write("scheduler1", &leaf)?;
    let denied = fixture.directory().join("denied.txt");
    fs::write(&denied, serial_of(&paths)?)?;
    let arguments = fixture.scheduler_with(paths);
    let flags = ["--node-mtls-deny-list-file", &denied.display().to_string()];
    let (status, log) = Node::run_to_end(fixture.launch(&arguments, &flags)).await?;
    ensure!(status.code() == Some(1), "{status}");
    ensure!(log.tail(5).contains("deny-list"), "{}", log.tail(5));
    Ok(())
}

async fn happened(node: &Node, message: &str) -> Result<Arc<LogLine>> {
    let wanted = |line: &LogLine| line.message() == message;
    let line = node.log().wait_for(wanted, PATIENCE).await;
    line.with_context(|| format!("{} does not say {message:?}", node.name()))
}

/// The serial number in the first line in which a node says who it is.
fn own_serial(node: &Node) -> Result<String> {
    let lines = node.log().lines();
    let own = |line: &&Arc<LogLine>| line.message() == "own certificate";
    let line = lines
        .iter()
        .find(own)
        .context("it does not say who it is")?;
    let identity = line.field("identity").unwrap_or_default();
    let serial = identity.split("(serial ").nth(1);
    let serial = serial.and_then(|rest| rest.split(',').next());
    Ok(serial.context("no serial number")?.to_owned())
}

fn serial_of(paths: &CredentialPaths) -> Result<String> {
    let snapshot = cluster_tls::load(paths, Arc::new(SystemClock), PeerPolicy::default())?;
    Ok(snapshot.own().serial().to_owned())
}

fn executor() -> Leaf {
    Leaf::new("executor1").with_role(Role::Executor)
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
