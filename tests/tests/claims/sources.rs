//! Datasets that are elsewhere: in an S3 store and in PostgreSQL, read by executors that were given
//! no keys and no password.

mod databases;
mod objects;
mod outages;
mod tls;

use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result, ensure};
use arrow::util::pretty::pretty_format_batches;
use cluster_test::{Launch, Leaf, Listener, LogLine, Metrics, Node, SqlClient};
use cluster_tls::Role;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE};

/// A scheduler and two executors over one spicepod. Only the scheduler has anything in its
/// environment.
struct Cluster {
    scheduler: Node,
    executors: [Node; 2],
}

impl Cluster {
    async fn start(fixture: &Fixture, environment: &[(&str, &str)]) -> Result<Self> {
        let scheduler = Node::start(scheduler(fixture, environment)?).await?;
        let one = executor(fixture, &scheduler, "executor1").await?;
        let other = executor(fixture, &scheduler, "executor2").await?;
        Ok(Self {
            scheduler,
            executors: [one, other],
        })
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.executors.iter().chain([&self.scheduler])
    }

    /// The rows of an answer, their values joined by `|`.
    async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        let flight = self.scheduler.address(Listener::Flight)?;
        let batches = SqlClient::connect(flight).await?.query(sql).await?;
        let table = pretty_format_batches(&batches)?.to_string();
        let rows = table.lines().filter(|line| line.starts_with('|')).skip(1);
        let cells = |line: &str| {
            let cells = line.trim_matches('|').split('|').map(str::trim);
            cells.collect::<Vec<_>>().join("|")
        };
        Ok(rows.map(cells).collect())
    }

    async fn ensure_rows(&self, sql: &str, expected: &[&str]) -> Result<()> {
        let rows = self.rows(sql).await.with_context(|| sql.to_owned())?;
        ensure!(rows == expected, "{sql}: {rows:#?}");
        Ok(())
    }

    /// Asks these again and again until each of `nodes` has used what is new for every dataset: which
    /// of the executors gets a task is nobody's choice.
    async fn ask_until_replaced(&self, statements: &[&str], nodes: &[&Node]) -> Result<()> {
        let is_told = |line: &LogLine| line.message().contains("refused and");
        let count = |node: &Node| node.log().lines().iter().filter(|it| is_told(it)).count();
        let counts = || nodes.iter().map(|node| count(node)).collect::<Vec<_>>();
        let asking = async {
            while counts().iter().any(|count| *count < statements.len()) {
                for sql in statements {
                    // Refused until then.
                    let _ = self.rows(sql).await;
                }
            }
        };
        let asked = timeout(PATIENCE, asking).await;
        asked.with_context(|| format!("replaced on the nodes: {:?}", counts()))
    }

    /// What a query fails with.
    async fn failure(&self, sql: &str) -> Result<String> {
        let error = self.rows(sql).await.err();
        Ok(format!(
            "{:#}",
            error.with_context(|| format!("{sql} gives rows"))?
        ))
    }

    /// The executors ran tasks, and nothing that any of the nodes wrote holds one of these words.
    async fn ensure_discreet(&self, secrets: &[&str]) -> Result<()> {
        let mut tasks = 0.0;
        for executor in &self.executors {
            let metrics = Metrics::scrape(executor.address(Listener::Metrics)?).await?;
            tasks += metrics.sum("node_tasks_total").context("no such metric")?;
        }
        ensure!(tasks > 0.0, "the executors ran no task");
        for node in self.nodes() {
            let log = node.log().tail(usize::MAX);
            ensure_discreet(&log, secrets)?;
        }
        Ok(())
    }
}

fn ensure_discreet(text: &str, secrets: &[&str]) -> Result<()> {
    let told = secrets.iter().find(|secret| text.contains(**secret));
    ensure!(told.is_none(), "{told:?} is told: {text}");
    Ok(())
}

/// The scheduler, started by `env`: what is in its environment is in no other process's.
fn scheduler(fixture: &Fixture, environment: &[(&str, &str)]) -> Result<Launch> {
    let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
    let arguments = fixture.scheduler_with(fixture.pki().write("scheduler1", &leaf)?);
    let mut launch = fixture.launch(&arguments, &[]);
    let variables = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let mut words: Vec<OsString> = variables.map(OsString::from).collect();
    words.push(launch.program.into());
    words.append(&mut launch.arguments);
    launch.arguments = words;
    launch.program = "env".into();
    Ok(launch)
}

async fn executor(fixture: &Fixture, scheduler: &Node, name: &str) -> Result<Node> {
    let leaf = Leaf::new(name).with_role(Role::Executor);
    let port = scheduler.address(Listener::Internal)?.port();
    let mut arguments = fixture.executor_with(fixture.pki().write(name, &leaf)?, port);
    arguments.data = fixture.directory().join(format!("{name}-data"));
    let node = Node::start(fixture.launch(&arguments, &[])).await?;
    let port = format!(":{}", node.address(Listener::Internal)?.port());
    let connected = |line: &LogLine| {
        let id = line.field("executor").unwrap_or_default();
        line.message() == "executor connected" && id.ends_with(&port)
    };
    scheduler.log().wait_for(connected, PATIENCE).await?;
    Ok(node)
}

/// What a scheduler over this spicepod says when it does not start.
async fn refusal(fixture: &Fixture, environment: &[(&str, &str)]) -> Result<String> {
    let (status, log) = Node::run_to_end(scheduler(fixture, environment)?).await?;
    let text = log.tail(usize::MAX);
    ensure!(status.code() == Some(1), "{status}: {text}");
    Ok(text)
}

/// Writes a spicepod over these datasets.
fn write_manifest(fixture: &Fixture, datasets: &str) -> Result<()> {
    let manifest = format!("version: v1\nkind: Spicepod\nname: sources\ndatasets:\n{datasets}");
    Ok(fs::write(fixture.manifest(), manifest)?)
}
