//! Queries that take time without taking much data: every row with every other.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use cluster_test::TestCluster;
use cluster_test::process::cpu_demand;
use tokio::time::{interval, timeout};

use crate::rows::Rows;

/// A table `heavy` of numbers from 0 on, in several files so that several tasks read it.
#[derive(Debug)]
pub(crate) struct Heavy;

impl Heavy {
    /// Writes the table's files below `directory`.
    pub(crate) fn write(directory: &Path) -> Result<Self> {
        let directory = directory.join("heavy");
        fs::create_dir(&directory)?;
        for file in 0..FILES {
            let rows = (0..ROWS_PER_FILE).map(|row| format!("{}\n", file * ROWS_PER_FILE + row));
            let text: String = std::iter::once("n\n".to_owned()).chain(rows).collect();
            fs::write(directory.join(format!("part-{file}.csv")), text)?;
        }
        Ok(Self)
    }

    /// The line of the spicepod.
    pub(crate) fn datasets(&self) -> String {
        "  - {name: heavy, from: 'file:heavy/', params: {file_format: csv}}\n".to_owned()
    }

    /// A query of some seconds, in two stages.
    pub(crate) fn some_seconds(&self) -> String {
        Self::pairs_with_every(SPARSE)
    }

    /// What that gives.
    pub(crate) fn expected(&self) -> Result<Rows> {
        Self::parities(SPARSE)
    }

    /// One that takes no longer than a node that is asked to end waits.
    pub(crate) fn a_moment(&self) -> String {
        Self::pairs_with_every(SPARSER)
    }

    /// What that gives.
    pub(crate) fn expected_of_a_moment(&self) -> Result<Rows> {
        Self::parities(SPARSER)
    }

    /// One whose first tasks take some time, and whose shuffle is small.
    pub(crate) fn slow_scan(&self) -> String {
        "SELECT n % 2 AS parity, count(sha512(repeat(CAST(n AS VARCHAR), 1000))) AS hashed \
         FROM heavy GROUP BY n % 2 ORDER BY parity"
            .to_owned()
    }

    /// What that gives.
    pub(crate) fn expected_of_slow_scan(&self) -> Result<Rows> {
        Self::by_parity("hashed", ROWS / 2)
    }

    /// A query that nobody lives to see the end of. It adds up what it makes, so it takes no memory
    /// for it, and it makes hundreds of millions of rows of each batch that it reads.
    pub(crate) fn without_end(&self) -> String {
        let many = ["SELECT n FROM heavy"; 8].join(" UNION ALL ");
        format!("SELECT count(*) AS pairs FROM heavy a, ({many}) b WHERE a.n + b.n >= 0")
    }

    /// Every row with every so manieth one.
    fn pairs_with_every(step: usize) -> String {
        format!(
            "SELECT a.n % 2 AS parity, count(*) AS pairs \
             FROM heavy a, (SELECT n FROM heavy WHERE n % {step} = 0) b WHERE a.n + b.n >= 0 \
             GROUP BY a.n % 2 ORDER BY parity"
        )
    }

    fn parities(step: usize) -> Result<Rows> {
        Self::by_parity("pairs", ROWS / 2 * ROWS.div_ceil(step))
    }

    /// The same count for the even and for the odd.
    fn by_parity(counted: &str, count: usize) -> Result<Rows> {
        let count = i64::try_from(count)?;
        let columns: [(&str, ArrayRef); 2] = [
            ("parity", Arc::new(Int64Array::from(vec![0, 1]))),
            (counted, Arc::new(Int64Array::from(vec![count, count]))),
        ];
        Rows::read(&[RecordBatch::try_from_iter(columns)?])
    }
}

/// Waits until every one of these executors runs a task.
pub(crate) async fn running(cluster: &TestCluster, executors: &[&str]) -> Result<()> {
    active(cluster, executors, |tasks| tasks > 0.0).await
}

/// Waits until none of these executors runs a task.
pub(crate) async fn idle(cluster: &TestCluster, executors: &[&str]) -> Result<()> {
    active(cluster, executors, |tasks| tasks == 0.0).await
}

/// Waits until every one of these executors wants all of a processor.
pub(crate) async fn at_work(cluster: &TestCluster, executors: &[&str]) -> Result<()> {
    wanting(cluster, executors, |demand| demand > WINDOW / 2).await
}

/// Waits until none of these executors computes anything, whatever it says about its tasks.
pub(crate) async fn at_rest(cluster: &TestCluster, executors: &[&str]) -> Result<()> {
    wanting(cluster, executors, |demand| demand < WINDOW / 2).await
}

async fn wanting(
    cluster: &TestCluster,
    executors: &[&str],
    wanted: impl Fn(Duration) -> bool,
) -> Result<()> {
    let asking = async {
        for name in executors {
            while !demand(cluster, name).await?.is_some_and(&wanted) {}
        }
        anyhow::Ok(())
    };
    let asked = timeout(PATIENCE, asking).await;
    asked.context("the executors compute as before")?
}

/// What an executor would compute within a window on a machine of its own; unknown when threads of
/// it ended meanwhile, which take their time along.
async fn demand(cluster: &TestCluster, name: &str) -> Result<Option<Duration>> {
    let process = cluster.node(name)?.process_id().context("it has ended")?;
    let mut looks = interval(WINDOW);
    looks.tick().await;
    let before = cpu_demand(process)?;
    looks.tick().await;
    Ok(cpu_demand(process)?.checked_sub(before))
}

async fn active(
    cluster: &TestCluster,
    executors: &[&str],
    wanted: impl Fn(f64) -> bool,
) -> Result<()> {
    let asking = async {
        for name in executors {
            while !wanted(active_tasks(cluster, name).await?) {}
        }
        anyhow::Ok(())
    };
    let asked = timeout(PATIENCE, asking).await;
    asked.context("the executors do not get there")?
}

async fn active_tasks(cluster: &TestCluster, name: &str) -> Result<f64> {
    let metrics = cluster.metrics(name).await?;
    let tasks = metrics.sum("node_tasks_active").context("no metric")?;
    ensure!(tasks >= 0.0, "{tasks} tasks");
    Ok(tasks)
}

/// A task wants all of a processor; an executor without any wants hundredths of one.
const WINDOW: Duration = Duration::from_millis(500);

/// A busy machine takes a while for some seconds' work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

const FILES: usize = 8;
const ROWS_PER_FILE: usize = 12_500;
const ROWS: usize = FILES * ROWS_PER_FILE;

/// Two hundred millions of pairs.
const SPARSE: usize = 48;

/// Some millions.
const SPARSER: usize = 1250;
