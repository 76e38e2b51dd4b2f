//! Schedulers that nobody told the executors of.

use cluster_test::{NodePlan, TestCluster};

use super::load::Load;
use super::numbers::Numbers;
use super::watched::{has_executors, has_schedulers, knows_schedulers, ready, uses_all};

#[tokio::test(flavor = "multi_thread")]
async fn running_executors_learn_a_new_scheduler_and_outlive_their_only_seed_with_it() {
    let numbers = Numbers::new().unwrap();
    let plan = numbers.cluster(1, 2).unwrap();
    let mut cluster = TestCluster::start(plan).await.unwrap();
    let load = Load::on(&cluster, "scheduler1").unwrap();
    load.goes_on(1).await.unwrap();

    let new = NodePlan::new("scheduler2");
    cluster.add_scheduler(&new).await.unwrap();
    has_executors(&cluster, "scheduler2", 2.0).await.unwrap();
    uses_all(&cluster, "scheduler2", &EXECUTORS).await.unwrap();
    load.goes_on(1).await.unwrap();
    let outcome = load.end().await.unwrap();
    assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);

    cluster.kill("scheduler1").await.unwrap();
    knows_schedulers(&cluster, "scheduler2", 1.0).await.unwrap();
    for executor in EXECUTORS {
        has_schedulers(&cluster, executor, 1.0).await.unwrap();
        assert_eq!(ready(&cluster, executor).await.unwrap().0, 200);
    }
    uses_all(&cluster, "scheduler2", &EXECUTORS).await.unwrap();

    // Their seed is dead, and a third scheduler is learnt all the same.
    let third = NodePlan::new("scheduler3");
    cluster.add_scheduler(&third).await.unwrap();
    has_executors(&cluster, "scheduler3", 2.0).await.unwrap();
    uses_all(&cluster, "scheduler3", &EXECUTORS).await.unwrap();
}

const EXECUTORS: [&str; 2] = ["executor1", "executor2"];
