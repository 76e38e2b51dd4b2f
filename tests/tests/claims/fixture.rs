//! What claims about security start from: an authority, a table of three rows, and single nodes
//! whose every argument the test chooses.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use cluster_test::{
    Launch, Leaf, Listener, Node, NodeArguments, Ports, Protection, Signals, TestPki, binary,
};
use cluster_tls::{CredentialPaths, Role};
use tempfile::TempDir;

/// An authority and a directory with data, for as long as the test runs.
#[derive(Debug)]
pub(crate) struct Fixture {
    pki: TestPki,
    directory: TempDir,
    program: PathBuf,
}

impl Fixture {
    /// A new authority, and a spicepod over a table `numbers` of three rows.
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        fs::create_dir(directory.path().join("numbers"))?;
        fs::write(directory.path().join("numbers/part.csv"), "n\n1\n2\n3\n")?;
        fs::write(directory.path().join("spicepod.yaml"), MANIFEST)?;
        Ok(Self {
            pki: TestPki::new()?,
            directory,
            program: binary("spiced")?,
        })
    }

    pub(crate) fn pki(&self) -> &TestPki {
        &self.pki
    }

    /// Where the spicepod, its data and the data directories of the nodes are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.directory().join("spicepod.yaml")
    }

    /// A scheduler at 127.0.0.1 with these files.
    pub(crate) fn scheduler_with(&self, paths: CredentialPaths) -> NodeArguments {
        NodeArguments {
            role: Role::Scheduler,
            manifest: Some(self.manifest()),
            host: HOST.to_owned(),
            bind: LOOPBACK,
            protection: Protection::Mutual(paths),
            scheduler: None,
            ports: Ports::any(Role::Scheduler),
            data: self.directory().join("scheduler1-data"),
        }
    }

    /// An executor at 127.0.0.1 with these files that works for the node at `scheduler`, a port
    /// on the same address.
    pub(crate) fn executor_with(&self, paths: CredentialPaths, scheduler: u16) -> NodeArguments {
        NodeArguments {
            role: Role::Executor,
            manifest: None,
            host: HOST.to_owned(),
            bind: LOOPBACK,
            protection: Protection::Mutual(paths),
            scheduler: Some(scheduler),
            ports: Ports::any(Role::Executor),
            data: self.directory().join("executor1-data"),
        }
    }

    /// How a node with these arguments, and `more` after them, is started.
    pub(crate) fn launch(&self, arguments: &NodeArguments, more: &[&str]) -> Launch {
        let mut args = arguments.to_args();
        args.extend(more.iter().map(Into::into));
        Launch {
            name: arguments.role.to_string(),
            program: self.program.clone(),
            arguments: args,
            signals: Signals::Shared,
            patience: PATIENCE,
        }
    }

    /// Starts a scheduler that has nothing unusual about it.
    pub(crate) async fn scheduler(&self) -> Result<Node> {
        let leaf = Leaf::new("scheduler1").with_role(Role::Scheduler);
        let arguments = self.scheduler_with(self.pki.write("scheduler1", &leaf)?);
        Node::start(self.launch(&arguments, &[])).await
    }

    /// What an executor of `scheduler` that has nothing unusual about it is told.
    pub(crate) fn executor_of(&self, scheduler: &Node) -> Result<NodeArguments> {
        let leaf = Leaf::new("executor1").with_role(Role::Executor);
        let port = scheduler.address(Listener::Internal)?.port();
        Ok(self.executor_with(self.pki.write("executor1", &leaf)?, port))
    }

    /// Starts an executor of `scheduler` that has nothing unusual about it.
    pub(crate) async fn executor(&self, scheduler: &Node) -> Result<Node> {
        let arguments = self.executor_of(scheduler)?;
        Node::start(self.launch(&arguments, &[])).await
    }
}

/// Longer than any single step takes on a busy machine; waits end with their event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const HOST: &str = "127.0.0.1";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const MANIFEST: &str = "\
version: v1
kind: Spicepod
name: claims
datasets:
  - name: numbers
    from: file:numbers/
    params:
      file_format: csv
";
