//! The task history of the other schedulers, and theirs of this one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cluster_proto::pb;
use cluster_tls::tonic::Permit;
use spice_runtime::{HistoryPeers, PeerHistory, QueryError};

use crate::authorization::GetTaskHistory;
use crate::cluster_service::ClusterServiceState;
use crate::events::SchedulerEvents;
use crate::peers::{Client, PeerSchedulers};
use crate::status::Refused;

/// Asks the other schedulers, and tells of each that does not answer.
pub(crate) struct SharedHistory {
    pub(crate) peers: PeerSchedulers,
    pub(crate) events: Arc<dyn SchedulerEvents>,
}

#[async_trait]
impl HistoryPeers for SharedHistory {
    async fn ask(&self, sql: &str) -> Vec<PeerHistory> {
        let question = |mut client: Client| {
            let request = pb::GetTaskHistoryRequest {
                sql: sql.to_owned(),
            };
            async move { client.get_task_history(request).await }
        };
        let answers = self.peers.ask(question).await.into_iter();
        let answers = answers.map(|(peer, answer)| {
            let answer = answer.map_err(|missing| {
                self.events.history_missing(&peer, &missing);
                missing.to_string()
            });
            PeerHistory {
                node_id: peer.to_string(),
                answer: answer.map(|answer| answer.arrow_ipc),
            }
        });
        answers.collect()
    }
}

impl fmt::Debug for SharedHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedHistory").finish_non_exhaustive()
    }
}

/// What is wrong, short enough for the trailers of an answer: texts quote what was asked.
fn told(error: QueryError) -> QueryError {
    let short = |text: String| text.chars().take(TEXT_CHARACTERS).collect();
    match error {
        QueryError::Invalid(text) => QueryError::Invalid(short(text)),
        QueryError::Unsupported(text) => QueryError::Unsupported(short(text)),
        other => other,
    }
}

const TEXT_CHARACTERS: usize = 500;

impl ClusterServiceState {
    /// Answers another scheduler's query over this one's own records, and no other table.
    pub(crate) async fn task_history(
        &self,
        _: &Permit<GetTaskHistory>,
        request: &pb::GetTaskHistoryRequest,
    ) -> Result<pb::GetTaskHistoryResponse, Refused> {
        let answer = self.history.answer(&request.sql).await;
        let arrow_ipc = answer.map_err(|error| match told(error) {
            QueryError::Invalid(text) | QueryError::Unsupported(text) => Refused::NoSuchQuery(text),
            QueryError::Exhausted(text) => Refused::TooLarge(text),
            QueryError::Unavailable(text) => Refused::TooSlow(text),
            other => Refused::Failed(other.to_string()),
        })?;
        Ok(pb::GetTaskHistoryResponse { arrow_ipc })
    }
}
