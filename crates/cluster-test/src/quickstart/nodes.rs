//! The three processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use cluster_tls::Role;
use futures::future::try_join_all;
use tokio::time::{interval, timeout};

use super::pki::Certificate;
use super::ports::NodePorts;
use crate::cluster::{NodeArguments, Protection};
use crate::http::http_get;
use crate::metrics::Metrics;
use crate::node::{Launch, Listener, Node, Signals};

/// The running nodes, the scheduler first.
pub(super) struct Nodes(Vec<Node>);

/// What all nodes have in common.
pub(super) struct Place<'a> {
    pub(super) spiced: &'a Path,
    pub(super) manifest: PathBuf,
    /// Where each node has its own directory.
    pub(super) data: PathBuf,
    pub(super) ports: [NodePorts; 3],
}

impl Nodes {
    /// Starts the scheduler, then both executors, and waits until the scheduler counts two.
    pub(super) async fn start(place: &Place<'_>, certificates: &[Certificate]) -> Result<Self> {
        let mut launches = place
            .ports
            .iter()
            .zip(certificates)
            .zip([Role::Scheduler, Role::Executor, Role::Executor])
            .map(|((ports, certificate), role)| place.launch(role, ports, certificate));
        let scheduler = launches.next().context("there is no scheduler")?;
        let mut nodes = vec![Node::start(scheduler).await?];
        nodes.extend(try_join_all(launches.map(Node::start)).await?);
        let mut nodes = Self(nodes);
        if let Err(error) = nodes.ready().await {
            return Err(nodes.explain(&error));
        }
        Ok(nodes)
    }

    /// The scheduler, which takes the queries.
    pub(super) fn scheduler(&self) -> &Node {
        &self.0[0]
    }

    /// Those that run the tasks.
    pub(super) fn executors(&self) -> &[Node] {
        &self.0[1..]
    }

    /// How many tasks each executor has run.
    pub(super) async fn tasks(&self) -> Result<Vec<u64>> {
        let scrapes = self.executors().iter().map(|node| async {
            let metrics = Metrics::scrape(node.address(Listener::Metrics)?).await?;
            // A counter that nothing was counted on is not served yet.
            anyhow::Ok(metrics.sum("node_tasks_total").unwrap_or(0.0))
        });
        let counts = try_join_all(scrapes).await?;
        Ok(counts.into_iter().map(whole).collect())
    }

    /// Adds to an error the last lines of the nodes that ended, or else of the scheduler.
    pub(super) fn explain(&mut self, error: &Error) -> Error {
        let nodes = self.0.iter_mut();
        let ended = |node: &mut Node| !node.is_running().unwrap_or(false);
        let mut faulty: Vec<usize> = nodes
            .enumerate()
            .filter_map(|(index, node)| ended(node).then_some(index))
            .collect();
        if faulty.is_empty() {
            faulty.push(0);
        }
        let logs: Vec<String> = faulty
            .into_iter()
            .filter_map(|index| self.0.get(index))
            .map(|node| format!("last lines of {}:\n{}", node.name(), node.log().tail(20)))
            .collect();
        anyhow!("{error:#}\n\n{}", logs.join("\n"))
    }

    /// Ends the executors, then the scheduler, and tells when one did not end well.
    pub(super) async fn end(mut self) -> Result<()> {
        while let Some(mut node) = self.0.pop() {
            let status = node.terminate(END_PATIENCE).await?;
            ensure!(
                status.success(),
                "{} ended with {status}; its last lines:\n{}",
                node.name(),
                node.log().tail(20)
            );
        }
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        let server = self.scheduler().address(Listener::Http)?;
        let path = format!("/v1/ready?min_ready_executors={}", self.executors().len());
        let mut every = interval(ASK_EVERY);
        let ready = timeout(START_PATIENCE, async {
            loop {
                every.tick().await;
                if http_get(server, &path).await?.status == 200 {
                    return anyhow::Ok(());
                }
            }
        });
        match ready.await {
            Ok(asked) => asked,
            Err(_) => bail!("the scheduler does not count the executors as ready"),
        }
    }
}

impl Place<'_> {
    fn launch(&self, role: Role, node: &NodePorts, certificate: &Certificate) -> Launch {
        let is_executor = role == Role::Executor;
        let arguments = NodeArguments {
            role,
            manifest: (!is_executor).then(|| self.manifest.clone()),
            host: advertised(node.name).to_owned(),
            bind: Ipv4Addr::LOCALHOST.into(),
            protection: Protection::Mutual(certificate.paths.clone()),
            scheduler: is_executor.then_some(self.ports[0].ports.internal),
            ports: node.ports,
            data: self.data.join(node.name),
        };
        Launch {
            name: node.name.to_owned(),
            program: self.spiced.to_owned(),
            arguments: arguments.to_args(),
            signals: Signals::Own,
            patience: START_PATIENCE,
        }
    }
}

/// One executor by name, the others by address: certificates hold both.
fn advertised(name: &str) -> &'static str {
    if name == "executor2" {
        "localhost"
    } else {
        "127.0.0.1"
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter of tasks is a small positive whole number"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

const START_PATIENCE: Duration = Duration::from_secs(60);
const END_PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(100);
