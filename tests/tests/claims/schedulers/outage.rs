//! The state that schedulers share is away for a minute, with the times that a cluster has unless it
//! is told others.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_test::{S3Server, TestCluster};

use super::load::Load;
use super::numbers::Numbers;
use super::watched::{
    has_executors, has_no_files, has_schedulers, knows_schedulers, metric_is, ready, uses_all,
};

/// Where the state is.
enum Store {
    Directory { place: PathBuf, away: PathBuf },
    S3(Box<S3Server>),
}

impl Store {
    /// Moves it away, or keeps it from answering.
    async fn leave(&self) -> Result<()> {
        match self {
            Self::Directory { place, away } => Ok(fs::rename(place, away)?),
            Self::S3(server) => server.pause().await,
        }
    }

    async fn come_back(&self) -> Result<()> {
        match self {
            Self::Directory { place, away } => Ok(fs::rename(away, place)?),
            Self::S3(server) => server.resume().await,
        }
    }
}

/// Queries go on for a minute in which the state is away. The third scheduler dies in it.
async fn ask_without(cluster: &mut TestCluster, store: &Store, loads: &[Load; 2]) -> Result<()> {
    store.leave().await?;
    let left = Instant::now();
    cluster.kill("scheduler3").await?;
    while left.elapsed() < AWAY {
        for load in loads {
            load.goes_on(1).await?;
        }
    }
    for load in loads {
        let (status, reasons) = ready(cluster, load.scheduler()).await?;
        ensure!(
            status == 503 && reasons.contains("cluster state has been out of reach"),
            "{reasons}"
        );
        // Nobody is seen while nobody can look, so nobody is missed.
        knows_schedulers(cluster, load.scheduler(), 3.0).await?;
    }
    Ok(())
}

/// The state is reached again, and who died meanwhile is missed, by those who live.
async fn recovers(cluster: &TestCluster, loads: &[Load; 2]) -> Result<()> {
    let back = Instant::now();
    for load in loads {
        metric_is(cluster, load.scheduler(), (REACHABLE, ""), 2.0).await?;
        knows_schedulers(cluster, load.scheduler(), 2.0).await?;
        ensure!(ready(cluster, load.scheduler()).await?.0 == 200);
    }
    ensure!(back.elapsed() < 2 * TTL, "{:?}", back.elapsed());
    for executor in EXECUTORS {
        has_schedulers(cluster, executor, 2.0).await?;
    }
    Ok(())
}

async fn outlives(store: &Store, numbers: &Numbers) -> Result<()> {
    let mut cluster = TestCluster::start(numbers.cluster(3, 2)?).await?;
    for scheduler in SCHEDULERS {
        knows_schedulers(&cluster, scheduler, 3.0).await?;
        has_executors(&cluster, scheduler, 2.0).await?;
        uses_all(&cluster, scheduler, &EXECUTORS).await?;
    }
    let [first, second] = SCHEDULERS;
    let loads = [
        Load::every(PACE, &cluster, first)?,
        Load::every(PACE, &cluster, second)?,
    ];
    ask_without(&mut cluster, store, &loads).await?;
    store.come_back().await?;
    recovers(&cluster, &loads).await?;
    for load in loads {
        let scheduler = load.scheduler().to_owned();
        let outcome = load.end().await?;
        ensure!(outcome.refused.is_empty(), "{:#?}", outcome.refused);
        ensure!(outcome.slowest < SLOW, "{:?}", outcome.slowest);
        let logs = cluster.logs(&scheduler)?;
        let gone = ["executor disconnected", "executor left", REMOVED];
        let gone = logs.iter().find(|line| gone.contains(&line.message()));
        ensure!(gone.is_none(), "{gone:?}");
        let left = logs.iter().filter(|it| it.message() == "scheduler left");
        ensure!(left.count() == 1, "of the others one died");
        uses_all(&cluster, &scheduler, &EXECUTORS).await?;
    }
    for executor in EXECUTORS {
        has_no_files(&cluster, executor).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_away_for_a_minute_costs_no_query_and_no_member() {
    let numbers = Numbers::with_scheduler("{state_location: 'file:state'}").unwrap();
    let place = numbers.directory().join("state");
    let away = numbers.directory().join("away");
    let store = Store::Directory { place, away };
    outlives(&store, &numbers).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_that_hangs_for_a_minute_costs_no_query_and_no_member() {
    let server = S3Server::start().await.unwrap();
    let keys = server.credentials();
    let settings = format!(
        "{{state_location: 's3://{}/state', params: {{s3_endpoint: '{}', allow_http: true, s3_key: \
         '{}', s3_secret: '{}'}}}}",
        S3Server::BUCKET,
        server.endpoint(),
        keys.access_key_id,
        keys.secret_access_key,
    );
    let numbers = Numbers::with_scheduler(&settings).unwrap();
    outlives(&Store::S3(Box::new(server)), &numbers)
        .await
        .unwrap();
}

const SCHEDULERS: [&str; 2] = ["scheduler1", "scheduler2"];
const EXECUTORS: [&str; 2] = ["executor1", "executor2"];

const AWAY: Duration = Duration::from_secs(60);

/// What a scheduler has unless it is told another one.
const TTL: Duration = Duration::from_secs(30);

/// Often enough to notice a query that waits, and seldom enough to leave the machine to others.
const PACE: Duration = Duration::from_millis(250);

/// Nothing that a query needs is in the state.
const SLOW: Duration = Duration::from_secs(20);

const REACHABLE: &str = "scheduler_state_reachable";

const REMOVED: &str = "the others had removed this scheduler, joined again";
