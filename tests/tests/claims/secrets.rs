//! Secrets of an application: who is given which, who is told of it, and where they never are.

mod answers;
mod audit;
mod giver;
mod kubernetes;
mod leaks;
mod search;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use cluster_proto::pb;
use cluster_proto::pb::cluster_service_client::ClusterServiceClient;
use cluster_test::{Launch, Leaf, Listener, LogLine, Node, S3Server, SqlClient};
use cluster_tls::Role;
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::authorization::calls::Caller;
use crate::fixture::{Fixture, PATIENCE};

/// A scheduler over a table in a bucket, whose keys are in a directory that only it is told of.
struct Vault {
    fixture: Fixture,
    bucket: S3Server,
}

impl Vault {
    async fn new() -> Result<Self> {
        let fixture = Fixture::new()?;
        let bucket = S3Server::start().await?;
        bucket.put("numbers.csv", b"n\n1\n2\n3\n".to_vec()).await?;
        let vault = Self { fixture, bucket };
        let keys = vault.bucket.credentials();
        for (place, value) in [
            ("vault/s3.key", keys.access_key_id.as_str()),
            ("vault/s3.secret", &keys.secret_access_key),
            ("vault/unreferenced", "unreferenced-value"),
            ("attic/s3.secret", "attic-value"),
            ("attic/unreferenced", "unreferenced-value"),
        ] {
            vault.put(place, value)?;
        }
        let manifest = MANIFEST.replace("ENDPOINT", &vault.bucket.endpoint());
        fs::write(vault.fixture.manifest(), manifest)?;
        Ok(vault)
    }

    /// Puts a secret into a store, or replaces it there.
    fn put(&self, place: &str, value: &str) -> Result<()> {
        let path = self.path(place);
        fs::create_dir_all(path.parent().context("a place in a directory")?)?;
        Ok(fs::write(path, value)?)
    }

    fn path(&self, place: &str) -> PathBuf {
        self.fixture.directory().join(place)
    }

    /// Changes the manifest, before a scheduler reads it.
    fn edit(&self, edit: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.fixture.manifest();
        let manifest = fs::read_to_string(&path)?;
        Ok(fs::write(&path, edit(manifest))?)
    }

    /// How a scheduler is started, with `more` than the usual arguments.
    fn scheduler_launch(&self, more: &[&str]) -> Result<Launch> {
        let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
        let paths = self.fixture.pki().write("scheduler1", &leaf)?;
        let arguments = self.fixture.scheduler_with(paths);
        Ok(self.fixture.launch(&arguments, more))
    }

    async fn scheduler(&self, more: &[&str]) -> Result<Node> {
        Node::start(self.scheduler_launch(more)?).await
    }

    /// How an executor is started.
    fn executor(&self, scheduler: &Node) -> Result<Launch> {
        let arguments = self.fixture.executor_of(scheduler)?;
        Ok(self.fixture.launch(&arguments, &[]))
    }

    /// Starts an executor, which takes tasks when this ends.
    async fn join(&self, scheduler: &Node, executor: Launch) -> Result<Node> {
        let executor = Node::start(executor).await?;
        let connected = |line: &LogLine| line.message() == "executor connected";
        scheduler.log().wait_for(connected, PATIENCE).await?;
        Ok(executor)
    }

    fn caller(&self, scheduler: &Node, leaf: &Leaf) -> Result<Caller> {
        let server = scheduler.address(Listener::Internal)?;
        Caller::new(self.fixture.pki(), leaf, server, Role::Scheduler)
    }
}

/// Somebody who may ask for secrets, under an id that it may use.
fn executor_leaf() -> Leaf {
    Leaf::new("caller").with_role(Role::Executor)
}

/// Asks for one secret.
async fn expand(caller: &Caller, store: &str, key: &str) -> Result<Answer> {
    let request = pb::ExpandSecretRequest {
        executor_id: "127.0.0.1:9".to_owned(),
        key: key.to_owned(),
        store: store.to_owned(),
    };
    let mut client = ClusterServiceClient::new(caller.channel());
    Ok(timeout(PATIENCE, client.expand_secret(request)).await?)
}

type Answer = Result<Response<pb::ExpandSecretResponse>, Status>;

/// Reads the three rows of a table, by any executor.
async fn reads_three(scheduler: &Node, table: &str) -> Result<()> {
    let flight = scheduler.address(Listener::Flight)?;
    let sql = format!("SELECT n FROM {table}");
    let rows = SqlClient::connect(flight).await?.query(&sql).await?;
    let rows: usize = rows.iter().map(RecordBatch::num_rows).sum();
    ensure!(rows == 3, "{rows} rows");
    Ok(())
}

const MANIFEST: &str = "\
version: v1
kind: Spicepod
name: claims
secrets:
  - {from: 'file:attic', name: attic}
  - {from: 'file:vault', name: vault}
datasets:
  - name: numbers
    from: s3://data/numbers.csv
    params:
      s3_endpoint: ENDPOINT
      s3_region: us-east-1
      s3_key: ${vault:s3.key}
      s3_secret: ${vault:s3.secret}
      allow_http: true
";
