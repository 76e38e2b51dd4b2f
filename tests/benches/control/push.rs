//! How long an update of the application takes to be everywhere, and known to be.

use std::time::Duration;

use anyhow::{Context, Result};
use cluster_test::LogLine;
use tokio::time::timeout;

use crate::fleet::Fleet;
use crate::scheduler::Scheduler;

/// Milliseconds.
pub(crate) struct Pushes {
    pub(crate) minimum: f64,
    pub(crate) median: f64,
    pub(crate) maximum: f64,
}

/// Pushes updates one after the other. Each is timed from when the first executor is told to when
/// the scheduler has the acknowledgements of all and says so.
pub(crate) async fn measure(scheduler: &Scheduler, fleet: &Fleet) -> Result<Pushes> {
    let mut times = Vec::new();
    for version in 1..=PUSHES {
        let pushed = timeout(LIMIT, push(scheduler, fleet, version)).await;
        times.push(pushed.context("an update does not arrive")??);
    }
    times.sort();
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1000.0;
    Ok(Pushes {
        minimum: times.first().map_or(f64::NAN, milliseconds),
        median: times.get(PUSHES / 2).map_or(f64::NAN, milliseconds),
        maximum: times.last().map_or(f64::NAN, milliseconds),
    })
}

async fn push(scheduler: &Scheduler, fleet: &Fleet, version: usize) -> Result<Duration> {
    let before = fleet.news();
    scheduler.change_manifest(version).await?;
    let news = fleet.newer_than(&before.digest).await?;
    let everywhere = |line: &LogLine| {
        line.message() == CHANGED && line.field("digest") == Some(news.digest.as_str())
    };
    scheduler.node()?.log().wait_for(everywhere, LIMIT).await?;
    Ok(news.since.elapsed())
}

const CHANGED: &str = "spicepod changed";
const PUSHES: usize = 5;
const LIMIT: Duration = Duration::from_secs(60);
