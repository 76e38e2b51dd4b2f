//! Nodes that are killed, restarted and stopped where they stand, under load.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_test::{LogLine, TestCluster};

use super::load::Load;
use super::numbers::Numbers;
use super::watched::{
    PATIENCE, address, has_executors, has_no_files, has_schedulers, knows_schedulers, tells,
    uses_all,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_any_node_costs_only_what_was_asked_of_it() {
    let numbers = Numbers::new().unwrap();
    let plan = numbers.cluster(3, 3).unwrap();
    let mut cluster = TestCluster::start(plan).await.unwrap();
    for scheduler in SCHEDULERS {
        uses_all(&cluster, scheduler, &EXECUTORS).await.unwrap();
    }
    let loads = SCHEDULERS.map(|scheduler| Load::on(&cluster, scheduler).unwrap());
    let mut gone = vec![];
    for scheduler in SCHEDULERS {
        let from = Instant::now();
        restart_scheduler(&mut cluster, &loads, scheduler)
            .await
            .unwrap();
        gone.push((scheduler, from, Instant::now()));
    }
    for executor in EXECUTORS {
        restart_executor(&mut cluster, &loads, executor)
            .await
            .unwrap();
    }
    for load in loads {
        let scheduler = load.scheduler().to_owned();
        let outcome = load.end().await.unwrap();
        assert!(outcome.slowest < SLOW, "{scheduler}: {:?}", outcome.slowest);
        // A scheduler that lives refuses nothing, whoever else dies.
        for (begun, ended, why) in &outcome.refused {
            let excused = gone
                .iter()
                .any(|(name, from, until)| *name == scheduler && ended >= from && begun <= until);
            assert!(excused, "{scheduler}: {why}");
            assert!(!why.is_empty(), "{scheduler} fails without a word");
        }
    }
    // Nothing is left over that takes a slot, waits for one, or fills a disk.
    for scheduler in SCHEDULERS {
        uses_all(&cluster, scheduler, &EXECUTORS).await.unwrap();
    }
    for executor in EXECUTORS {
        has_no_files(&cluster, executor).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_still_past_its_time_is_passed_over_and_taken_back() {
    let numbers = Numbers::new().unwrap();
    let plan = numbers.cluster(3, 3).unwrap();
    let cluster = TestCluster::start(plan).await.unwrap();
    let [first, second, third] = SCHEDULERS.map(|name| Load::on(&cluster, name).unwrap());
    let from = Instant::now();
    for name in ["scheduler3", "executor3"] {
        cluster.node(name).unwrap().pause().await.unwrap();
    }
    // Whoever was in the middle of something with either is answered by the others.
    for load in [&first, &second] {
        load.goes_on(5).await.unwrap();
        let executor = address(&cluster, "executor3").unwrap();
        let left = |line: &LogLine| tells(line, "executor left", ("executor", &executor));
        let event = cluster
            .wait_for_event(load.scheduler(), left, PATIENCE)
            .await;
        event.unwrap();
    }
    for executor in ["executor1", "executor2"] {
        has_schedulers(&cluster, executor, 2.0).await.unwrap();
    }
    for load in [&first, &second] {
        knows_schedulers(&cluster, load.scheduler(), 2.0)
            .await
            .unwrap();
        load.goes_on(5).await.unwrap();
    }
    for name in ["scheduler3", "executor3"] {
        cluster.node(name).unwrap().resume().await.unwrap();
    }
    for scheduler in SCHEDULERS {
        has_executors(&cluster, scheduler, 3.0).await.unwrap();
    }
    for scheduler in SCHEDULERS {
        knows_schedulers(&cluster, scheduler, 3.0).await.unwrap();
    }
    for executor in EXECUTORS {
        has_schedulers(&cluster, executor, 3.0).await.unwrap();
    }
    third.goes_on(5).await.unwrap();
    let until = Instant::now();
    for load in [first, second] {
        let outcome = load.end().await.unwrap();
        assert!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
        assert!(outcome.slowest < STILL, "{:?}", outcome.slowest);
    }
    let outcome = third.end().await.unwrap();
    for (begun, ended, why) in &outcome.refused {
        assert!(*ended >= from && *begun <= until, "{why}");
    }
    for scheduler in SCHEDULERS {
        uses_all(&cluster, scheduler, &EXECUTORS).await.unwrap();
    }
}

async fn restart_scheduler(cluster: &mut TestCluster, loads: &[Load; 3], name: &str) -> Result<()> {
    let others = || loads.iter().filter(|load| load.scheduler() != name);
    cluster.kill(name).await?;
    for load in others() {
        load.goes_on(3).await?;
        knows_schedulers(cluster, load.scheduler(), 2.0).await?;
    }
    cluster.restart(name).await?;
    for scheduler in SCHEDULERS {
        knows_schedulers(cluster, scheduler, 3.0).await?;
    }
    has_executors(cluster, name, 3.0).await?;
    for load in loads {
        load.goes_on(3).await?;
    }
    Ok(())
}

async fn restart_executor(cluster: &mut TestCluster, loads: &[Load; 3], name: &str) -> Result<()> {
    cluster.kill(name).await?;
    for load in loads {
        load.goes_on(3).await?;
    }
    cluster.restart(name).await?;
    has_schedulers(cluster, name, 3.0).await?;
    for scheduler in SCHEDULERS {
        has_executors(cluster, scheduler, 3.0).await?;
    }
    for load in loads {
        load.goes_on(1).await?;
    }
    ensure!(cluster.node_mut(name)?.is_running()?);
    Ok(())
}

const SCHEDULERS: [&str; 3] = ["scheduler1", "scheduler2", "scheduler3"];
const EXECUTORS: [&str; 3] = ["executor1", "executor2", "executor3"];

/// A dead executor is given up after three seconds, and its queries begin anew.
const SLOW: Duration = Duration::from_secs(25);

/// One that stands still is given up after its pings went unanswered, and at the latest after
/// half a minute.
const STILL: Duration = Duration::from_secs(45);
