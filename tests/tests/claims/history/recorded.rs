//! Every statement leaves one record, however it ends, and so does every task.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, LogLine, SqlClient, http_post};
use tokio::time::timeout;

use super::{label, rows, rows_until};
use crate::fixture::{Fixture, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_query_and_its_tasks_are_recorded_one_within_the_other() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let executor = fixture.executor(&scheduler).await?;
    let connected = |line: &LogLine| line.message() == "executor connected";
    scheduler.log().wait_for(connected, PATIENCE).await?;
    let sql = "SELECT count(*) FROM numbers";
    let mut client = SqlClient::connect(scheduler.address(Listener::Flight)?).await?;
    client.query(sql).await?;

    let query = format!("SELECT * FROM runtime.task_history WHERE input = '{sql}'");
    let found = rows_until(&scheduler, &query, 1).await?;
    let [query] = found.as_slice() else {
        anyhow::bail!("{found:?}");
    };
    ensure!(query["task"] == "sql_query", "{query}");
    ensure!(query["node_role"] == "scheduler", "{query}");
    ensure!(query["error_message"].is_null(), "{query}");
    for (name, value) in [
        ("outcome", "ok"),
        ("protocol", "flight"),
        ("rows", "1"),
        ("runs_on", "executors"),
        ("attempts", "1"),
    ] {
        ensure!(
            label(query, name).as_deref() == Some(value),
            "{name}: {query}"
        );
    }

    let span = query["span_id"].as_str().context("no span")?;
    let tasks = format!(
        "SELECT t.*, t.start_time >= q.start_time - INTERVAL '2 milliseconds' AS after_it, \
         t.end_time <= q.end_time + INTERVAL '2 milliseconds' AS before_it \
         FROM runtime.task_history t JOIN runtime.task_history q ON t.parent_span_id = q.span_id \
         WHERE q.span_id = '{span}'"
    );
    let tasks = rows(&scheduler, &tasks).await?;
    ensure!(!tasks.is_empty(), "no tasks");
    let executor = executor.address(Listener::Internal)?.to_string();
    for task in &tasks {
        ensure!(task["task"] == "distributed_task", "{task}");
        ensure!(task["trace_id"] == query["trace_id"], "{task}");
        ensure!(
            task["node_id"] == executor && task["node_role"] == "executor",
            "{task}"
        );
        ensure!(task["error_message"].is_null(), "{task}");
        ensure!(
            label(task, "clock").as_deref() == Some("executor"),
            "{task}"
        );
        ensure!(
            task["after_it"] == true && task["before_it"] == true,
            "{task} {query}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_why_and_what_nobody_waits_for_is_cancelled() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let _executor = fixture.executor(&scheduler).await?;
    let connected = |line: &LogLine| line.message() == "executor connected";
    scheduler.log().wait_for(connected, PATIENCE).await?;
    let http = scheduler.address(Listener::Http)?;
    for (sql, words) in [
        ("SELECT nothing FROM numbers", "nothing"),
        ("SELECT 1 / (n - n) FROM numbers", "zero"),
        ("DROP TABLE numbers", "read-only"),
    ] {
        let reply = http_post(http, "/v1/sql", sql).await?;
        ensure!(reply.status != 200, "{sql}: {}", reply.body);
        let record = format!("SELECT * FROM runtime.task_history WHERE input = '{sql}'");
        let found = rows_until(&scheduler, &record, 1).await?;
        ensure!(found.len() == 1, "{found:?}");
        let message = found[0]["error_message"].as_str().unwrap_or_default();
        ensure!(message.to_lowercase().contains(words), "{}", found[0]);
        ensure!(
            label(&found[0], "outcome").as_deref() == Some("failed"),
            "{}",
            found[0]
        );
        ensure!(
            label(&found[0], "protocol").as_deref() == Some("http"),
            "{}",
            found[0]
        );
    }
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let mut client = SqlClient::connect(scheduler.address(Listener::Flight)?).await?;
    let given_up = timeout(Duration::from_secs(1), client.query(endless)).await;
    ensure!(given_up.is_err(), "it ended");
    drop(client);
    let record = format!("SELECT * FROM runtime.task_history WHERE input = '{endless}'");
    let found = rows_until(&scheduler, &record, 1).await?;
    ensure!(
        label(&found[0], "outcome").as_deref() == Some("cancelled"),
        "{}",
        found[0]
    );
    let took = found[0]["execution_duration_ms"]
        .as_f64()
        .context("no duration")?;
    ensure!(took >= 500.0, "{}", found[0]);
    Ok(())
}

#[tokio::test]
async fn a_query_over_the_history_needs_no_executor_even_beside_a_dataset() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    rows(&scheduler, "SELECT 1 AS one").await?;
    for (sql, count) in [
        (
            "SELECT * FROM runtime.task_history WHERE input = 'SELECT 1 AS one'",
            1,
        ),
        (
            "SELECT * FROM runtime.local_task_history WHERE input = 'SELECT 1 AS one'",
            1,
        ),
        ("SELECT * FROM runtime.task_history_gaps", 0),
        (
            "SELECT n FROM numbers, runtime.task_history WHERE input = 'SELECT 1 AS one'",
            3,
        ),
    ] {
        let found = rows_until(&scheduler, sql, count).await?;
        ensure!(found.len() == count, "{sql}: {found:?}");
    }
    Ok(())
}
