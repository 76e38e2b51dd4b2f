//! The histories of all schedulers as one.

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::root_as_message;
use datafusion::error::Result;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::record::{SpanContext, TaskRecord};
use super::{TaskHistory, answer, columns};

/// The other nodes whose history is shown beside this one's.
#[async_trait]
pub trait HistoryPeers: fmt::Debug + Send + Sync + 'static {
    /// Asks all of them `sql` at once, each within a bound of time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the questions.
    async fn ask(&self, sql: &str) -> Vec<PeerHistory>;
}

/// What came of asking one node.
#[derive(Debug)]
pub struct PeerHistory {
    /// The node.
    pub node_id: String,
    /// Its rows as an Arrow IPC stream, or why there are none, in words for a person.
    pub answer: Result<Vec<u8>, String>,
}

/// What a query needs of the histories.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Columns of [`columns::schema`], by position.
    pub(super) columns: Vec<usize>,
    /// Conditions that others may check as well.
    pub(super) conditions: Vec<String>,
    pub(super) limit: Option<usize>,
}

impl Wanted {
    pub(super) fn schema(&self) -> Result<SchemaRef, ArrowError> {
        Ok(Arc::new(columns::schema().project(&self.columns)?))
    }

    /// The same as a query for another scheduler. Where no column is wanted, as in `count(*)`, the
    /// rows still have to be told apart, by one.
    fn sql(&self) -> String {
        let schema = columns::schema();
        let names: Vec<&str> = self
            .asked()
            .map(|at| schema.field(at).name().as_str())
            .collect();
        let mut sql = format!("SELECT {} FROM runtime.task_history", names.join(", "));
        if !self.conditions.is_empty() {
            sql += &format!(" WHERE {}", self.conditions.join(" AND "));
        }
        if let Some(limit) = self.limit {
            sql += &format!(" LIMIT {limit}");
        }
        sql
    }

    fn asked(&self) -> impl Iterator<Item = usize> {
        let one = self.columns.is_empty().then_some(0);
        self.columns.iter().copied().chain(one)
    }
}

impl TaskHistory {
    /// This node's own rows.
    pub(super) fn own_rows(&self, wanted: &Wanted) -> Result<Vec<RecordBatch>> {
        let records = self.records();
        let batches = records.chunks(BATCH_ROWS).map(|chunk| {
            let batch = columns::batch(chunk)?;
            Ok(batch.project(&wanted.columns)?)
        });
        batches.collect()
    }

    /// The rows of all schedulers, and one for each that is missing.
    pub(super) async fn all_rows(&self, wanted: &Wanted) -> Result<Vec<RecordBatch>> {
        let mut batches = self.own_rows(wanted)?;
        let mut gaps = vec![];
        let asked = self.ask_peers(&wanted.sql()).await;
        for peer in asked.answers {
            let rows = peer.answer.and_then(|answer| {
                let rows = read(&answer, wanted);
                rows.map_err(|error| format!("its answer cannot be read: {error}"))
            });
            match rows {
                Ok(rows) => batches.extend(rows),
                Err(reason) => gaps.push(gap(peer.node_id, reason)),
            }
        }
        let gaps = columns::batch(&gaps)?;
        batches.push(gaps.project(&wanted.columns)?);
        Ok(batches)
    }

    /// The schedulers that do not answer.
    pub(super) async fn gaps(&self) -> Result<RecordBatch> {
        let asked = self.ask_peers(PROBE).await;
        let gaps = asked.answers.into_iter().filter_map(|peer| {
            let reason = peer.answer.err()?;
            Some(gap(peer.node_id, reason))
        });
        let gaps: Vec<_> = gaps.collect();
        Ok(columns::gaps_batch(&gaps)?)
    }

    async fn ask_peers(&self, sql: &str) -> Asked<'_> {
        let Some(peers) = self.0.peers.get() else {
            return Asked::default();
        };
        match timeout(PLACE_TIMEOUT, self.0.gathers.acquire()).await {
            Ok(place) => Asked {
                answers: peers.ask(sql).await,
                _place: place.ok(),
            },
            // Nobody was asked, so nobody can be named.
            Err(_) => Asked {
                answers: vec![PeerHistory {
                    node_id: "*".to_owned(),
                    answer: Err("too many queries ask for it at once; repeat this one".to_owned()),
                }],
                _place: None,
            },
        }
    }
}

/// The answers of others. They are as large as histories, so that whoever reads them keeps the place
/// that they were asked from.
#[derive(Default)]
struct Asked<'a> {
    answers: Vec<PeerHistory>,
    _place: Option<SemaphorePermit<'a>>,
}

/// A row that stands for rows that are not there.
fn gap(node_id: String, reason: String) -> Arc<TaskRecord> {
    let record = TaskRecord {
        span: SpanContext::none(),
        parent_span_id: None,
        task: "missing_history",
        input: String::new(),
        start_time: SystemTime::now(),
        duration: Duration::ZERO,
        error_message: Some(reason),
        labels: vec![],
        node_id,
        node_role: "scheduler",
    };
    Arc::new(record.within_bounds())
}

/// The rows of another scheduler, which must have exactly the columns that it was asked for.
fn read(answer: &[u8], wanted: &Wanted) -> Result<Vec<RecordBatch>, ArrowError> {
    let asked: Vec<usize> = wanted.asked().collect();
    let expected = columns::schema().project(&asked)?;
    ensure_plain(answer)?;
    let reader = StreamReader::try_new(Cursor::new(answer), None)?;
    if !same_columns(&reader.schema(), &expected) {
        let message = format!("it has the columns {:?}", reader.schema().fields());
        return Err(ArrowError::SchemaError(message));
    }
    let schema = wanted.schema()?;
    let mut rows = 0;
    let batches = reader.map(|batch| {
        let batch = batch?;
        rows += batch.num_rows();
        if rows > answer::LIMIT_ROWS {
            return Err(ArrowError::SchemaError("it has too many rows".to_owned()));
        }
        let columns = batch.columns()[..wanted.columns.len()].to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
    });
    batches.collect()
}

/// Refuses what no scheduler of ours sends: a message that is longer than the answer, and compressed
/// columns. Both claim sizes that the reader gets memory for before it looks, and a claim of some
/// terabytes ends the process.
fn ensure_plain(answer: &[u8]) -> Result<(), ArrowError> {
    let torn = || ArrowError::IpcError("its messages are torn".to_owned());
    let mut rest = answer;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<8>().ok_or_else(torn)?;
        let [m0, m1, m2, m3, l0, l1, l2, l3] = *head;
        if [m0, m1, m2, m3] != CONTINUATION {
            return Err(torn());
        }
        let length = i32::from_le_bytes([l0, l1, l2, l3]);
        if length == 0 {
            return Ok(());
        }
        let length = usize::try_from(length).map_err(|_| torn())?;
        let (metadata, after) = after.split_at_checked(length).ok_or_else(torn)?;
        let message = root_as_message(metadata).map_err(|_| torn())?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| torn())?;
        (_, rest) = after.split_at_checked(body).ok_or_else(torn)?;
        let dictionary = message.header_as_dictionary_batch();
        let batch = message
            .header_as_record_batch()
            .or_else(|| dictionary.and_then(|dictionary| dictionary.data()));
        if batch.is_some_and(|batch| batch.compression().is_some()) {
            let message = "its columns are compressed".to_owned();
            return Err(ArrowError::IpcError(message));
        }
    }
    Ok(())
}

/// What every message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];

fn same_columns(one: &Schema, other: &Schema) -> bool {
    let (one, other) = (one.fields().iter(), other.fields().iter());
    one.len() == other.len()
        && one
            .zip(other)
            .all(|(one, other)| one.name() == other.name() && one.data_type() == other.data_type())
}

/// The smallest question.
const PROBE: &str = "SELECT end_time FROM runtime.task_history LIMIT 1";

const BATCH_ROWS: usize = 8192;

/// How long a query waits for its turn to ask the other schedulers.
const PLACE_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use datafusion::arrow::ipc::CompressionType;
    use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::super::record::sample;
    use super::*;

    fn wanted(columns: &[usize]) -> Wanted {
        Wanted {
            columns: columns.to_vec(),
            conditions: vec![],
            limit: None,
        }
    }

    async fn answer(sql: &str) -> Vec<u8> {
        let history = TaskHistory::new("peer:1", "scheduler");
        for input in ["SELECT 1", "SELECT 2"] {
            history.record(TaskRecord {
                start_time: SystemTime::now(),
                ..sample(input)
            });
        }
        history.answer(sql).await.unwrap()
    }

    #[test]
    fn a_question_names_columns_conditions_and_a_limit() {
        let mut wanted = wanted(&[3, 4]);
        assert_eq!(wanted.sql(), "SELECT task, input FROM runtime.task_history");
        wanted.conditions = vec!["task = 'a'".to_owned(), "input <> 'b'".to_owned()];
        wanted.limit = Some(5);
        let expected = "SELECT task, input FROM runtime.task_history \
                        WHERE task = 'a' AND input <> 'b' LIMIT 5";
        assert_eq!(wanted.sql(), expected);
    }

    #[tokio::test]
    async fn an_answer_is_read_with_the_columns_that_were_asked_for() {
        for columns in [&[4][..], &[], &[0, 6, 8, 12]] {
            let wanted = wanted(columns);
            let rows = read(&answer(&wanted.sql()).await, &wanted).unwrap();
            let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(count, 2);
            assert_eq!(rows[0].schema(), wanted.schema().unwrap());
        }
    }

    #[tokio::test]
    async fn an_answer_with_other_columns_is_none() {
        let other = answer("SELECT task FROM task_history").await;
        assert!(read(&other, &wanted(&[4])).is_err());
        assert!(read(b"no stream", &wanted(&[4])).is_err());
        let right = answer("SELECT input FROM task_history").await;
        assert!(read(&right[..right.len() - 40], &wanted(&[4])).is_err());
        assert!(read(&right, &wanted(&[4])).is_ok());
    }

    #[test]
    fn an_answer_that_is_compressed_is_none_and_the_same_one_plain_is() {
        let records = [Arc::new(sample(&"SELECT 1".repeat(100)))];
        let batch = columns::batch(&records).unwrap().project(&[4]).unwrap();
        for compression in [None, Some(CompressionType::LZ4_FRAME)] {
            let options = IpcWriteOptions::default().try_with_compression(compression);
            let mut writer =
                StreamWriter::try_new_with_options(vec![], &batch.schema(), options.unwrap())
                    .unwrap();
            writer.write(&batch).unwrap();
            let read = read(&writer.into_inner().unwrap(), &wanted(&[4]));
            match compression {
                None => assert_eq!(read.unwrap(), std::slice::from_ref(&batch)),
                Some(_) => assert!(read.unwrap_err().to_string().contains("compressed")),
            }
        }
    }

    /// Schedulers that know nothing.
    #[derive(Debug)]
    struct Quiet;

    #[async_trait]
    impl HistoryPeers for Quiet {
        async fn ask(&self, _: &str) -> Vec<PeerHistory> {
            vec![]
        }
    }

    #[tokio::test]
    async fn a_place_is_kept_for_as_long_as_answers_are_read() {
        let history = TaskHistory::new("scheduler1:1", "scheduler");
        history.share_with(Arc::new(Quiet));
        let places = history.0.gathers.available_permits();
        let asked = history.ask_peers(PROBE).await;
        assert_eq!(history.0.gathers.available_permits(), places - 1);
        let others = history
            .0
            .gathers
            .acquire_many(u32::try_from(places - 1).unwrap());
        let others = others.await.unwrap();
        let late = history.ask_peers(PROBE).await;
        assert!(late.answers[0].answer.is_err());
        drop((asked, others));
        assert!(history.ask_peers(PROBE).await.answers.is_empty());
    }
}
