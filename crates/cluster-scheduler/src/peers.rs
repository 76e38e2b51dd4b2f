//! Asking the other schedulers of the cluster, all at once and each within a bound.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_proto::pb::cluster_service_client::ClusterServiceClient;
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport};
use cluster_tls::{NodeAddress, Role};
use futures::future::join_all;
use tokio::time::timeout;
use tonic::{Code, Response, Status};

use crate::membership::SchedulerList;

/// Who the other schedulers are.
pub(crate) trait Peers: Send + Sync + 'static {
    /// Those that are live, without this one.
    fn peers(&self) -> Vec<NodeId>;
}

impl Peers for SchedulerList {
    fn peers(&self) -> Vec<NodeId> {
        let peers = SchedulerList::peers(self).into_iter();
        peers.map(|peer| peer.id).collect()
    }
}

/// The other schedulers, as they are asked.
#[derive(Clone)]
pub(crate) struct PeerSchedulers {
    peers: Arc<dyn Peers>,
    transport: NodeTransport,
}

/// How another scheduler is asked.
pub(crate) type Client = ClusterServiceClient<NodeChannel>;

impl PeerSchedulers {
    pub(crate) fn new(peers: Arc<dyn Peers>, transport: NodeTransport) -> Self {
        Self { peers, transport }
    }

    /// Asks each of them `question`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the questions.
    pub(crate) async fn ask<T, Q, F>(&self, question: Q) -> Vec<(NodeId, Result<T, Missing>)>
    where
        Q: Fn(Client) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut peers = self.peers.peers();
        let beyond = peers.split_off(peers.len().min(PEER_LIMIT));
        let asked = peers.into_iter().map(|peer| async {
            let answer = self.ask_one(&peer, &question).await;
            (peer, answer)
        });
        let mut answers = join_all(asked).await;
        let left_out = format!("only {PEER_LIMIT} schedulers are asked");
        let beyond = beyond.into_iter();
        answers.extend(beyond.map(|peer| (peer, Err(Missing::new(Reason::LeftOut, &left_out)))));
        answers
    }

    async fn ask_one<T, Q, F>(&self, peer: &NodeId, question: &Q) -> Result<T, Missing>
    where
        Q: Fn(Client) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let address = NodeAddress::new(peer.host(), peer.port())
            .map_err(|error| Missing::new(Reason::Unreachable, &error.to_string()))?;
        let channel = self
            .transport
            .channel(&address, Role::Scheduler, &ChannelOptions::default());
        let client =
            ClusterServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES);
        let answer = timeout(NODE_TIMEOUT, question(client)).await;
        match answer {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Missing::late()),
        }
    }
}

/// Why a node is missing from what was gathered of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    reason: Reason,
    detail: String,
}

/// The kinds of it, few and fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Timeout,
    Unreachable,
    Denied,
    TooLarge,
    Failed,
    LeftOut,
}

impl Missing {
    pub(crate) fn new(reason: Reason, detail: &str) -> Self {
        let detail = detail.chars().filter(|character| !character.is_control());
        Self {
            reason,
            detail: detail.take(DETAIL_CHARACTERS).collect(),
        }
    }

    /// It did not answer in time.
    pub(crate) fn late() -> Self {
        let detail = format!("no answer within {} s", NODE_TIMEOUT.as_secs());
        Self::new(Reason::Timeout, &detail)
    }

    /// One word of a fixed few, for a metric.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.reason {
            Reason::Timeout => "timeout",
            Reason::Unreachable => "unreachable",
            Reason::Denied => "denied",
            Reason::TooLarge => "too_large",
            Reason::Failed => "failed",
            Reason::LeftOut => "left_out",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail)
    }
}

impl From<Status> for Missing {
    fn from(status: Status) -> Self {
        let reason = match status.code() {
            Code::DeadlineExceeded | Code::Cancelled => Reason::Timeout,
            Code::Unavailable => Reason::Unreachable,
            Code::PermissionDenied | Code::Unauthenticated => Reason::Denied,
            Code::OutOfRange | Code::ResourceExhausted => Reason::TooLarge,
            _ => Reason::Failed,
        };
        Self::new(reason, status.message())
    }
}

/// How long one node may take to answer: less than a person notices as hanging, and far more than a
/// busy node takes.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(2);

/// Clusters have three or five. With the size of an answer it bounds what one query can take up.
const PEER_LIMIT: usize = 32;

const DETAIL_CHARACTERS: usize = 300;

/// A whole history, see `TaskHistory::answer`.
const ANSWER_LIMIT_BYTES: usize = 16 * 1024 * 1024;
