//! A small table whose every answer is known without an engine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use cluster_test::{ClusterPlan, NodePlan, binary};
use tempfile::TempDir;

/// The numbers from 0 to 5999, each in the bucket of its last digit, in twelve files; and the state
/// that schedulers over them share.
#[derive(Debug)]
pub(super) struct Numbers {
    directory: TempDir,
    manifest: PathBuf,
}

/// A query and its rows, values joined by `|`.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) sql: &'static str,
    expected: Vec<String>,
}

impl Numbers {
    pub(super) fn new() -> Result<Self> {
        Self::with_scheduler("{state_location: 'file:state', member_ttl: 3s}")
    }

    /// With other settings of the schedulers.
    pub(super) fn with_scheduler(settings: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let files = directory.path().join("numbers");
        fs::create_dir(&files)?;
        for file in 0..FILES {
            let mut text = "id,bucket\n".to_owned();
            for id in (file * ROWS_PER_FILE)..((file + 1) * ROWS_PER_FILE) {
                writeln!(text, "{id},{}", id % BUCKETS)?;
            }
            fs::write(files.join(format!("{file}.csv")), text)?;
        }
        let manifest = directory.path().join("spicepod.yaml");
        fs::write(&manifest, format!("{MANIFEST}  scheduler: {settings}\n"))?;
        Ok(Self {
            directory,
            manifest,
        })
    }

    /// Where the spicepod is, and what it names.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// So many schedulers and executors of one slot each, so that no query fits on one executor.
    pub(super) fn cluster(&self, schedulers: usize, executors: usize) -> Result<ClusterPlan> {
        let schedulers =
            (1..=schedulers).map(|number| NodePlan::new(&format!("scheduler{number}")));
        let executors = (1..=executors)
            .map(|number| NodePlan::new(&format!("executor{number}")).with_task_slots(1));
        Ok(ClusterPlan::new(binary("spiced")?, self.manifest.clone())
            .with_schedulers(schedulers.collect())
            .with_executors(executors.collect()))
    }
}

impl Question {
    /// Of one stage after another over all files.
    pub(super) fn all() -> [Self; 2] {
        let bucket = |bucket: i64| {
            let ids = (0..FILES * ROWS_PER_FILE).filter(|id| id % BUCKETS == bucket);
            let (count, sum) = ids.fold((0, 0), |(count, sum), id| (count + 1, sum + id));
            format!("{bucket}|{count}|{sum}")
        };
        let pairs = (0..FILES * ROWS_PER_FILE).map(|id| FEW_PER_BUCKET * id * (id % BUCKETS));
        [
            Self {
                sql: "SELECT bucket, count(*) AS n, sum(id) AS total FROM numbers \
                      GROUP BY bucket ORDER BY bucket",
                expected: (0..BUCKETS).map(bucket).collect(),
            },
            Self {
                sql: "SELECT count(*) AS n, sum(a.id * b.bucket) AS total FROM numbers a \
                      JOIN numbers b ON a.bucket = b.bucket WHERE b.id < 50",
                expected: vec![format!(
                    "{}|{}",
                    FEW_PER_BUCKET * FILES * ROWS_PER_FILE,
                    pairs.sum::<i64>()
                )],
            },
        ]
    }

    /// Holds an answer against what it must be.
    pub(super) fn check(&self, answer: &[RecordBatch]) -> Result<()> {
        let table = pretty_format_batches(answer)?.to_string();
        let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
        let cells = |line: &str| {
            let cells = line.trim_matches('|').split('|').map(str::trim);
            cells.collect::<Vec<_>>().join("|")
        };
        let rows: Vec<String> = rows.map(cells).collect();
        ensure!(rows == self.expected, "{}: {rows:?}", self.sql);
        Ok(())
    }
}

const FILES: i64 = 12;
const ROWS_PER_FILE: i64 = 500;
const BUCKETS: i64 = 10;

/// Of the numbers below 50.
const FEW_PER_BUCKET: i64 = 5;

const MANIFEST: &str = "\
version: v1
kind: Spicepod
name: numbers
datasets:
  - name: numbers
    from: file:numbers/
    params:
      file_format: csv
runtime:
";
