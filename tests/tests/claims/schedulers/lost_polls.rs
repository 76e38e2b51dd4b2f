//! Connections that break in the middle of a poll, the worst moment there is.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Result;
use cluster_test::{Listener, LogLine, NodePlan, TestCluster};
use tokio::time::timeout;

use super::numbers::{Numbers, Question};
use super::relay::{Loss, Relay};
use super::watched::{PATIENCE, has_executors};

/// The scheduler has given tasks to an executor that never heard of them.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_in_an_answer_that_is_lost_are_run_all_the_same() {
    survive(Loss::Answer, Ipv4Addr::new(127, 0, 0, 11))
        .await
        .unwrap();
}

/// The executor has ended a task, and the scheduler never heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn reports_in_a_poll_that_is_lost_arrive_all_the_same() {
    survive(Loss::Report, Ipv4Addr::new(127, 0, 0, 12))
        .await
        .unwrap();
}

/// A query whose poll is lost has the right rows, and nobody is given up for lost or begins anew for
/// it. What waits for a lost poll otherwise waits for ever: its task counts as running.
async fn survive(loss: Loss, relayed: Ipv4Addr) -> Result<()> {
    let numbers = Numbers::new()?;
    let scheduler = NodePlan::new("scheduler1").with_host(&relayed.to_string());
    let plan = numbers.cluster(1, 0)?.with_schedulers(vec![scheduler]);
    let mut cluster = TestCluster::start(plan).await?;
    let node = cluster.node("scheduler1")?.address(Listener::Internal)?;
    let relay = Relay::start(relayed.into(), node).await?;
    let seed = format!("{relayed}:{}", node.port());
    let executor = NodePlan::new("executor1")
        .with_task_slots(2)
        .with_seeds([])
        .with_arguments(["--scheduler-address", &seed]);
    cluster.add_executor(&executor).await?;
    has_executors(&cluster, "scheduler1", 1.0).await?;
    // The first queries take longer than all others.
    for question in Question::all() {
        question.check(&cluster.sql(question.sql).await?)?;
    }
    for (cuts, question) in Question::all().iter().enumerate() {
        relay.lose(loss);
        let query = timeout(PATIENCE, cluster.sql(question.sql)).await??;
        question.check(&query)?;
        timeout(PATIENCE, relay.has_cut(cuts + 1)).await??;
        has_executors(&cluster, "scheduler1", 1.0).await?;
    }
    let begun_anew = [
        "query lost with an executor, running it again",
        "executor left",
    ];
    let logs = cluster.logs("scheduler1")?;
    let begun_anew = |line: &&Arc<LogLine>| begun_anew.contains(&line.message());
    assert_eq!(logs.iter().filter(begun_anew).count(), 0);
    let repeated = cluster.metrics("executor1").await?;
    assert!(repeated.sum("executor_polls_repeated_total") >= Some(2.0));
    Ok(())
}
