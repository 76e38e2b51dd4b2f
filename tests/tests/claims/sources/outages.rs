//! Stores and databases that are out of reach when nodes start.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, LogLine, Metrics, Node};
use serde_json::{Value, json};

use super::databases::shop;
use super::objects::{environment, fill, lake};
use super::{Cluster, ensure_discreet, executor, refusal, scheduler, write_manifest};
use crate::fixture::PATIENCE;
use crate::status::command::spice;
use crate::status::document;

const VIEW: &str = "views:\n  - {name: doubled, sql: SELECT n * 2 AS n FROM orders}\n";

#[tokio::test]
async fn nodes_start_without_their_database_and_open_its_tables_once_it_is_there() -> Result<()> {
    let (fixture, mut server) = shop(&["orders"]).await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    server.stop().await?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    let address = format!("127.0.0.1:{}", server.port());
    // What needs no database is served, by executors too.
    let sum = "SELECT sum(n) FROM numbers";
    cluster.ensure_rows(sum, &["6"]).await?;
    for sql in [
        "SELECT n FROM orders",
        "SELECT n FROM doubled",
        "DESCRIBE orders",
    ] {
        let failure = cluster.failure(sql).await?;
        for words in ["dataset `orders`", &address, "cannot be reached"] {
            ensure!(failure.contains(words), "no {words:?} in {failure}");
        }
    }
    // It is a name of the query's own here.
    let own = "WITH orders AS (SELECT 7 AS n) SELECT n FROM orders";
    cluster.ensure_rows(own, &["7"]).await?;
    for node in cluster.nodes() {
        ensure_unavailable(node, &["orders", "doubled"], &address).await?;
    }
    let shown = spice(&cluster.scheduler, &["status"]).await?;
    ensure!(shown.code == Some(0), "{shown:?}");
    let line = shown
        .stdout
        .lines()
        .find(|line| line.contains("unavailable"));
    let line = line.with_context(|| format!("{shown:?}"))?;
    ensure!(line.contains("! orders: dataset `orders`"), "{shown:?}");

    server.start_again().await?;
    for node in cluster.nodes() {
        let back = |line: &LogLine| line.message() == "tables available";
        let back = node.log().wait_for(back, PATIENCE).await?;
        ensure!(back.field("tables") == Some("orders, doubled"), "{back:?}");
        ensure_unavailable(node, &[], &address).await?;
        // Once, however often it was tried.
        let lines = node.log().lines();
        let told = lines.iter().filter(|line| line.message() == UNAVAILABLE);
        ensure!(told.count() == 1, "{lines:?}");
    }
    cluster
        .ensure_rows("SELECT n FROM doubled ORDER BY n", &["2", "4", "18"])
        .await?;
    cluster
        .ensure_rows("SELECT count(*) FROM orders", &["3"])
        .await?;
    cluster.ensure_discreet(&[server.password()]).await
}

#[tokio::test]
async fn a_changed_spicepod_is_used_although_a_database_of_it_is_away() -> Result<()> {
    let (fixture, mut server) = shop(&["orders"]).await?;
    let with_orders = fs::read_to_string(fixture.manifest())?;
    let numbers = "  - {name: numbers, from: 'file:numbers/', params: {file_format: csv}}\n";
    write_manifest(&fixture, numbers)?;
    let cluster = Cluster::start(&fixture, &[("PG_PASSWORD", server.password())]).await?;
    server.stop().await?;
    fs::write(fixture.manifest(), with_orders)?;
    let changed = |line: &LogLine| line.message() == "spicepod changed";
    let changed = cluster.scheduler.log().wait_for(changed, PATIENCE).await?;
    ensure!(changed.value("ready") == Some(&json!(2)), "{changed:?}");
    let failure = cluster.failure("SELECT n FROM orders").await?;
    ensure!(failure.contains("cannot be reached"), "{failure}");
    cluster
        .ensure_rows("SELECT sum(n) FROM numbers", &["6"])
        .await?;
    server.start_again().await?;
    for node in cluster.nodes() {
        let back = |line: &LogLine| line.message() == "tables available";
        node.log().wait_for(back, PATIENCE).await?;
    }
    cluster
        .ensure_rows("SELECT count(*) FROM orders WHERE n > 0", &["3"])
        .await
}

#[tokio::test]
async fn a_database_without_room_for_its_user_is_told_without_that_users_name() -> Result<()> {
    let (fixture, server) = shop(&["orders"]).await?;
    server.execute(HIDDEN_USER).await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    let hidden = manifest.replace("pg_user: keeper", "pg_user: '${env:PG_USER}'");
    fs::write(fixture.manifest(), hidden)?;
    let environment = [("PG_USER", "hidden_user"), ("PG_PASSWORD", "hidden-word")];
    let cluster = Cluster::start(&fixture, &environment).await?;
    let failure = cluster.failure("SELECT n FROM orders").await?;
    let told = "takes no connection (53300): too many connections";
    ensure!(failure.contains(told), "{failure}");
    ensure_discreet(&failure, &["hidden"])?;
    for node in cluster.nodes() {
        ensure_unavailable(node, &["orders"], told).await?;
        let datasets = document(node, "/v1/datasets").await?.to_string();
        ensure_discreet(&datasets, &["hidden"])?;
    }

    let room = "ALTER ROLE hidden_user CONNECTION LIMIT 20";
    server.execute(room).await?;
    for node in cluster.nodes() {
        let back = |line: &LogLine| line.message() == "tables available";
        node.log().wait_for(back, PATIENCE).await?;
    }
    let count = "SELECT count(*) FROM orders WHERE n > 0";
    cluster.ensure_rows(count, &["3"]).await?;
    cluster.ensure_discreet(&["hidden"]).await
}

const HIDDEN_USER: &str = "CREATE ROLE hidden_user LOGIN PASSWORD 'hidden-word' CONNECTION LIMIT 0;
    GRANT USAGE ON SCHEMA sales TO hidden_user;
    GRANT SELECT ON ALL TABLES IN SCHEMA sales TO hidden_user";

/// The scheduler has the table open; executors that came later have not.
#[tokio::test]
async fn a_query_that_no_executor_can_read_for_fails_with_the_reason_of_the_last() -> Result<()> {
    let (fixture, mut server) = shop(&["orders"]).await?;
    let node = Node::start(scheduler(&fixture, &[("PG_PASSWORD", server.password())])?).await?;
    server.stop().await?;
    let cluster = Cluster {
        executors: [
            executor(&fixture, &node, "executor1").await?,
            executor(&fixture, &node, "executor2").await?,
        ],
        scheduler: node,
    };
    let failure = cluster.failure("SELECT n FROM orders").await?;
    for words in ["dataset `orders`", "cannot be reached"] {
        ensure!(failure.contains(words), "no {words:?} in {failure}");
    }
    cluster
        .ensure_rows("SELECT sum(n) FROM numbers", &["6"])
        .await?;
    server.start_again().await?;
    for node in &cluster.executors {
        let back = |line: &LogLine| line.message() == "tables available";
        node.log().wait_for(back, PATIENCE).await?;
    }
    cluster
        .ensure_rows("SELECT count(*) FROM orders WHERE n > 0", &["3"])
        .await
}

/// An executor that lacks a table fails its tasks at once, and is the first to ask for more.
#[tokio::test]
async fn queries_are_answered_by_the_executors_that_have_the_table() -> Result<()> {
    let (fixture, mut server) = shop(&["orders"]).await?;
    let password = [("PG_PASSWORD", server.password())];
    let node = Node::start(scheduler(&fixture, &password)?).await?;
    let able = executor(&fixture, &node, "executor1").await?;
    server.stop().await?;
    let late = executor(&fixture, &node, "executor2").await?;
    let cluster = Cluster {
        executors: [able, late],
        scheduler: node,
    };
    let [_, late] = &cluster.executors;
    let missing = |line: &LogLine| line.message() == UNAVAILABLE;
    late.log().wait_for(missing, PATIENCE).await?;
    server.start_again().await?;
    // Until it tries again, a second at first, the second executor has no such table.
    let back = |line: &LogLine| line.message() == "tables available";
    let mut asked = 0;
    while !late.log().lines().iter().any(|line| back(line)) {
        let sql = "SELECT count(*) FROM orders WHERE n > 0";
        let several = (0..8).map(|_| cluster.ensure_rows(sql, &["3"]));
        futures::future::try_join_all(several).await?;
        asked += 1;
    }
    ensure!(asked > 0, "it was there too soon");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_in_itself_keeps_a_node_from_starting_beside_an_outage_too() -> Result<()> {
    let (fixture, mut server) = shop(&["orders"]).await?;
    let environment = [("PG_PASSWORD", server.password().to_owned())];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    server.stop().await?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    let letters = "  - {name: letters, from: 'file:letters.csv'}\n";
    fs::write(fixture.manifest(), manifest.clone() + letters)?;
    let said = refusal(&fixture, &environment).await?;
    for words in [
        "dataset `letters`",
        "does not exist",
        "dataset `orders`",
        "cannot be reached",
    ] {
        ensure!(said.contains(words), "no {words:?} in {said}");
    }
    // A secret that nobody has does not come by waiting.
    fs::write(fixture.manifest(), manifest)?;
    let said = refusal(&fixture, &[]).await?;
    let told =
        "the secret ${env:PG_PASSWORD} is in no store that it may come from (looked in: env)";
    ensure!(said.contains(told), "{said}");
    Ok(())
}

#[tokio::test]
async fn nodes_start_without_their_store_and_open_its_objects_once_they_are_there() -> Result<()> {
    let (fixture, server) = lake(&[
        ("cities", "s3://data/cities.csv", "csv"),
        ("many_rivers", "s3://data/rivers/", "parquet"),
    ])
    .await?;
    let keys = server.credentials().clone();
    let stopped = server.stop().await?;
    let cluster = Cluster::start(&fixture, &environment(&keys)).await?;
    cluster.ensure_rows("SELECT 1 + 1", &["2"]).await?;
    for dataset in ["cities", "many_rivers"] {
        let failure = cluster.failure(&format!("SELECT * FROM {dataset}")).await?;
        let dataset = format!("dataset `{dataset}`");
        for words in [dataset.as_str(), "the store cannot be reached"] {
            ensure!(failure.contains(words), "no {words:?} in {failure}");
        }
        ensure_discreet(&failure, &[&keys.access_key_id, &keys.secret_access_key])?;
    }
    let server = stopped.start().await?;
    fill(&server).await?;
    for node in cluster.nodes() {
        node.log().wait_until(both_are_back, PATIENCE).await?;
    }
    let join = "SELECT count(*) FROM cities c, many_rivers r";
    cluster.ensure_rows(join, &["9"]).await?;
    cluster
        .ensure_discreet(&[&keys.access_key_id, &keys.secret_access_key])
        .await
}

fn both_are_back(lines: &[Arc<LogLine>]) -> bool {
    let back = lines
        .iter()
        .filter(|line| line.message() == "tables available");
    let names = back.filter_map(|line| line.field("tables"));
    names.flat_map(|names| names.split(", ")).count() == 2
}

/// The node is ready, and says which tables are not open and why.
async fn ensure_unavailable(node: &Node, tables: &[&str], words: &str) -> Result<()> {
    let status = document(node, "/v1/status").await?;
    ensure!(status["ready"] == true, "{status}");
    let told = status["app"]["unavailable"].as_array().context("no list")?;
    let names: Vec<&Value> = told.iter().map(|it| &it["table"]).collect();
    ensure!(names == tables, "{status}");
    for missing in told {
        let reason = missing["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains(words), "{status}");
    }
    let metrics = Metrics::scrape(node.address(Listener::Metrics)?).await?;
    let count = metrics.sum("spiced_tables_unavailable");
    ensure!(count == Some(tables.len() as f64), "{count:?}");
    let datasets = document(node, "/v1/datasets").await?;
    for entry in datasets["datasets"].as_array().context("no list")? {
        let missing = told.iter().find(|it| it["table"] == entry["name"]);
        let reason = missing.map_or(&Value::Null, |it| &it["reason"]);
        ensure!(entry["error"] == *reason, "{datasets}");
        let ready = json!(if missing.is_some() { "error" } else { "ready" });
        ensure!(entry["status"] == ready, "{datasets}");
    }
    Ok(())
}

const UNAVAILABLE: &str = "tables unavailable, trying on";
