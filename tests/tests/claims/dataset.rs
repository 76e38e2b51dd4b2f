//! One TPC-H data set for all tests that run at the same time.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use anyhow::Result;
use cluster_test::tpch::{self, ScaleFactor, Table};
use cluster_test::{ClusterPlan, binary};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// The tables as Parquet files and the spicepod over them, in a directory of their own.
#[derive(Debug)]
pub(crate) struct TpchData {
    directory: TempDir,
    manifest: PathBuf,
    scale: ScaleFactor,
}

impl TpchData {
    /// The data set at scale 0.1. It is generated for the first test that asks, and removed
    /// with the last that holds it; nobody writes to it.
    pub(crate) async fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(data) = shared.upgrade() {
            return Ok(data);
        }
        let data = Arc::new(tokio::task::spawn_blocking(Self::generate).await??);
        *shared = Arc::downgrade(&data);
        Ok(data)
    }

    fn generate() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let scale = ScaleFactor::new(0.1)?;
        tpch::generate(directory.path(), scale, |_| Ok(()))?;
        let manifest = tpch::write_manifest(directory.path())?;
        Ok(Self {
            directory,
            manifest,
            scale,
        })
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.manifest.clone()
    }

    /// One scheduler, two executors and mutual TLS over this data.
    pub(crate) fn cluster(&self) -> Result<ClusterPlan> {
        Ok(ClusterPlan::new(binary("spiced")?, self.manifest()))
    }

    /// The 22 queries for the scale of this data.
    pub(crate) fn queries(&self) -> Vec<tpch::Query> {
        tpch::queries(self.scale)
    }

    /// Plain DataFusion in this process over the same files: what every answer is held against.
    pub(crate) async fn reference(&self) -> Result<SessionContext> {
        let session = SessionContext::new();
        for table in Table::ALL {
            let directory = self.directory.path().join(table.name());
            let path = directory.to_string_lossy();
            let options = ParquetReadOptions::default();
            session
                .register_parquet(table.name(), &*path, options)
                .await?;
        }
        Ok(session)
    }
}

/// Weak, so that nothing outlives the tests: what a static holds is never removed.
static SHARED: Mutex<Weak<TpchData>> = Mutex::const_new(Weak::new());
