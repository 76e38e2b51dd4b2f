//! What a node tells about itself and its cluster. All of it is public: whoever reaches the port
//! reads it, so there is no key and nothing secret in it, and no path but where datasets lie, which
//! `/v1/datasets` tells as well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use spice_runtime::Runtime;

/// What the composition of a node knows about it. Asked on every request, so it answers from
/// memory.
pub trait NodeInfo: Send + Sync + 'static {
    /// The node itself.
    fn describe(&self) -> NodeDescription;

    /// The members of the cluster, at most [`MAX_MEMBERS`]; `None` on a node that keeps no list.
    fn members(&self) -> Option<MemberList>;

    /// The tables of the node; `None` until they are open.
    fn tables(&self) -> Option<Arc<Runtime>>;
}

/// One node, seen by itself.
#[derive(Debug, Clone, Serialize)]
pub struct NodeDescription {
    /// The version of its program.
    pub version: &'static str,
    /// What it does.
    pub role: NodeRole,
    /// Where other nodes reach it; `None` outside a cluster.
    pub address: Option<String>,
    /// How long it has been running.
    #[serde(rename = "uptime_s", serialize_with = "whole_seconds")]
    pub uptime: Duration,
    /// How its internal port is protected.
    pub security: Security,
    /// Its bound ports.
    pub listeners: Vec<BoundListener>,
    /// What it serves; `None` until that is open.
    pub app: Option<AppDescription>,
    /// The schedulers that an executor works for or tries to; `None` on other nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedulers: Option<Vec<SchedulerConnection>>,
}

/// A scheduler as an executor sees it.
#[derive(Debug, Clone, Serialize)]
pub struct SchedulerConnection {
    /// Where it is dialled.
    pub address: String,
    /// Whether the executor works for it now.
    pub connected: bool,
    /// How long that has been so.
    #[serde(rename = "for_s", serialize_with = "whole_seconds")]
    pub lasting: Duration,
    /// Why it is not connected, for a person.
    pub reason: Option<String>,
    /// Why the application that it gives is not open here, for a person, where it is not; tasks of it
    /// go to other executors.
    pub app_fault: Option<String>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Plans queries and coordinates executors.
    Scheduler,
    /// Runs the tasks of queries.
    Executor,
    /// Is no member of a cluster.
    Standalone,
}

/// How the internal port of a node is protected.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Security {
    /// By mutual TLS.
    Mtls {
        /// Who the node is to its peers.
        certificate: OwnCertificate,
        /// Whom it believes.
        roots: Vec<RootCertificate>,
    },
    /// Not at all, because somebody asked for that.
    Insecure {
        /// What that means, for a person.
        banner: &'static str,
    },
    /// It has no internal port.
    None,
}

/// The certificate that a node shows to its peers.
#[derive(Debug, Clone, Serialize)]
pub struct OwnCertificate {
    /// What it says.
    #[serde(flatten)]
    pub certificate: MemberCertificate,
    /// Whether the node knows that its peers refuse it.
    pub revoked: bool,
    /// Why the files that are there now are not used, by a code, where they are not; the
    /// certificate is then the one before. The log has the rest.
    pub rejected: Option<&'static str>,
}

/// What a certificate says about a member.
#[derive(Debug, Clone, Serialize)]
pub struct MemberCertificate {
    /// The identity URI, where there is one.
    pub identity: Option<String>,
    /// What its holder may act as.
    pub role: &'static str,
    /// The serial number, lower-case hexadecimal: what a deny-list names.
    pub serial: String,
    /// When it ends being valid.
    #[serde(rename = "not_after_unix_s", serialize_with = "unix_seconds")]
    pub not_after: SystemTime,
}

/// A root that peers are verified against.
#[derive(Debug, Clone, Serialize)]
pub struct RootCertificate {
    /// The distinguished name.
    pub subject: String,
    /// When it ends being valid.
    #[serde(rename = "not_after_unix_s", serialize_with = "unix_seconds")]
    pub not_after: SystemTime,
}

/// The application that a node serves.
#[derive(Debug, Clone, Serialize)]
pub struct AppDescription {
    /// SHA-256 of its definition: nodes with the same serve the same.
    pub digest: String,
    /// Why the spicepod that is there now is not used, by a code, where it is not; the application
    /// is then the one before.
    pub rejected: Option<&'static str>,
    /// The same for a person, without what only the log may hold.
    pub rejected_reason: Option<String>,
    /// The executors that could not open the newest application; at most [`MAX_FAULTS`].
    pub not_opened_by: Vec<ExecutorFault>,
    /// The tables that are not open because their data is out of reach, at most
    /// [`MAX_UNAVAILABLE`]. The node is ready nevertheless: it serves the others.
    pub unavailable: Vec<Unavailable>,
}

/// A table that is not open yet.
#[derive(Debug, Clone, Serialize)]
pub struct Unavailable {
    /// Its name.
    pub table: String,
    /// Why, for a person.
    pub reason: String,
}

/// An executor that could not open an application.
#[derive(Debug, Clone, Serialize)]
pub struct ExecutorFault {
    /// Where other nodes reach it.
    pub address: String,
    /// What it could not open, and why.
    #[serde(flatten)]
    pub fault: AppFault,
}

/// An application that could not be opened.
#[derive(Debug, Clone, Serialize)]
pub struct AppFault {
    /// The digest of its definition.
    pub digest: String,
    /// Why, for a person.
    pub reason: String,
}

/// A port of a node.
#[derive(Debug, Clone, Serialize)]
pub struct BoundListener {
    /// What is served there.
    pub name: &'static str,
    /// The address that it is bound to.
    pub address: SocketAddr,
}

/// The members of a cluster.
#[derive(Debug, Clone, Serialize)]
pub struct MemberList {
    /// As many as are told of.
    pub nodes: Vec<Member>,
    /// How many there are.
    pub total: usize,
}

/// One member of a cluster, seen by the node that lists it. What is `None` is not known.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// Where other nodes reach it; `None` outside a cluster.
    pub address: Option<String>,
    /// What it does.
    pub role: NodeRole,
    /// The version of its program.
    pub version: Option<String>,
    /// How long it has been a member, reconnects included.
    #[serde(rename = "member_for_s", serialize_with = "whole_seconds_if_known")]
    pub member_for: Option<Duration>,
    /// How long ago it showed a sign of life.
    #[serde(rename = "last_seen_s", serialize_with = "whole_seconds_if_known")]
    pub last_seen: Option<Duration>,
    /// Tasks that it may run at the same time.
    pub task_slots: Option<u32>,
    /// Tasks that it runs now.
    pub tasks_active: Option<u32>,
    /// Tasks that it finished since it started.
    pub tasks_total: Option<u64>,
    /// The digest of the application that it has: of a scheduler, that it plans queries over; of an
    /// executor, that it has open.
    pub app_digest: Option<String>,
    /// Whether that is known to be another one than the node that lists it has.
    pub app_differs: bool,
    /// The application that it could not open, where that matters now.
    pub app_fault: Option<AppFault>,
    /// Whether it finishes what it has, to leave then.
    pub draining: bool,
    /// The certificate that it proved itself with.
    pub certificate: Option<MemberCertificate>,
}

fn whole_seconds<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(span.as_secs())
}

fn whole_seconds_if_known<S: Serializer>(
    span: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    span.map(|span| span.as_secs()).serialize(to)
}

fn unix_seconds<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    to.serialize_u64(since.as_secs())
}

/// As many as a person reads; `/v1/datasets` has all of them.
pub const MAX_UNAVAILABLE: usize = 100;

/// More than a person looks into; the list of members has all of them.
pub const MAX_FAULTS: usize = 16;

/// More than a person reads, and with the longest identities still few megabytes.
pub const MAX_MEMBERS: usize = 1000;
