//! What another scheduler may ask of the history: that table, in one flat query, and no more.

use anyhow::{Result, ensure};
use arrow::ipc::reader::StreamReader;
use cluster_proto::pb;
use cluster_test::{Leaf, Listener, Node};
use cluster_tls::Role;
use pb::cluster_service_client::ClusterServiceClient;
use tonic::{Code, Status};

use super::rows;
use crate::authorization::calls::Caller;
use crate::fixture::Fixture;

/// Asks as the holder of a certificate of `role`; the number of rows.
async fn ask(
    fixture: &Fixture,
    scheduler: &Node,
    role: Role,
    sql: &str,
) -> Result<Result<usize, Status>> {
    let leaf = Leaf::new("caller").with_role(role);
    let server = scheduler.address(Listener::Internal)?;
    let caller = Caller::new(fixture.pki(), &leaf, server, Role::Scheduler)?;
    let mut client = ClusterServiceClient::new(caller.channel());
    let request = pb::GetTaskHistoryRequest {
        sql: sql.to_owned(),
    };
    let answer = match client.get_task_history(request).await {
        Ok(answer) => answer.into_inner().arrow_ipc,
        Err(status) => return Ok(Err(status)),
    };
    let mut count = 0;
    for batch in StreamReader::try_new(answer.as_slice(), None)? {
        count += batch?.num_rows();
    }
    Ok(Ok(count))
}

#[tokio::test]
async fn a_scheduler_asks_for_the_history_and_for_no_other_table() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    rows(&scheduler, "SELECT 1 AS one").await?;
    let ask = async |role, sql| ask(&fixture, &scheduler, role, sql).await;
    let own = "SELECT trace_id FROM runtime.task_history WHERE input = 'SELECT 1 AS one'";
    ensure!(ask(Role::Scheduler, own).await?.is_ok_and(|rows| rows == 1));
    let denied = ask(Role::Executor, own).await?;
    ensure!(denied.is_err_and(|status| status.code() == Code::PermissionDenied));
    let long = format!("SELECT '{}' FROM task_history", "x".repeat(60_000));
    for sql in [
        "SELECT * FROM numbers",
        "SELECT * FROM public.numbers",
        "SELECT * FROM runtime.task_history_gaps",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM generate_series(1, 1000000000000)",
        "SELECT * FROM task_history a, task_history b, task_history c",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
        "SELECT repeat(input, 1000000000) FROM task_history",
        "COPY task_history TO '/tmp/history.csv'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "INSERT INTO task_history SELECT * FROM task_history",
        "DROP TABLE task_history",
        "EXPLAIN ANALYZE SELECT * FROM task_history",
        &long,
        "",
    ] {
        let status = ask(Role::Scheduler, sql).await?;
        let refused = status.is_err_and(|status| status.code() == Code::InvalidArgument);
        ensure!(refused, "{sql} is not refused");
    }
    let beyond = "x".repeat(70_000);
    let status = ask(Role::Scheduler, &beyond).await?;
    ensure!(status.is_err_and(|status| status.code() == Code::OutOfRange));
    ensure!(ask(Role::Scheduler, own).await?.is_ok());
    Ok(())
}
