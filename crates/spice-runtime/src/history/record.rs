//! One record, cut to size when it is made.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

/// One thing that ran and ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// Where it stands in its trace.
    pub span: SpanContext,
    /// The span that it was a part of; `None` for what a client asked.
    pub parent_span_id: Option<String>,
    /// What kind of thing it was: `sql_query`, `distributed_task`.
    pub task: &'static str,
    /// What it was told to do.
    pub input: String,
    /// When it began.
    pub start_time: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// Why it has no result; `None` where it has one.
    pub error_message: Option<String>,
    /// What else is known, by names without double meaning.
    pub labels: Vec<(&'static str, String)>,
    /// The node that ran it.
    pub node_id: String,
    /// What that node does.
    pub node_role: &'static str,
}

impl TaskRecord {
    /// The same with every text within its bound; what was cut says so in its labels.
    pub(super) fn within_bounds(mut self) -> Self {
        let input_bytes = self.input.len();
        if cut(&mut self.input, INPUT_LIMIT_BYTES) {
            self.labels.push(("input_bytes", input_bytes.to_string()));
        }
        if let Some(message) = &mut self.error_message {
            cut(message, MESSAGE_LIMIT_BYTES);
        }
        for (_, value) in &mut self.labels {
            cut(value, LABEL_LIMIT_BYTES);
        }
        cut(&mut self.node_id, LABEL_LIMIT_BYTES);
        self
    }

    /// When it ended.
    pub(super) fn end_time(&self) -> SystemTime {
        self.start_time + self.duration
    }

    /// The labels as a JSON object.
    pub(super) fn labels_json(&self) -> String {
        let pairs = self.labels.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
        serde_json::Value::Object(pairs.collect()).to_string()
    }

    /// What it takes up as a row of an Arrow batch, where every text has an offset of four bytes
    /// beside it, and every number and time eight bytes.
    pub(super) fn row_bytes(&self) -> usize {
        let texts = [
            self.span.trace_id.len(),
            self.span.span_id.len(),
            self.parent_span_id.as_ref().map_or(0, String::len),
            self.task.len(),
            self.input.len(),
            self.error_message.as_ref().map_or(0, String::len),
            self.labels_json().len(),
            self.node_id.len(),
            self.node_role.len(),
        ];
        texts.iter().sum::<usize>() + FIXED_ROW_BYTES
    }
}

/// Where a span stands: the trace it belongs to, and which of its spans it is. The ids are those of
/// W3C Trace Context, 16 and 8 random bytes in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace: a query and everything done for it.
    pub trace_id: String,
    /// The span within it.
    pub span_id: String,
}

impl SpanContext {
    /// The first span of a new trace.
    #[must_use]
    pub fn root() -> Self {
        Self {
            trace_id: Uuid::new_v4().simple().to_string(),
            span_id: span_id(),
        }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            trace_id: self.trace_id.clone(),
            span_id: span_id(),
        }
    }

    /// Of what is no span: a gap.
    pub(super) fn none() -> Self {
        Self {
            trace_id: String::new(),
            span_id: String::new(),
        }
    }
}

fn span_id() -> String {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    format!("{low:016x}")
}

/// Cuts `text` to at most `limit` bytes, at the end of a character; tells whether it had to.
fn cut(text: &mut String, limit: usize) -> bool {
    if text.len() <= limit {
        return false;
    }
    text.truncate(text.floor_char_boundary(limit));
    true
}

/// Longer statements are written by programs, and their beginning tells them apart.
pub(super) const INPUT_LIMIT_BYTES: usize = 8 * 1024;

const MESSAGE_LIMIT_BYTES: usize = 2 * 1024;

/// A host name with its port is shorter.
const LABEL_LIMIT_BYTES: usize = 300;

/// Ten texts with their offsets, a number and two times, and a bit for each of thirteen columns.
const FIXED_ROW_BYTES: usize = 10 * 4 + 3 * 8 + 2;

#[cfg(test)]
pub(super) use tests::record as sample;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_long_statements_say_how_long_they_were() {
        let record = TaskRecord {
            input: "€".repeat(10_000),
            error_message: Some("€".repeat(10_000)),
            ..record("")
        };
        let record = record.within_bounds();
        assert_eq!(record.input.len(), 8190);
        assert_eq!(record.error_message.as_ref().unwrap().len(), 2046);
        assert_eq!(record.labels_json(), r#"{"input_bytes":"30000"}"#);
        let short = self::record("SELECT 1").within_bounds();
        assert_eq!(short, self::record("SELECT 1"));
    }

    #[test]
    fn spans_of_a_trace_share_its_id_and_differ_in_their_own() {
        let root = SpanContext::root();
        let child = root.child();
        assert_eq!(child.trace_id, root.trace_id);
        assert_ne!(child.span_id, root.span_id);
        assert_eq!((root.trace_id.len(), root.span_id.len()), (32, 16));
        assert_ne!(SpanContext::root().trace_id, root.trace_id);
    }

    pub(in crate::history) fn record(input: &str) -> TaskRecord {
        TaskRecord {
            span: SpanContext::none(),
            parent_span_id: None,
            task: "sql_query",
            input: input.to_owned(),
            start_time: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(1),
            error_message: None,
            labels: vec![],
            node_id: "scheduler1:50052".to_owned(),
            node_role: "scheduler",
        }
    }
}
