//! Blocks of an executor whose key was stolen, and what they do to those that read them: nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, Int64Array};
use arrow::ipc::{RecordBatch, root_as_message};
use bytes::{Bytes, BytesMut};
use cluster_test::{ClusterPlan, Leaf, Listener, LogLine, NodePlan, TestCluster, binary};
use cluster_tls::Role;
use tokio::time::timeout;

use super::thief::{Lie, Thief};
use crate::fixture::Fixture;
use crate::heavy::{self, Heavy};
use crate::rows::Rows;

/// More bytes than there are in a column, or rows without end in a batch: a reader that believes it
/// gets memory for the one at once, and for the other as it cuts it into batches of the usual size.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_claim_more_than_there_is_end_their_query_and_no_executor() -> Result<()> {
    for (lie, told) in [
        (without_bound as Lie, "9223372036854775808 bytes"),
        (rows_without_end, "4611686018427387904 rows"),
    ] {
        let mut scene = Scene::start(lie).await?;
        let failed = scene.run().await;
        for name in EXECUTORS {
            let node = scene.cluster.node_mut(name)?;
            ensure!(node.is_running()?, "{name} has ended");
        }
        let error = failed.err().context("the query found nothing wrong")?;
        ensure!(format!("{error:#}").contains(told), "{error:#}");
        let refused = |line: &LogLine| {
            line.message() == "block of another executor refused"
                && line
                    .field("error")
                    .is_some_and(|error| error.contains(told))
        };
        let logs = EXECUTORS.map(|name| scene.cluster.logs(name));
        let lines = logs.into_iter().collect::<Result<Vec<_>>>()?;
        ensure!(lines.iter().flatten().any(|line| refused(line)));
        heavy::idle(&scene.cluster, &EXECUTORS).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_say_what_they_hold_are_read_whoever_they_come_through() -> Result<()> {
    let scene = Scene::start(Bytes::clone).await?;
    let rows = scene.run().await?;
    let expected = scene.load.expected_of_slow_scan()?;
    ensure!(rows.difference(&expected, &[]).is_none(), "{rows:?}");
    let read = scene
        .sum("executor_shuffle_read_remote_bytes_total")
        .await?;
    ensure!(read > 0.0, "no block came through anybody");
    Ok(())
}

/// Blocks that are read at once while others wait, words by number, partitions without rows.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_every_kind_are_read_as_they_were_written() -> Result<()> {
    let scene = Scene::start(Bytes::clone).await?;
    let hashes =
        (0..12).map(|salt| format!("encode(sha512(CAST(n * 12 + {salt} AS VARCHAR)), 'hex')"));
    let hashes = hashes.collect::<Vec<_>>().join(", ");
    let large = format!("SELECT count(*) AS n FROM (SELECT DISTINCT concat({hashes}) FROM heavy)");
    let words = "SELECT arrow_cast(CAST(n % 3 AS VARCHAR), 'Dictionary(Int32, Utf8)') AS word, \
                 count(*) AS n FROM heavy GROUP BY 1";
    let words = format!("SELECT count(*) AS n FROM ({words}) WHERE n > 33000");
    for (sql, count) in [(large, 100_000), (words, 3)] {
        let rows = Rows::read(&scene.cluster.sql(&sql).await?)?;
        let expected: ArrayRef = Arc::new(Int64Array::from(vec![count]));
        let expected = Rows::read(&[arrow::array::RecordBatch::try_from_iter([("n", expected)])?])?;
        ensure!(rows.difference(&expected, &[]).is_none(), "{sql}: {rows:?}");
    }
    let written = scene.sum("executor_shuffle_write_bytes_total").await?;
    let most_blocks = 16.0;
    ensure!(
        written / most_blocks > 8.0 * 1024.0 * 1024.0,
        "{written} bytes: no block is large"
    );
    Ok(())
}

/// Two executors with a thief in front of each, so that every block between them passes one.
struct Scene {
    _fixture: Fixture,
    cluster: TestCluster,
    load: Heavy,
    _thieves: Vec<Thief>,
}

impl Scene {
    async fn start(lie: Lie) -> Result<Self> {
        let fixture = Fixture::new()?;
        let load = Heavy::write(fixture.directory())?;
        let manifest = crate::definition::manifest(&load.datasets(), "");
        fs::write(fixture.manifest(), manifest)?;
        let plan = ClusterPlan::new(binary("spiced")?, fixture.manifest());
        let mut cluster = TestCluster::start(plan.with_executors(vec![])).await?;
        let mut thieves = vec![];
        for (name, last) in EXECUTORS.into_iter().zip([10, 20]) {
            let [front, behind] = [last, last + 1].map(|last| Ipv4Addr::new(127, 0, 0, last));
            let names = [front, behind].map(|address| address.to_string());
            let leaf = Leaf::new(name).with_role(Role::Executor);
            let leaf = leaf.with_names([&names[0], &names[1]]);
            let credentials = cluster.pki().write(name, &leaf)?;
            let node = NodePlan::new(name)
                .with_task_slots(2)
                .with_host(&names[0])
                .with_bind(IpAddr::V4(behind))
                .with_credentials(credentials.clone());
            cluster.add_executor(&node).await?;
            let node = cluster.node(name)?.address(Listener::Internal)?;
            thieves.push(Thief::start(&credentials, front.into(), node, lie).await?);
        }
        Ok(Self {
            _fixture: fixture,
            cluster,
            load,
            _thieves: thieves,
        })
    }

    /// A metric of both executors.
    async fn sum(&self, metric: &str) -> Result<f64> {
        let mut sum = 0.0;
        for name in EXECUTORS {
            let metrics = self.cluster.metrics(name).await?;
            sum += metrics.sum(metric).context("no metric")?;
        }
        Ok(sum)
    }

    /// Runs a query whose first tasks take long enough for both executors to have some.
    async fn run(&self) -> Result<Rows> {
        let sql = self.load.slow_scan();
        let running = async {
            let (rows, running) = tokio::join!(
                self.cluster.sql(&sql),
                heavy::running(&self.cluster, &EXECUTORS),
            );
            running?;
            rows
        };
        Rows::read(&timeout(heavy::PATIENCE, running).await??)
    }
}

/// Every column of what is compressed says that it holds more than there is.
fn without_bound(block: &Bytes) -> Bytes {
    change(block, |batch, _, body| {
        batch.compression()?;
        for buffer in batch.buffers()?.iter().filter(|it| it.length() > 8) {
            let start = usize::try_from(buffer.offset()).ok()?;
            body[start..start + 8].copy_from_slice(&CLAIM.to_le_bytes());
        }
        Some(())
    })
}

/// Every batch says that it has as many rows.
fn rows_without_end(block: &Bytes) -> Bytes {
    change(block, |batch, header, _| {
        let honest = Some(batch.length()).filter(|rows| *rows > 0)?;
        let said = header.windows(8).enumerate();
        let said = said.filter(|(_, bytes)| **bytes == honest.to_le_bytes());
        for at in said.map(|(at, _)| at).collect::<Vec<_>>() {
            header[at..at + 8].copy_from_slice(&CLAIM.to_le_bytes());
        }
        Some(())
    })
}

/// `block` with each of its batches changed: `lie` gets it, its header and its columns.
fn change(
    block: &Bytes,
    lie: impl Fn(RecordBatch<'_>, &mut [u8], &mut [u8]) -> Option<()>,
) -> Bytes {
    let mut changed = BytesMut::from(&block[..]);
    let mut at = 0;
    while let Some(head) = block.get(at..at + 8) {
        let header = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let header = at + 8..at + 8 + header;
        at = header.end;
        if header.is_empty() {
            continue;
        }
        // A block ends with the beginning of the next one.
        let Some(Ok(message)) = block.get(header.clone()).map(root_as_message) else {
            break;
        };
        at += usize::try_from(message.bodyLength()).unwrap_or_default();
        if let Some(batch) = message.header_as_record_batch() {
            let (before, body) = changed[..at].split_at_mut(header.end);
            let _ = lie(batch, &mut before[header], body);
        }
    }
    changed.freeze()
}

/// More than any machine can even promise.
const CLAIM: i64 = 1 << 62;

const EXECUTORS: [&str; 2] = ["executor1", "executor2"];
