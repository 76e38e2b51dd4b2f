//! What ran, when, and how it ended: the tables of the schema `runtime`.
//!
//! Every statement leaves one record when it ends, and so does every task that it was cut into. The
//! records of a node are held in memory, the newest within bounds. `runtime.task_history` shows them
//! together with those of the other schedulers, `runtime.local_task_history` without, and
//! `runtime.task_history_gaps` tells which schedulers do not answer.

mod answer;
mod columns;
mod conditions;
mod gather;
mod record;
mod ring;
mod shape;
mod span;
mod table;
mod watched;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::Semaphore;

use self::ring::Ring;

pub use self::gather::{HistoryPeers, PeerHistory};
pub use self::record::{SpanContext, TaskRecord};
pub(crate) use self::span::Asked;
pub use self::span::{ClientProtocol, QuerySpan};
pub(crate) use self::table::HistoryTable;

/// The schema of a node's own tables.
pub(crate) const OWN_SCHEMA: &str = "runtime";

/// What ran on a node. A clone is another handle to the same records.
#[derive(Clone)]
pub struct TaskHistory(Arc<Records>);

struct Records {
    node_id: String,
    node_role: &'static str,
    /// Apart from their tasks, so that one query of a thousand tasks does not push out a thousand
    /// queries.
    queries: Mutex<Ring>,
    tasks: Mutex<Ring>,
    peers: OnceLock<Arc<dyn HistoryPeers>>,
    /// Places for queries over the history of other schedulers.
    gathers: Semaphore,
    /// Places for other schedulers' queries over this history.
    answers: Semaphore,
}

impl TaskHistory {
    /// The empty history of a node, by its id and what it does.
    #[must_use]
    pub fn new(node_id: impl Into<String>, node_role: &'static str) -> Self {
        Self(Arc::new(Records {
            node_id: node_id.into(),
            node_role,
            queries: Mutex::default(),
            tasks: Mutex::default(),
            peers: OnceLock::new(),
            gathers: Semaphore::new(CONCURRENT_GATHERS),
            answers: Semaphore::new(CONCURRENT_ANSWERS),
        }))
    }

    /// Shows the history of `peers` beside this one from now on. The first call counts.
    pub fn share_with(&self, peers: Arc<dyn HistoryPeers>) {
        // A second one would come from a second scheduler in this process, and there is none.
        let _ = self.0.peers.set(peers);
    }

    /// Keeps `record`, and forgets older ones where there is no room.
    pub fn record(&self, record: TaskRecord) {
        let ring = match record.parent_span_id {
            None => &self.0.queries,
            Some(_) => &self.0.tasks,
        };
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push(Arc::new(record.within_bounds()), SystemTime::now());
    }

    /// What is kept now, queries before tasks, each from the oldest to the newest.
    fn records(&self) -> Vec<Arc<TaskRecord>> {
        let now = SystemTime::now();
        let mut records = Vec::new();
        for ring in [&self.0.queries, &self.0.tasks] {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            records.extend(ring.newer_than_retention(now));
        }
        records
    }

    fn node_id(&self) -> &str {
        &self.0.node_id
    }

    fn node_role(&self) -> &'static str {
        self.0.node_role
    }
}

impl fmt::Debug for TaskHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The records hold what users asked, which is nobody's business in a log.
        f.debug_struct("TaskHistory")
            .field("node_id", &self.0.node_id)
            .finish_non_exhaustive()
    }
}

/// Each may hold the history of every scheduler in memory while it runs.
const CONCURRENT_GATHERS: usize = 2;

/// Each may hold an answer of [`answer::LIMIT_BYTES`] until it is sent.
const CONCURRENT_ANSWERS: usize = 4;
