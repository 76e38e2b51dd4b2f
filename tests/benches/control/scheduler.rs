use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cluster_test::{ClusterPlan, Listener, Node, TestCluster, TestPki, binary};
use tempfile::TempDir;

/// A scheduler without executors, and its manifest.
pub(crate) struct Scheduler {
    cluster: TestCluster,
    directory: TempDir,
}

impl Scheduler {
    pub(crate) async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("numbers.csv"), "n\n1\n2\n3\n")?;
        let manifest = directory.path().join("spicepod.yaml");
        fs::write(&manifest, manifest_text(0))?;
        let plan = ClusterPlan::new(binary("spiced")?, manifest).with_executors(vec![]);
        let cluster = TestCluster::start(plan).await?;
        Ok(Self { cluster, directory })
    }

    pub(crate) fn pki(&self) -> &TestPki {
        self.cluster.pki()
    }

    pub(crate) fn node(&self) -> Result<&Node> {
        self.cluster.node("scheduler1")
    }

    pub(crate) fn process(&self) -> Result<u32> {
        self.node()?.process_id().context("the scheduler has ended")
    }

    pub(crate) fn internal(&self) -> Result<SocketAddr> {
        self.node()?.address(Listener::Internal)
    }

    /// Makes the manifest another one, and has the scheduler look at it.
    pub(crate) async fn change_manifest(&self, version: usize) -> Result<()> {
        let manifest: PathBuf = self.directory.path().join("spicepod.yaml");
        let next = manifest.with_extension("next");
        fs::write(&next, manifest_text(version))?;
        fs::rename(&next, &manifest)?;
        self.node()?.hang_up().await
    }
}

fn manifest_text(version: usize) -> String {
    format!(
        "version: v1\nkind: Spicepod\nname: bench\ndatasets:\n  - name: numbers\n    \
         from: file:numbers.csv\nviews:\n  - name: numbers_{version}\n    \
         sql: SELECT n + {version} AS n FROM numbers\n"
    )
}
