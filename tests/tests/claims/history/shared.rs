//! The history of several schedulers as one, and the gap where one of them does not answer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_test::{Listener, LogLine, Metrics};

use super::{rows, rows_until};
use crate::fixture::PATIENCE;
use crate::membership::{Cluster, id, knows_of, pause, resume};

/// Longer than a scheduler may take to answer, shorter than it may be silent.
const BOUND: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn the_history_shows_every_scheduler_and_says_which_is_missing() -> Result<()> {
    let cluster = Cluster::with_scheduler("{state_location: 'file:state', member_ttl: 60s}", "")?;
    let one = cluster.start("scheduler1").await?;
    let other = cluster.start("scheduler2").await?;
    knows_of(&one, 2).await?;
    rows(&one, "SELECT 1 AS one").await?;
    rows(&other, "SELECT 2 AS other").await?;

    let of = |column: &str| {
        format!(
            "SELECT {column} FROM runtime.task_history \
             WHERE input IN ('SELECT 1 AS one', 'SELECT 2 AS other') ORDER BY input"
        )
    };
    let found = rows_until(&one, &of("node_id, task"), 2).await?;
    let ids = [id(&one)?, id(&other)?];
    ensure!(found.len() == 2, "{found:?}");
    for (row, id) in found.iter().zip(&ids) {
        ensure!(
            row["node_id"] == id.as_str() && row["task"] == "sql_query",
            "{found:?}"
        );
    }
    let count = rows(&one, &of("count(*) AS n").replace(" ORDER BY input", "")).await?;
    ensure!(count[0]["n"] == 2, "{count:?}");
    let local = of("input").replace("task_history", "local_task_history");
    ensure!(rows(&one, &local).await?.len() == 1);
    ensure!(rows(&one, GAPS).await?.is_empty());

    pause(&other).await?;
    let begun = Instant::now();
    let found = rows(&one, "SELECT * FROM runtime.task_history").await?;
    ensure!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());
    let own = found.iter().any(|row| row["input"] == "SELECT 1 AS one");
    ensure!(own, "{found:?}");
    let missing: Vec<_> = found
        .iter()
        .filter(|row| row["task"] == "missing_history")
        .collect();
    ensure!(missing.len() == 1, "{found:?}");
    ensure!(missing[0]["node_id"] == ids[1].as_str(), "{missing:?}");
    let reason = missing[0]["error_message"].as_str().unwrap_or_default();
    ensure!(reason.starts_with("timeout"), "{missing:?}");
    // A condition hides the row like any other: the table of gaps, the log and a metric tell.
    let gaps = rows(&one, GAPS).await?;
    ensure!(
        gaps.len() == 1 && gaps[0]["node_id"] == ids[1].as_str(),
        "{gaps:?}"
    );
    let told = |line: &LogLine| {
        line.message() == "task history of a scheduler missing in an answer"
            && line.field("scheduler") == Some(&ids[1])
    };
    one.log().wait_for(told, PATIENCE).await?;
    let metrics = Metrics::scrape(one.address(Listener::Metrics)?).await?;
    let counted = metrics.sum("scheduler_task_history_missing_total");
    ensure!(counted >= Some(2.0), "{counted:?}");

    resume(&other).await?;
    let found = rows(&one, &of("input")).await?;
    ensure!(found.len() == 2, "{found:?}");
    ensure!(rows(&one, GAPS).await?.is_empty());
    Ok(())
}

const GAPS: &str = "SELECT * FROM runtime.task_history_gaps";
