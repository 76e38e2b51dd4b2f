//! Where an executor looks for schedulers, and what it says when it finds none.

use anyhow::Result;
use cluster_test::{LogLine, NodePlan, TestCluster};
use serde_json::Value;

use super::numbers::{Numbers, Question};
use super::watched::{PATIENCE, address, has_executors, has_schedulers, metric_is, ready, status};

#[tokio::test(flavor = "multi_thread")]
async fn any_seed_that_answers_will_do_and_two_names_of_one_scheduler_are_one() {
    let numbers = Numbers::new().unwrap();
    let plan = numbers.cluster(1, 0).unwrap();
    let mut cluster = TestCluster::start(plan).await.unwrap();
    let scheduler = address(&cluster, "scheduler1").unwrap();
    let port = scheduler.rsplit_once(':').unwrap().1;
    let seeds = format!("https://127.0.0.1:1,https://localhost:{port}");
    let executor = NodePlan::new("executor1")
        .with_seeds([])
        .with_arguments(["--scheduler-address", &seeds])
        .with_arguments(["--scheduler-address", &scheduler]);
    cluster.add_executor(&executor).await.unwrap();

    assert_eq!(ready(&cluster, "executor1").await.unwrap().0, 200);
    let shown = schedulers(&cluster).await.unwrap();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0]["address"], scheduler.as_str());
    assert_eq!(shown[0]["connected"], true);
    assert_eq!(shown[1]["address"], "127.0.0.1:1");
    assert_eq!(shown[1]["connected"], false);
    assert!(shown[1]["reason"].is_string(), "{shown:?}");
    for question in Question::all() {
        let rows = cluster.sql(question.sql).await.unwrap();
        question.check(&rows).unwrap();
    }
    let logs = cluster.logs("scheduler1").unwrap();
    let messages = logs.iter().map(|line| line.message());
    let connected = messages.filter(|message| *message == "executor connected");
    assert_eq!(connected.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_without_a_scheduler_says_so_and_goes_on_when_there_is_one() {
    let numbers = Numbers::new().unwrap();
    let plan = numbers.cluster(1, 1).unwrap();
    let mut cluster = TestCluster::start(plan).await.unwrap();
    assert_eq!(ready(&cluster, "executor1").await.unwrap().0, 200);

    cluster.kill("scheduler1").await.unwrap();
    let down = ("executor_scheduler_links", "state=\"down\"");
    metric_is(&cluster, "executor1", down, 1.0).await.unwrap();
    let (code, why) = ready(&cluster, "executor1").await.unwrap();
    assert_eq!(code, 503);
    let scheduler = address(&cluster, "scheduler1").unwrap();
    let expected = format!("no scheduler is connected ({scheduler}: ");
    assert!(why.contains(&expected), "{why}");
    let shown = schedulers(&cluster).await.unwrap();
    assert_eq!(shown[0]["connected"], false);

    cluster.restart("scheduler1").await.unwrap();
    has_schedulers(&cluster, "executor1", 1.0).await.unwrap();
    has_executors(&cluster, "scheduler1", 1.0).await.unwrap();
    assert_eq!(ready(&cluster, "executor1").await.unwrap().0, 200);
    for question in Question::all() {
        let rows = cluster.sql(question.sql).await.unwrap();
        question.check(&rows).unwrap();
    }
    let shown = schedulers(&cluster).await.unwrap();
    assert_eq!(shown[0]["reason"], Value::Null);
    let learnt = |line: &LogLine| line.message() == "scheduler learnt";
    let event = cluster.wait_for_event("executor1", learnt, PATIENCE).await;
    event.unwrap();
}

/// The schedulers that the executor shows.
async fn schedulers(cluster: &TestCluster) -> Result<Vec<Value>> {
    let status = status(cluster, "executor1").await?;
    Ok(status["schedulers"].as_array().cloned().unwrap_or_default())
}
