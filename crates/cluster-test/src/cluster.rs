//! A cluster of real processes on free ports.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use cluster_tls::{CredentialPaths, Role};
use futures::future::try_join_all;
use tempfile::TempDir;

use crate::log::LogLine;
use crate::metrics::Metrics;
use crate::node::{Launch, Listener, Node, Signals};
use crate::pki::{Leaf, TestPki};
use crate::sql::SqlClient;

mod arguments;
mod plan;

pub use arguments::{NodeArguments, Ports, Protection};
pub use plan::{ClusterPlan, NodePlan, Security};

/// Schedulers and their executors, ready when made and killed when dropped.
#[derive(Debug)]
pub struct TestCluster {
    plan: ClusterPlan,
    pki: TestPki,
    /// The nodes' data directories.
    directory: TempDir,
    /// The schedulers first.
    nodes: Vec<Node>,
}

impl TestCluster {
    /// Starts the schedulers at once, then all executors at once, and waits until each says it is
    /// ready and every scheduler that it was told of says it is connected: from then on a query
    /// finds all of them.
    ///
    /// # Errors
    ///
    /// When a node does not start, with everything it wrote.
    pub async fn start(plan: ClusterPlan) -> Result<Self> {
        let pki = TestPki::new()?;
        let directory = tempfile::tempdir().context("cannot make a directory for the nodes")?;
        let mut cluster = Self {
            nodes: Vec::new(),
            plan,
            pki,
            directory,
        };
        let schedulers = cluster.plan.schedulers.clone();
        cluster.nodes = cluster.start_all(Role::Scheduler, &schedulers).await?;
        let plans = cluster.plan.executors.clone();
        let executors = cluster.start_all(Role::Executor, &plans).await?;
        for (executor, plan) in executors.iter().zip(&plans) {
            cluster.connected(executor, plan).await?;
        }
        cluster.nodes.extend(executors);
        Ok(cluster)
    }

    /// Adds an executor to the running cluster, also in the place of one that ended, and waits
    /// until the schedulers that it was told of say it is connected.
    ///
    /// # Errors
    ///
    /// When it does not start, with everything it wrote.
    pub async fn add_executor(&mut self, node: &NodePlan) -> Result<()> {
        let started = Node::start(self.launch(Role::Executor, node)?).await?;
        self.connected(&started, node).await?;
        self.nodes.retain(|known| known.name() != node.name);
        self.nodes.push(started);
        Ok(())
    }

    /// Adds a scheduler to the running cluster and waits until it says it is ready. Nobody is told
    /// of it.
    ///
    /// # Errors
    ///
    /// When it does not start, with everything it wrote.
    pub async fn add_scheduler(&mut self, node: &NodePlan) -> Result<()> {
        let started = Node::start(self.launch(Role::Scheduler, node)?).await?;
        self.nodes.push(started);
        Ok(())
    }

    /// Ends a node at once if it still runs, starts it again with the same arguments at the same
    /// ports, and waits until it says it is ready.
    ///
    /// # Errors
    ///
    /// When there is no such node, or it does not start, with everything it wrote.
    pub async fn restart(&mut self, name: &str) -> Result<()> {
        self.node_mut(name)?.restart().await
    }

    /// How an executor of this cluster is started; for tests that expect it to be refused.
    ///
    /// # Errors
    ///
    /// When its certificate cannot be written.
    pub fn executor_launch(&self, node: &NodePlan) -> Result<Launch> {
        self.launch(Role::Executor, node)
    }

    /// The authority of this cluster; without a use where connections are plaintext.
    #[must_use]
    pub fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// The node of this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn node(&self, name: &str) -> Result<&Node> {
        let node = self.nodes.iter().find(|node| node.name() == name);
        node.with_context(|| format!("there is no node {name}"))
    }

    /// The node of this name, to end it.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn node_mut(&mut self, name: &str) -> Result<&mut Node> {
        let node = self.nodes.iter_mut().find(|node| node.name() == name);
        node.with_context(|| format!("there is no node {name}"))
    }

    /// What a node wrote so far.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    pub fn logs(&self, name: &str) -> Result<Vec<Arc<LogLine>>> {
        Ok(self.node(name)?.log().lines())
    }

    /// Waits for an event of a node, one that it wrote already included.
    ///
    /// # Errors
    ///
    /// When there is no such event within `patience`, with the last lines of the node.
    pub async fn wait_for_event(
        &self,
        name: &str,
        wanted: impl Fn(&LogLine) -> bool,
        patience: Duration,
    ) -> Result<Arc<LogLine>> {
        let line = self.node(name)?.log().wait_for(wanted, patience).await;
        line.with_context(|| format!("waiting for an event of {name}"))
    }

    /// Ends a node at once (SIGKILL).
    ///
    /// # Errors
    ///
    /// When there is no such node, or it cannot be signalled.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        self.node_mut(name)?.kill().await
    }

    /// Asks a node to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    ///
    /// When there is no such node, or it does not end within the patience of the plan.
    pub async fn terminate(&mut self, name: &str) -> Result<ExitStatus> {
        let patience = self.plan.patience;
        self.node_mut(name)?.terminate(patience).await
    }

    /// Runs a query on the first scheduler.
    ///
    /// # Errors
    ///
    /// What the scheduler refuses and why.
    pub async fn sql(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let scheduler = self.nodes.first().context("the cluster has no scheduler")?;
        self.sql_at(scheduler.name(), sql).await
    }

    /// Runs a query on this scheduler.
    ///
    /// # Errors
    ///
    /// When there is no such node; what it refuses and why.
    pub async fn sql_at(&self, name: &str, sql: &str) -> Result<Vec<RecordBatch>> {
        let scheduler = self.node(name)?;
        let mut client = SqlClient::connect(scheduler.address(Listener::Flight)?).await?;
        client.query(sql).await
    }

    /// The metrics of a node.
    ///
    /// # Errors
    ///
    /// When there is no such node, or it does not answer.
    pub async fn metrics(&self, name: &str) -> Result<Metrics> {
        Metrics::scrape(self.node(name)?.address(Listener::Metrics)?).await
    }

    /// Where a node of this name keeps its data.
    #[must_use]
    pub fn data_directory(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn start_all(&self, role: Role, plans: &[NodePlan]) -> Result<Vec<Node>> {
        let launches = plans.iter().map(|node| self.launch(role, node));
        let launches: Vec<Launch> = launches.collect::<Result<_>>()?;
        try_join_all(launches.into_iter().map(Node::start)).await
    }

    /// The executor's port tells it from all others: no two nodes of a machine share one.
    async fn connected(&self, executor: &Node, plan: &NodePlan) -> Result<()> {
        let port = format!(":{}", executor.address(Listener::Internal)?.port());
        let wanted = |line: &LogLine| {
            let id = line.field("executor").unwrap_or_default();
            line.message() == "executor connected" && id.ends_with(&port)
        };
        for scheduler in self.seeds(plan)? {
            let line = scheduler.log().wait_for(wanted, self.plan.patience).await;
            line.with_context(|| {
                let (executor, scheduler) = (executor.name(), scheduler.name());
                format!("{executor} does not connect to {scheduler}")
            })?;
        }
        Ok(())
    }

    /// The schedulers that an executor is told of.
    fn seeds(&self, executor: &NodePlan) -> Result<Vec<&Node>> {
        let all = || self.plan.schedulers.iter().map(|node| node.name.clone());
        let names = executor.seeds.clone();
        let names = names.unwrap_or_else(|| all().collect());
        names.iter().map(|name| self.node(name)).collect()
    }

    fn launch(&self, role: Role, node: &NodePlan) -> Result<Launch> {
        let seeds = match role {
            Role::Executor => self.seeds(node)?,
            _ => vec![],
        };
        let seeds = seeds.iter().map(|seed| seed.address(Listener::Internal));
        let mut seeds = seeds.map(|seed| seed.map(|seed| seed.port()));
        let first = seeds.next().transpose()?;
        let others: Vec<u16> = seeds.collect::<Result<_>>()?;
        let arguments = NodeArguments {
            role,
            manifest: (role == Role::Scheduler).then(|| self.plan.manifest.clone()),
            host: node.host.clone(),
            bind: node.bind,
            protection: self.protection(role, node)?,
            scheduler: first,
            ports: Ports::any(role),
            data: self.data_directory(&node.name),
        };
        let mut arguments: Vec<OsString> = arguments.to_args();
        if let Some(slots) = node.task_slots {
            arguments.extend(["--task-slots".into(), slots.to_string().into()]);
        }
        for port in others {
            arguments.push("--scheduler-address".into());
            arguments.push(format!("127.0.0.1:{port}").into());
        }
        arguments.extend(node.arguments.iter().map(OsString::from));
        Ok(Launch {
            name: node.name.clone(),
            program: self.plan.program.clone(),
            arguments,
            signals: Signals::Shared,
            patience: self.plan.patience,
        })
    }

    fn protection(&self, role: Role, node: &NodePlan) -> Result<Protection> {
        match self.plan.security {
            Security::Plaintext => Ok(Protection::Insecure),
            Security::Mutual => Ok(Protection::Mutual(self.credentials(role, node)?)),
        }
    }

    fn credentials(&self, role: Role, node: &NodePlan) -> Result<CredentialPaths> {
        if let Some(paths) = &node.credentials {
            return Ok(paths.clone());
        }
        let names = [
            node.name.as_str(),
            &node.host,
            "localhost",
            "127.0.0.1",
            "::1",
        ];
        let leaf = Leaf::new(&node.name).with_names(names).with_role(role);
        self.pki.write(&node.name, &leaf)
    }
}
