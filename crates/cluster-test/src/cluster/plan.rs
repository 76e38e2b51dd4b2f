//! What cluster a test wants.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use cluster_tls::CredentialPaths;

/// The cluster a test wants; [`TestCluster::start`](crate::TestCluster::start) makes it.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    pub(super) program: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) security: Security,
    pub(super) schedulers: Vec<NodePlan>,
    pub(super) executors: Vec<NodePlan>,
    pub(super) patience: Duration,
}

/// How the nodes talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Mutual TLS with certificates of the cluster's own authority.
    Mutual,
    /// Without any protection.
    Plaintext,
}

/// One node of the plan.
#[derive(Clone, Debug)]
pub struct NodePlan {
    pub(super) name: String,
    pub(super) host: String,
    pub(super) bind: IpAddr,
    pub(super) task_slots: Option<usize>,
    pub(super) seeds: Option<Vec<String>>,
    pub(super) arguments: Vec<String>,
    pub(super) credentials: Option<CredentialPaths>,
}

impl ClusterPlan {
    /// `scheduler1` and two executors, `executor1` and `executor2`, behind mutual TLS.
    ///
    /// `program` is `spiced`; `manifest` is the spicepod, which only the scheduler reads.
    #[must_use]
    pub fn new(program: PathBuf, manifest: PathBuf) -> Self {
        Self {
            program,
            manifest,
            security: Security::Mutual,
            schedulers: vec![NodePlan::new("scheduler1")],
            executors: vec![NodePlan::new("executor1"), NodePlan::new("executor2")],
            patience: PATIENCE,
        }
    }

    /// Chooses how the nodes talk to each other.
    #[must_use]
    pub fn with_security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Replaces the scheduler.
    #[must_use]
    pub fn with_scheduler(self, node: NodePlan) -> Self {
        self.with_schedulers(vec![node])
    }

    /// Replaces the scheduler by several.
    #[must_use]
    pub fn with_schedulers(mut self, nodes: Vec<NodePlan>) -> Self {
        self.schedulers = nodes;
        self
    }

    /// Replaces the executors.
    #[must_use]
    pub fn with_executors(mut self, nodes: Vec<NodePlan>) -> Self {
        self.executors = nodes;
        self
    }

    /// Replaces how long a node may take to be ready, and to end.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl NodePlan {
    /// A node that others reach at 127.0.0.1.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            host: "127.0.0.1".to_owned(),
            bind: Ipv4Addr::LOCALHOST.into(),
            task_slots: None,
            seeds: None,
            arguments: Vec::new(),
            credentials: None,
        }
    }

    /// Replaces the host that it advertises, which its certificate then names.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// Replaces the address that its internal port is bound to, 127.0.0.1 otherwise. With
    /// another host than this, whatever stands between the two sees all that is sent to it.
    #[must_use]
    pub fn with_bind(mut self, address: IpAddr) -> Self {
        self.bind = address;
        self
    }

    /// Says how many tasks it may run at once; an executor takes its cores without.
    #[must_use]
    pub fn with_task_slots(mut self, slots: usize) -> Self {
        self.task_slots = Some(slots);
        self
    }

    /// Names the schedulers whose addresses an executor is told, all of them otherwise.
    #[must_use]
    pub fn with_seeds<const N: usize>(mut self, schedulers: [&str; N]) -> Self {
        self.seeds = Some(schedulers.map(str::to_owned).to_vec());
        self
    }

    /// Adds arguments after all others.
    #[must_use]
    pub fn with_arguments<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// Gives it these files instead of a certificate of the cluster's authority.
    #[must_use]
    pub fn with_credentials(mut self, paths: CredentialPaths) -> Self {
        self.credentials = Some(paths);
        self
    }
}

/// A node starts in a second; a busy machine with an unoptimized build takes a tenth of this.
const PATIENCE: Duration = Duration::from_secs(60);
