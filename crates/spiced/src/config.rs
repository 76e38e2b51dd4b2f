//! From the command line to what the node will be: pure, and with every fault at once.

mod address;
mod internal;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use cluster_tls::NodeAddress;
use public_api::NodeRole;

pub(crate) use internal::{InternalConfig, RevocationPaths, SecurityConfig};

use crate::audit::AuditTarget;
use crate::cli::{Args, RoleArg};

/// What a node will be, decided.
#[derive(Debug)]
pub(crate) struct NodeConfig {
    pub(crate) role: RoleConfig,
    pub(crate) http: SocketAddr,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) data_dir: PathBuf,
    pub(crate) audit: AuditTarget,
}

/// What only this role has.
#[derive(Debug)]
pub(crate) enum RoleConfig {
    Standalone {
        manifest: ManifestPath,
        flight: SocketAddr,
    },
    Scheduler {
        manifest: ManifestPath,
        flight: SocketAddr,
        internal: InternalConfig,
    },
    Executor {
        internal: InternalConfig,
        schedulers: Vec<NodeAddress>,
        task_slots: NonZeroUsize,
    },
}

impl RoleConfig {
    /// How it is named to those who look at the node.
    pub(crate) fn node_role(&self) -> NodeRole {
        match self {
            Self::Standalone { .. } => NodeRole::Standalone,
            Self::Scheduler { .. } => NodeRole::Scheduler,
            Self::Executor { .. } => NodeRole::Executor,
        }
    }
}

/// Where the spicepod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ManifestPath {
    /// Named on the command line: it must be there.
    Given(PathBuf),
    /// The current directory: a node may have no datasets.
    Default,
}

/// The decision with the faults that stand against it. Both are needed by the next step, which
/// reads the files that were named and adds what is wrong with those.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) config: Option<NodeConfig>,
    pub(crate) faults: Vec<String>,
}

/// Decides what the node will be.
pub(crate) fn decide(args: Args) -> Decided {
    let mut faults = vec![];
    let role = match (args.role, args.scheduler_address.is_empty()) {
        (Some(role), _) => Some(role),
        (None, false) => Some(RoleArg::Executor),
        (None, true) => None,
    };
    let (http, metrics, data_dir) = (args.http, args.metrics, args.data_dir.clone());
    let audit = AuditTarget::from_flag(args.audit_log.clone());
    let role = match role {
        None => Some(standalone(args, &mut faults)),
        Some(RoleArg::Scheduler) => scheduler(args, &mut faults),
        Some(RoleArg::Executor) => executor(&args, &mut faults),
    };
    Decided {
        config: role.map(|role| NodeConfig {
            role,
            http,
            metrics,
            data_dir,
            audit,
        }),
        faults,
    }
}

fn standalone(args: Args, faults: &mut Vec<String>) -> RoleConfig {
    let given = [
        (
            "--node-mtls-ca-certificate-file",
            args.node_mtls_ca_certificate_file.is_some(),
        ),
        (
            "--node-mtls-certificate-file",
            args.node_mtls_certificate_file.is_some(),
        ),
        ("--node-mtls-key-file", args.node_mtls_key_file.is_some()),
        ("--node-mtls-crl-file", args.node_mtls_crl_file.is_some()),
        (
            "--node-mtls-deny-list-file",
            args.node_mtls_deny_list_file.is_some(),
        ),
        ("--node-mtls-identity", !args.node_mtls_identity.is_empty()),
        ("--node-mtls-require-role", args.node_mtls_require_role),
        (
            "--node-advertise-address",
            args.node_advertise_address.is_some(),
        ),
        ("--node-bind-address", args.node_bind_address.is_some()),
        ("--task-slots", args.task_slots.is_some()),
        (
            "--allow-insecure-connections",
            args.allow_insecure_connections,
        ),
    ];
    for (flag, _) in given.iter().filter(|(_, given)| *given) {
        faults.push(format!(
            "{flag} belongs to a node of a cluster; add --role scheduler or --role executor, or leave it out"
        ));
    }
    RoleConfig::Standalone {
        flight: args.flight.unwrap_or(DEFAULT_FLIGHT),
        manifest: manifest(args.path),
    }
}

fn scheduler(args: Args, faults: &mut Vec<String>) -> Option<RoleConfig> {
    if !args.scheduler_address.is_empty() {
        faults.push("--scheduler-address is for executors; a scheduler has none".to_owned());
    }
    if args.task_slots.is_some() {
        faults.push("--task-slots is for executors; a scheduler runs no tasks".to_owned());
    }
    let internal = internal::decide(&args, faults)?;
    Some(RoleConfig::Scheduler {
        flight: args.flight.unwrap_or(DEFAULT_FLIGHT),
        manifest: manifest(args.path),
        internal,
    })
}

fn executor(args: &Args, faults: &mut Vec<String>) -> Option<RoleConfig> {
    if let Some(path) = &args.path {
        faults.push(format!(
            "an executor gets its spicepod from the scheduler; leave {} out",
            path.display()
        ));
    }
    if args.flight.is_some() {
        faults.push(
            "--flight is for schedulers and single nodes; an executor answers no SQL".to_owned(),
        );
    }
    if args.scheduler_address.is_empty() {
        faults.push(
            "an executor needs a scheduler: add --scheduler-address https://HOST:50052".to_owned(),
        );
    }
    let internal = internal::decide(args, faults);
    let plaintext = args.allow_insecure_connections;
    let mut schedulers = vec![];
    for text in &args.scheduler_address {
        match address::scheduler(text, plaintext.into()) {
            Ok(scheduler) if schedulers.contains(&scheduler) => {}
            Ok(scheduler) => schedulers.push(scheduler),
            Err(fault) => faults.push(fault),
        }
    }
    Some(RoleConfig::Executor {
        internal: internal?,
        schedulers,
        task_slots: args.task_slots.unwrap_or_else(cores),
    })
}

fn manifest(path: Option<PathBuf>) -> ManifestPath {
    path.map_or(ManifestPath::Default, ManifestPath::Given)
}

fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Clients on the same machine only, until somebody decides otherwise: the public port has no
/// authentication by default.
const DEFAULT_FLIGHT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 50051));

#[cfg(test)]
mod tests;
