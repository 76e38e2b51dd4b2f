//! What this node tells about itself over HTTP.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use cluster_executor::{LinkState, SchedulerLink, SchedulerLinks};
use cluster_proto::NodeId;
use cluster_scheduler::{AppFailure, MemberSummary, Scheduler, SchedulerSummary};
use cluster_tls::{Credentials, PeerIdentity};
use public_api::{
    AppDescription, AppFault, BoundListener, ExecutorFault, MAX_FAULTS, MAX_MEMBERS,
    MAX_UNAVAILABLE, Member, MemberCertificate, MemberList, NodeDescription, NodeInfo, NodeRole,
    OwnCertificate, RootCertificate, SchedulerConnection, Security, Unavailable,
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
            app: self.served().map(|served| self.app(served)),
            schedulers: self.links.get().map(schedulers),
        }
    }

    fn members(&self) -> Option<MemberList> {
        if self.role == NodeRole::Executor {
            return None;
        }
        let mut nodes = vec![self.myself()];
        if let Some(scheduler) = &self.scheduler {
            let served = self.served().unwrap_or_default();
            nodes.extend(scheduler.peers().iter().map(peer));
            let executors = scheduler.executors(&served);
            nodes.extend(executors.into_iter().map(|it| self.executor(it, scheduler)));
            for node in nodes.iter_mut().skip(1) {
                let theirs = node.app_digest.as_ref();
                node.app_differs = theirs.is_some_and(|theirs| *theirs != served);
            }
        }
        let total = nodes.len();
        nodes.truncate(MAX_MEMBERS);
        Some(MemberList { nodes, total })
    }

    fn tables(&self) -> Option<Arc<Runtime>> {
        self.tables.get().map(CurrentRuntime::now)
    }
}

impl OwnInfo {
    /// The digest of the application that this node has.
    fn served(&self) -> Option<String> {
        self.tables().map(|tables| tables.app_digest().to_owned())
    }

    fn app(&self, digest: String) -> AppDescription {
        let rejected = self.rejected_manifest.fault();
        AppDescription {
            not_opened_by: self.not_opened_by(&digest),
            unavailable: self.tables().map_or_else(Vec::new, |it| unavailable(&it)),
            digest,
            rejected: rejected.as_ref().map(|rejected| rejected.code),
            rejected_reason: rejected.and_then(|rejected| rejected.reason),
        }
    }

    fn not_opened_by(&self, served: &str) -> Vec<ExecutorFault> {
        let Some(scheduler) = &self.scheduler else {
            return vec![];
        };
        let executors = scheduler.executors(served).into_iter();
        let faults = executors.filter_map(|executor| {
            let fault = self.fault(executor.app_failure, scheduler)?;
            let address = executor.id.to_string();
            Some(ExecutorFault { address, fault })
        });
        faults.take(MAX_FAULTS).collect()
    }

    /// What an executor could not open, where that matters: it is to have it, or nobody can and the
    /// spicepod is rejected for that.
    fn fault(&self, failure: Option<AppFailure>, scheduler: &Scheduler) -> Option<AppFault> {
        let AppFailure { digest, reason } = failure?;
        let rejected = self.rejected_manifest.fault().is_some();
        let matters = rejected || digest == scheduler.offered_app();
        matters.then_some(AppFault { digest, reason })
    }

    /// An executor, as it proved to be and as it says.
    fn executor(&self, summary: MemberSummary, scheduler: &Scheduler) -> Member {
        // Its first statistics say how many slots it has, and no executor has none.
        let reported = summary.task_slots > 0;
        Member {
            address: Some(summary.id.to_string()),
            role: NodeRole::Executor,
            version: summary.version,
            member_for: Some(summary.member_for),
            last_seen: Some(summary.last_seen),
            task_slots: reported.then_some(summary.task_slots),
            tasks_active: reported.then_some(summary.tasks_active),
            tasks_total: reported.then_some(summary.tasks_total),
            app_digest: summary.app_digest,
            app_differs: false,
            app_fault: self.fault(summary.app_failure, scheduler),
            draining: summary.draining,
            certificate: summary.peer.as_deref().map(certificate),
        }
    }

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
            app_digest: self.served(),
            app_differs: false,
            app_fault: None,
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
                        rejected: rejected.fault().map(|rejected| rejected.code),
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
            app_fault: link.app_fault,
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
        version: summary.version.clone(),
        member_for: None,
        last_seen: summary.last_seen,
        task_slots: None,
        tasks_active: None,
        tasks_total: None,
        app_digest: summary.app_digest.clone(),
        app_differs: false,
        app_fault: None,
        draining: false,
        certificate: None,
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
