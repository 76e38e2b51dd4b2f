//! What nodes tell about themselves over HTTP, and what `spice` makes of it.

pub(crate) mod command;
mod datasets;
mod members;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use cluster_test::{Leaf, Listener, LogLine, Node, Protection, http_get};
use cluster_tls::Role;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PATIENCE};
use command::spice;
pub(crate) use command::standalone;

/// The document at `path`, where there must be one.
pub(crate) async fn document(node: &Node, path: &str) -> Result<Value> {
    let reply = http_get(node.address(Listener::Http)?, path).await?;
    ensure!(
        reply.status == 200,
        "{path}: {} {}",
        reply.status,
        reply.body
    );
    Ok(serde_json::from_str(&reply.body)?)
}

/// The serial number with which a node introduced itself last in its log.
fn logged_identity(node: &Node) -> Result<String> {
    let lines = node.log().lines();
    let own = |line: &LogLine| line.message() == "own certificate";
    let line = lines.iter().rev().find(|line| own(line));
    let identity = line.and_then(|line| Some(line.field("identity")?.to_owned()));
    identity.context("the node did not say who it is")
}

#[tokio::test]
async fn a_scheduler_tells_who_it_is_and_where_and_until_when() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let status = document(&scheduler, "/v1/status").await?;
    ensure!(status["role"] == "scheduler", "{status}");
    ensure!(status["version"] == env!("CARGO_PKG_VERSION"), "{status}");
    ensure!(status["ready"] == true, "{status}");
    let internal = scheduler.address(Listener::Internal)?;
    ensure!(status["address"] == internal.to_string(), "{status}");
    for listener in Listener::ALL {
        let address = scheduler.address(listener)?;
        let entry = json!({"name": listener.as_str(), "address": address});
        let listeners = status["listeners"].as_array().context("no list")?;
        ensure!(listeners.contains(&entry), "no {entry} in {status}");
    }
    let security = &status["security"];
    ensure!(security["mode"] == "mtls", "{status}");
    let own = &security["certificate"];
    let uri = "spiffe://cluster.local/scheduler/scheduler1";
    ensure!(
        own["identity"] == uri && own["role"] == "scheduler",
        "{own}"
    );
    ensure!(own["revoked"] == false, "{own}");
    let serial = own["serial"].as_str().context("no serial")?;
    let logged = logged_identity(&scheduler)?;
    ensure!(logged.contains(&format!("serial {serial},")), "{logged}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let not_after = own["not_after_unix_s"].as_u64().context("no end")?;
    ensure!((now..=now + 86_400).contains(&not_after), "{own}");
    let roots = security["roots"].as_array().context("no roots")?;
    ensure!(roots.len() == 1, "{status}");
    let until = roots[0]["not_after_unix_s"].as_u64();
    ensure!(until.is_some_and(|until| until > now), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_status_holds_no_path_and_no_key() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let executor = fixture.executor(&scheduler).await?;
    let directory = fixture.directory().display().to_string();
    for node in [&scheduler, &executor] {
        let text = document(node, "/v1/status").await?.to_string();
        for word in [directory.as_str(), ".pem", "BEGIN", "PRIVATE"] {
            ensure!(!text.contains(word), "{word} in {text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_renewed_certificate_is_the_one_that_is_told() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let before = document(&scheduler, "/v1/status").await?;
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    fixture.pki().write("scheduler1", &leaf)?;
    let renewed = |line: &LogLine| line.message() == "credentials renewed";
    scheduler.log().wait_for(renewed, PATIENCE).await?;
    let serial = |status: &Value| status["security"]["certificate"]["serial"].clone();
    let after = document(&scheduler, "/v1/status").await?;
    ensure!(serial(&before) != serial(&after), "{after}");
    Ok(())
}

#[tokio::test]
async fn files_that_are_not_used_are_told_until_good_ones_are_there() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let own = async || -> Result<Value> {
        let status = document(&scheduler, "/v1/status").await?;
        Ok(status["security"]["certificate"].clone())
    };
    let before = own().await?;
    ensure!(before["rejected"] == Value::Null, "{before}");
    for (role, message, rejected) in [
        (Role::Executor, REJECTED, Value::from("unfit")),
        (Role::Scheduler, "credentials renewed", Value::Null),
    ] {
        let leaf = Leaf::new("scheduler1").with_role(role);
        fixture.pki().write("scheduler1", &leaf)?;
        let happened = |line: &LogLine| line.message() == message;
        scheduler.log().wait_for(happened, PATIENCE).await?;
        let after = own().await?;
        ensure!(after["rejected"] == rejected, "{after}");
        ensure!(
            (after["serial"] == before["serial"]) == (message == REJECTED),
            "{after}"
        );
    }
    Ok(())
}

const REJECTED: &str = "credentials rejected, those in use stay";

#[tokio::test]
async fn an_executor_tells_about_itself_and_sends_whoever_wants_more_to_a_scheduler() -> Result<()>
{
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let executor = fixture.executor(&scheduler).await?;
    let status = document(&executor, "/v1/status").await?;
    ensure!(status["role"] == "executor", "{status}");
    let internal = executor.address(Listener::Internal)?;
    ensure!(status["address"] == internal.to_string(), "{status}");
    let own = &status["security"]["certificate"];
    let uri = "spiffe://cluster.local/executor/executor1";
    ensure!(own["identity"] == uri, "{status}");
    let reply = http_get(executor.address(Listener::Http)?, "/v1/nodes").await?;
    ensure!(reply.status == 404, "{reply:?}");
    ensure!(reply.body.contains("not_a_scheduler"), "{reply:?}");
    let ended = spice(&executor, &["nodes"]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    ensure!(ended.stderr.contains("http://SCHEDULER:8090"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn an_executor_that_waits_for_its_scheduler_is_not_ready_and_says_so() -> Result<()> {
    let fixture = Fixture::new()?;
    let leaf = Leaf::new("executor1").with_role(Role::Executor);
    // It is listened there, and nobody ever answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let paths = fixture.pki().write("executor1", &leaf)?;
    let arguments = fixture.executor_with(paths, silent.local_addr()?.port());
    let executor = Node::spawn(fixture.launch(&arguments, &[]))?;
    let http =
        |line: &LogLine| line.message() == "listening" && line.field("listener") == Some("http");
    let line = executor.log().wait_for(http, PATIENCE).await?;
    let address: SocketAddr = line.field("address").context("no address")?.parse()?;
    let ended = command::spice_at(address, &["status", "-o", "json"]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let status: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(status["ready"] == false, "{status}");
    let seed = silent.local_addr()?.to_string();
    let none = format!("no scheduler is connected ({seed}: not reached yet)");
    let reasons = &status["not_ready_reasons"];
    ensure!(
        *reasons == json!(["this node is starting", none]),
        "{status}"
    );
    let shown = &status["schedulers"][0];
    ensure!(
        shown["address"] == seed && shown["connected"] == false,
        "{status}"
    );
    let reply = http_get(address, "/v1/ready").await?;
    let brief = "not ready: this node is starting (and 1 more: ask with verbose=true)";
    ensure!(reply.status == 503 && reply.body == brief, "{reply:?}");
    let reply = http_get(address, "/v1/ready?verbose=true").await?;
    let all = format!("not ready\n- this node is starting\n- {none}");
    ensure!(reply.status == 503 && reply.body == all, "{reply:?}");
    let shown = command::spice_at(address, &["status"]).await?;
    let line = format!("! not {seed}, for ");
    ensure!(shown.stdout.contains(&line), "{shown:?}");
    ensure!(shown.stdout.contains(": not reached yet\n"), "{shown:?}");
    let ended = command::spice_at(address, &["datasets"]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    ensure!(ended.stderr.contains("has not opened"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn an_executor_that_reaches_no_scheduler_shows_the_last_error_of_each() -> Result<()> {
    let fixture = Fixture::new()?;
    let leaf = Leaf::new("executor1").with_role(Role::Executor);
    // It was free a moment ago, and nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let paths = fixture.pki().write("executor1", &leaf)?;
    let arguments = fixture.executor_with(paths, port);
    let executor = Node::spawn(fixture.launch(&arguments, &[]))?;
    let http =
        |line: &LogLine| line.message() == "listening" && line.field("listener") == Some("http");
    let line = executor.log().wait_for(http, PATIENCE).await?;
    let address: SocketAddr = line.field("address").context("no address")?.parse()?;
    let failed = |line: &LogLine| line.message() == "scheduler not reached, trying on";
    let line = executor.log().wait_for(failed, PATIENCE).await?;
    let error = line.field("error").context("no error")?;
    let reply = http_get(address, "/v1/status").await?;
    let status: Value = serde_json::from_str(&reply.body)?;
    let shown = &status["schedulers"][0];
    ensure!(shown["reason"] == error, "{status}, not {error}");
    ensure!(error.contains("refused"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_single_node_is_no_member_of_anything_and_lists_itself() -> Result<()> {
    let fixture = Fixture::new()?;
    let node = Node::start(standalone(&fixture)?).await?;
    let status = document(&node, "/v1/status").await?;
    ensure!(status["role"] == "standalone", "{status}");
    ensure!(status["address"].is_null(), "{status}");
    ensure!(status["security"] == json!({"mode": "none"}), "{status}");
    let list = document(&node, "/v1/nodes").await?;
    ensure!(list["total"] == 1, "{list}");
    let myself = &list["nodes"][0];
    ensure!(myself["role"] == "standalone", "{list}");
    ensure!(myself["version"] == env!("CARGO_PKG_VERSION"), "{list}");
    ensure!(myself["certificate"].is_null(), "{list}");
    let ended = spice(&node, &["status"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(ended.stdout.starts_with("standalone, ready\n"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn an_insecure_node_says_so_and_a_secure_one_does_not() -> Result<()> {
    let fixture = Fixture::new()?;
    let secure = fixture.scheduler().await?;
    let unused = fixture.pki().write("unused", &Leaf::new("unused"))?;
    let mut arguments = fixture.scheduler_with(unused);
    arguments.protection = Protection::Insecure;
    arguments.data = fixture.directory().join("insecure-data");
    let insecure = Node::start(fixture.launch(&arguments, &[])).await?;
    let mut arguments = fixture.executor_of(&insecure)?;
    arguments.protection = Protection::Insecure;
    let _executor = Node::start(fixture.launch(&arguments, &[])).await?;
    let connected = |line: &LogLine| line.message() == "executor connected";
    insecure.log().wait_for(connected, PATIENCE).await?;

    let security = document(&insecure, "/v1/status").await?["security"].clone();
    ensure!(security["mode"] == "insecure", "{security}");
    let banner = security["banner"].as_str().unwrap_or_default();
    ensure!(banner.contains("WITHOUT protection"), "{security}");
    let list = document(&insecure, "/v1/nodes").await?;
    ensure!(list["total"] == 2, "{list}");
    let proven = |node: &Value| !node["certificate"].is_null();
    let nodes = list["nodes"].as_array().context("no list")?;
    ensure!(!nodes.iter().any(proven), "{list}");

    let shown = spice(&insecure, &["status"]).await?;
    ensure!(shown.stdout.contains("! the internal port"), "{shown:?}");
    let shown = spice(&secure, &["status"]).await?;
    ensure!(shown.code == Some(0), "{shown:?}");
    ensure!(!shown.stdout.contains("WITHOUT"), "{shown:?}");
    // Certificates of tests are valid for a day, and that is soon.
    ensure!(
        shown.stdout.contains("certificate  ! expires in "),
        "{shown:?}"
    );
    Ok(())
}
