//! The application definition of a running cluster: changed, broken, and late.

mod absent;
mod change;
mod in_place;
mod rejected;
mod running;
mod silent;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster_test::{ClusterPlan, Listener, LogLine, Node, NodePlan, TestCluster, binary, http_get};
use serde_json::Value;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE};

/// A cluster of two executors over the table of a fixture, whose spicepod the test rewrites.
struct Scene {
    fixture: Fixture,
    cluster: TestCluster,
}

impl Scene {
    async fn start() -> Result<Self> {
        let fixture = Fixture::new()?;
        let executors = ["executor1", "executor2"];
        let executors = executors.map(|name| NodePlan::new(name).with_task_slots(2));
        let plan = ClusterPlan::new(binary("spiced")?, fixture.manifest());
        let plan = plan.with_executors(executors.to_vec());
        let cluster = TestCluster::start(plan).await?;
        Ok(Self { fixture, cluster })
    }

    fn scheduler(&self) -> Result<&Node> {
        self.cluster.node("scheduler1")
    }

    /// The digest of the application that a node says it serves.
    async fn digest_of(&self, name: &str) -> Result<String> {
        let app = app_of(self.cluster.node(name)?).await?;
        Ok(app["digest"].as_str().context("no digest")?.to_owned())
    }

    /// Puts `manifest` in place and waits until queries are planned over it.
    async fn change_to(&self, manifest: &str) -> Result<Arc<LogLine>> {
        let before = self.digest_of("scheduler1").await?;
        let log = self.scheduler()?.log();
        let skipped = log.lines().len();
        write_manifest(&self.fixture, manifest)?;
        let changed =
            |line: &LogLine| line.message() == CHANGED && line.field("digest") != Some(&before);
        log.wait_for_after(skipped, changed, PATIENCE).await
    }
}

/// What a node says about its application.
async fn app_of(node: &Node) -> Result<Value> {
    let reply = http_get(node.address(Listener::Http)?, "/v1/status").await?;
    ensure!(reply.status == 200, "{reply:?}");
    let status: Value = serde_json::from_str(&reply.body)?;
    Ok(status["app"].clone())
}

/// Replaces the spicepod in one step, as careful tools do.
fn write_manifest(fixture: &Fixture, manifest: &str) -> Result<()> {
    let new = fixture.directory().join("spicepod.new");
    fs::write(&new, manifest)?;
    fs::rename(new, fixture.manifest())?;
    Ok(())
}

/// A spicepod over `numbers` and whatever else.
pub(crate) fn manifest(more_datasets: &str, views: &str) -> String {
    format!(
        "version: v1\nkind: Spicepod\nname: claims\ndatasets:\n  - {{name: numbers, from: \
         'file:numbers/', params: {{file_format: csv}}}}\n{more_datasets}{views}"
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Asks until the answer is the wanted one.
pub(crate) async fn until<T, F: Future<Output = Result<T>>>(
    ask: impl Fn() -> F,
    wanted: impl Fn(&T) -> bool,
) -> Result<T> {
    let asking = async {
        loop {
            let answer = ask().await?;
            if wanted(&answer) {
                return anyhow::Ok(answer);
            }
        }
    };
    let asked = timeout(PATIENCE, asking).await;
    asked.context("the answer is not what it should become")?
}

const CHANGED: &str = "spicepod changed";

const REJECTED: &str = "spicepod rejected, the one in use stays";
