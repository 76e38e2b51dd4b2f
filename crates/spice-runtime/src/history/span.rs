//! One statement, from its text to its last row.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Instant, SystemTime};

use super::TaskHistory;
use super::record::{INPUT_LIMIT_BYTES, SpanContext, TaskRecord};
use crate::query_error::QueryError;

/// How a statement came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProtocol {
    /// Over Arrow Flight SQL.
    Flight,
    /// Over HTTP.
    Http,
}

impl ClientProtocol {
    fn as_str(self) -> &'static str {
        match self {
            ClientProtocol::Flight => "flight",
            ClientProtocol::Http => "http",
        }
    }
}

/// A statement as it came in, cut to what a record holds.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    input: String,
    input_bytes: usize,
    protocol: Option<ClientProtocol>,
    start_time: SystemTime,
    began: Instant,
}

impl Asked {
    pub(crate) fn now(sql: &str, protocol: Option<ClientProtocol>) -> Self {
        Self {
            input: sql[..sql.floor_char_boundary(INPUT_LIMIT_BYTES)].to_owned(),
            input_bytes: sql.len(),
            protocol,
            start_time: SystemTime::now(),
            began: Instant::now(),
        }
    }
}

/// A statement that is being answered. It leaves one record when it ends, and one that nobody reads
/// to its end leaves one that says so.
#[derive(Debug)]
pub struct QuerySpan {
    context: SpanContext,
    attempts: AtomicU32,
    rows: u64,
    /// Gone once the record is written.
    open: Option<(TaskHistory, Asked)>,
}

impl QuerySpan {
    /// Begins a span that is recorded in `history`, or nowhere.
    pub(crate) fn begin(history: Option<&TaskHistory>, asked: Asked) -> Self {
        Self {
            context: SpanContext::root(),
            attempts: AtomicU32::new(0),
            rows: 0,
            open: history.map(|history| (history.clone(), asked)),
        }
    }

    /// Where the parts of this statement hang in its trace.
    #[must_use]
    pub fn context(&self) -> &SpanContext {
        &self.context
    }

    /// Notes that the statement is given to other nodes to run, for the first time or once more.
    pub fn attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    /// It has its last row.
    pub(super) fn succeed(&mut self) {
        self.end(Outcome::Ok, None);
    }

    /// It came to nothing.
    pub(crate) fn fail(&mut self, error: &QueryError) {
        self.end(Outcome::Failed, Some(error.to_string()));
    }

    /// It was planned to be described, not to be run.
    pub(crate) fn discard(mut self) {
        self.open = None;
    }

    fn end(&mut self, outcome: Outcome, error_message: Option<String>) {
        let Some((history, asked)) = self.open.take() else {
            return;
        };
        let attempts = self.attempts.load(Ordering::Relaxed);
        let mut labels = vec![
            ("outcome", outcome.as_str().to_owned()),
            ("rows", self.rows.to_string()),
            (
                "runs_on",
                if attempts == 0 {
                    "this_node"
                } else {
                    "executors"
                }
                .to_owned(),
            ),
        ];
        if attempts > 0 {
            labels.push(("attempts", attempts.to_string()));
        }
        if let Some(protocol) = asked.protocol {
            labels.push(("protocol", protocol.as_str().to_owned()));
        }
        if asked.input_bytes > asked.input.len() {
            labels.push(("input_bytes", asked.input_bytes.to_string()));
        }
        history.record(TaskRecord {
            span: self.context.clone(),
            parent_span_id: None,
            task: "sql_query",
            input: asked.input,
            start_time: asked.start_time,
            duration: asked.began.elapsed(),
            error_message,
            labels,
            node_id: history.node_id().to_owned(),
            node_role: history.node_role(),
        });
    }
}

impl Drop for QuerySpan {
    fn drop(&mut self) {
        let message = "cancelled: nobody read it to its end";
        self.end(Outcome::Cancelled, Some(message.to_owned()));
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Ok,
    Failed,
    Cancelled,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}
