//! What this node tells about itself over HTTP.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use cluster_executor::{LinkState, SchedulerLink, SchedulerLinks};
use cluster_proto::NodeId;
use cluster_scheduler::{MemberSummary, Scheduler, SchedulerSummary};
use cluster_tls::{Credentials, PeerIdentity};
use public_api::{
    AppDescription, BoundListener, MAX_MEMBERS, MAX_UNAVAILABLE, Member, MemberCertificate,
    MemberList, NodeDescription, NodeInfo, NodeRole, OwnCertificate, RootCertificate,
    SchedulerConnection, Security, Unavailable,
};
use spice_runtime::{CurrentRuntime, Runtime};

use crate::observers::RejectedFiles;

/// What is fixed when a node starts, and what is shown as it comes up.
pub(crate) struct OwnInfo {
    pub(crate) role: NodeRole,
    pub(crate) node_id: Option<NodeId>,
    pub(crate) protection: Protection,
    pub(crate) listeners: Vec<BoundListener>,
    pub(crate) started: Instant,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) links: OnceLock<SchedulerLinks>,
    pub(crate) tables: OnceLock<CurrentRuntime>,
    pub(crate) rejected_manifest: Arc<RejectedFiles>,
}

/// How the internal port is protected, for as long as the node runs.
#[derive(Clone, Debug)]
pub(crate) enum Protection {
    /// By these credentials, which change, and the files that may not have become them.
    Mutual {
        credentials: Credentials,
        rejected: Arc<RejectedFiles>,
    },
    /// Not at all.
    Plaintext {
        /// What that means.
        banner: &'static str,
    },
    /// There is no internal port.
    NoPort,
}

impl NodeInfo for OwnInfo {
    fn describe(&self) -> NodeDescription {
        NodeDescription {
            version: VERSION,
            role: self.role,
            address: self.node_id.as_ref().map(ToString::to_string),
            uptime: self.started.elapsed(),
            security: self.protection.describe(),
            listeners: self.listeners.clone(),
            app: self.tables().map(|tables| AppDescription {
                digest: tables.app_digest().to_owned(),
                rejected: self.rejected_manifest.fault(),
                unavailable: unavailable(&tables),
            }),
            schedulers: self.links.get().map(schedulers),
        }
    }

    fn members(&self) -> Option<MemberList> {
        let (peers, executors) = match (self.role, &self.scheduler) {
            (NodeRole::Executor, _) => return None,
            (_, Some(scheduler)) => (scheduler.peers(), scheduler.executors()),
            (_, None) => (vec![], vec![]),
        };
        let total = 1 + peers.len() + executors.len();
        let others = peers.iter().map(peer).chain(executors.iter().map(executor));
        let nodes = std::iter::once(self.myself()).chain(others);
        Some(MemberList {
            nodes: nodes.take(MAX_MEMBERS).collect(),
            total,
        })
    }

    fn tables(&self) -> Option<Arc<Runtime>> {
        self.tables.get().map(CurrentRuntime::now)
    }
}

impl OwnInfo {
    /// This node in its own list: it has no connection to itself that could say more.
    fn myself(&self) -> Member {
        let certificate = match &self.protection {
            Protection::Mutual { credentials, .. } => {
                Some(certificate(credentials.current().own()))
            }
            Protection::Plaintext { .. } | Protection::NoPort => None,
        };
        Member {
            address: self.node_id.as_ref().map(ToString::to_string),
            role: self.role,
            version: Some(VERSION.to_owned()),
            member_for: None,
            last_seen: None,
            task_slots: None,
            tasks_active: None,
            tasks_total: None,
            app_digest: self.tables().map(|it| it.app_digest().to_owned()),
            draining: false,
            certificate,
        }
    }
}

impl Protection {
    fn describe(&self) -> Security {
        match self {
            Self::Mutual {
                credentials,
                rejected,
            } => {
                let snapshot = credentials.current();
                let roots = snapshot.roots().iter().map(|root| RootCertificate {
                    subject: root.subject.clone(),
                    not_after: root.not_after,
                });
                Security::Mtls {
                    certificate: OwnCertificate {
                        certificate: certificate(snapshot.own()),
                        revoked: snapshot.own_revocation().is_some(),
                        rejected: rejected.fault(),
                    },
                    roots: roots.collect(),
                }
            }
            Self::Plaintext { banner } => Security::Insecure { banner },
            Self::NoPort => Security::None,
        }
    }
}

fn unavailable(tables: &Runtime) -> Vec<Unavailable> {
    let missing = tables.unavailable().into_iter().take(MAX_UNAVAILABLE);
    let told = missing.map(|missing| Unavailable {
        table: missing.name.to_string(),
        reason: missing.reason,
    });
    told.collect()
}

fn schedulers(links: &SchedulerLinks) -> Vec<SchedulerConnection> {
    let shown = |link: SchedulerLink| {
        let reason = match link.state {
            LinkState::Connected => None,
            LinkState::Down { reason } => Some(reason),
        };
        SchedulerConnection {
            address: link.address.to_string(),
            connected: reason.is_none(),
            lasting: link.lasting,
            reason,
        }
    };
    links.list().into_iter().map(shown).collect()
}

/// Another scheduler, as it told of itself in the shared state. It proves who it is to whoever
/// dials it, and that was not needed for this.
fn peer(summary: &SchedulerSummary) -> Member {
    Member {
        address: Some(summary.id.to_string()),
        role: NodeRole::Scheduler,
        version: Some(summary.version.clone()),
        member_for: None,
        last_seen: summary.last_seen,
        task_slots: None,
        tasks_active: None,
        tasks_total: None,
        app_digest: None,
        draining: false,
        certificate: None,
    }
}

fn executor(summary: &MemberSummary) -> Member {
    // Its first statistics say how many slots it has, and no executor has none.
    let reported = summary.task_slots > 0;
    Member {
        address: Some(summary.id.to_string()),
        role: NodeRole::Executor,
        version: None,
        member_for: Some(summary.member_for),
        last_seen: Some(summary.last_seen),
        task_slots: reported.then_some(summary.task_slots),
        tasks_active: reported.then_some(summary.tasks_active),
        tasks_total: reported.then_some(summary.tasks_total),
        app_digest: summary.app_digest.clone(),
        draining: summary.draining,
        certificate: summary.peer.as_deref().map(certificate),
    }
}

fn certificate(identity: &PeerIdentity) -> MemberCertificate {
    MemberCertificate {
        identity: identity.uri().map(ToOwned::to_owned),
        role: identity.role().as_str(),
        serial: identity.serial().to_owned(),
        not_after: identity.not_after(),
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
