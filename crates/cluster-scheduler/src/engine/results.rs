//! Fetching the rows of a finished job from the executors that hold them.

use std::collections::HashMap;

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use ballista_core::serde::protobuf::{self, PartitionLocation};
use ballista_core::serde::scheduler::{Action, ShuffleFileKind};
use cluster_proto::NodeId;
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport};
use cluster_tls::{NodeAddress, Role};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::root_as_message;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use prost::Message;
use spice_runtime::QueryError;
use thiserror::Error;

use super::config::MESSAGE_LIMIT_BYTES;
use super::job::{FinishedJob, JobLease};

/// Why a job gave no rows.
#[derive(Debug, Error)]
pub(super) enum ResultError {
    /// The plan is wrong, before anything was sent.
    #[error(transparent)]
    Planning(DataFusionError),
    /// The job failed; the text is the engine's.
    #[error("{0}")]
    Failed(String),
    /// The job succeeded and its rows are out of reach.
    #[error("the rows of a finished query could not be fetched: {0}")]
    Lost(String),
}

impl From<ResultError> for QueryError {
    fn from(error: ResultError) -> Self {
        match error {
            ResultError::Planning(error) => Self::from(error),
            ResultError::Failed(message) => Self::Failed(clean_engine_message(&message)),
            ResultError::Lost(message) => Self::Failed(message),
        }
    }
}

/// Opens the rows of `job`, in the order of its partitions.
///
/// Up to [`REPLAY_WINDOW_BYTES`] are fetched before anything is returned: a result that fits
/// is complete or an error that the caller may answer by running the query again.
pub(super) async fn open(
    transport: &NodeTransport,
    schema: SchemaRef,
    job: FinishedJob,
) -> Result<SendableRecordBatchStream, ResultError> {
    let mut rows = partitions(transport, job.locations)?;
    let mut window = vec![];
    let mut window_bytes = 0;
    while window_bytes < REPLAY_WINDOW_BYTES {
        match rows.try_next().await {
            Ok(Some(batch)) => {
                window_bytes += batch.get_array_memory_size();
                window.push(Ok(batch));
            }
            Ok(None) => break,
            Err(error) => return Err(ResultError::Lost(error.to_string())),
        }
    }
    let announced = schema.clone();
    let rows = stream::iter(window)
        .chain(rows)
        .map(move |batch| announce(&batch?, &announced));
    Ok(Box::pin(RecordBatchStreamAdapter::new(
        schema,
        holding(job.lease, rows.boxed()),
    )))
}

type Rows = BoxStream<'static, Result<RecordBatch, DataFusionError>>;

fn partitions(
    transport: &NodeTransport,
    locations: Vec<PartitionLocation>,
) -> Result<Rows, ResultError> {
    let mut channels = HashMap::new();
    let mut fetches = vec![];
    for location in locations {
        let address = executor_address(&location)?;
        let channel = channels
            .entry(address)
            .or_insert_with_key(|address| {
                transport.channel(address, Role::Executor, &ChannelOptions::default())
            })
            .clone();
        fetches.push(fetch(channel, ticket(location)?));
    }
    // Started ahead of their turn and read in order, so that the next partition is on its way
    // while the client still reads this one.
    Ok(stream::iter(fetches)
        .buffered(FETCHES_AHEAD)
        .try_flatten()
        .boxed())
}

fn executor_address(location: &PartitionLocation) -> Result<NodeAddress, ResultError> {
    let executor = location.executor_meta.as_ref();
    let executor = executor.ok_or_else(|| ResultError::Lost("no executor named".to_owned()))?;
    let port =
        u16::try_from(executor.port).map_err(|error| ResultError::Lost(error.to_string()))?;
    let id =
        NodeId::new(&executor.host, port).map_err(|error| ResultError::Lost(error.to_string()))?;
    NodeAddress::new(id.host(), port).map_err(|error| ResultError::Lost(error.to_string()))
}

fn ticket(location: PartitionLocation) -> Result<Ticket, ResultError> {
    let lost = |what: &dyn std::fmt::Display| ResultError::Lost(what.to_string());
    let executor = location.executor_meta.clone().unwrap_or_default();
    let layout = location.layout();
    let file_id = location.file_id;
    let id = location
        .partition_id
        .ok_or_else(|| lost(&"no partition named"))?;
    let action = Action::FetchPartition {
        job_id: id.job_id.into(),
        stage_id: id.stage_id as usize,
        partition_id: id.partition_id as usize,
        host: executor.host,
        port: u16::try_from(executor.port).map_err(|error| lost(&error))?,
        file_id,
        layout,
        file_kind: ShuffleFileKind::Data,
        byte_ranges: vec![],
    };
    let action: protobuf::Action = action
        .try_into()
        .map_err(|error: ballista_core::error::BallistaError| lost(&error))?;
    Ok(Ticket::new(action.encode_to_vec()))
}

/// A batch under the schema that was announced: physical plans may know better which columns
/// hold no nulls, and clients compare schemas to the letter.
fn announce(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &options,
    )?)
}

async fn fetch(channel: NodeChannel, ticket: Ticket) -> Result<Rows, DataFusionError> {
    let mut client = FlightServiceClient::new(channel)
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
    let flight_data = client
        .do_get(ticket)
        .await
        .map_err(|status| DataFusionError::External(Box::new(status)))?
        .into_inner();
    let flight_data = flight_data.map(|data| {
        let data = data.map_err(|status| FlightError::Tonic(Box::new(status)))?;
        ensure_bounded(&data)?;
        Ok(data)
    });
    let batches = FlightRecordBatchStream::new_from_flight_data(flight_data);
    Ok(batches
        .map_err(|error| DataFusionError::External(Box::new(error)))
        .boxed())
}

/// Refuses what no result holds, before the decoder gets memory for it.
fn ensure_bounded(data: &FlightData) -> Result<(), FlightError> {
    let Ok(message) = root_as_message(&data.data_header) else {
        // The decoder says what is wrong with it.
        return Ok(());
    };
    spice_runtime::ensure_bounded(message, &data.data_body)
        .map_err(|error| FlightError::DecodeError(format!("a block is refused: {error}")))
}

/// Passes `rows` on and keeps the job's files until the last one was read, or the reader left.
fn holding(lease: JobLease, rows: Rows) -> Rows {
    stream::unfold((lease, rows), |(lease, mut rows)| async move {
        rows.next().await.map(|item| (item, (lease, rows)))
    })
    .boxed()
}

/// The part of a failed job's text that the author of the query can use. Upstream prints the
/// error of the task as Rust sees it, one constructor within the other.
pub(super) fn clean_engine_message(message: &str) -> String {
    let start = message.find("DataFusionError(").unwrap_or_default();
    let mut text = message[start..].trim();
    while let Some((constructor, rest)) = text.split_once('(') {
        let is_constructor = constructor.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match rest.rsplit_once(')') {
            Some((inner, _)) if is_constructor && !constructor.is_empty() => text = inner.trim(),
            _ => break,
        }
    }
    let text = text.strip_suffix(", None").unwrap_or(text);
    text.trim_matches('"').to_owned()
}

/// A result up to this size is held until it is complete, so that the loss of the executor
/// that holds it costs time and not the query.
const REPLAY_WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// Partitions that are opened before the client asks for them.
const FETCHES_AHEAD: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_failed_job_is_its_innermost_error() {
        for (message, expected) in [
            (
                "Job failed due to stage 1 failed: Task failed due to runtime execution error: \
                 DataFusionError(Shared(External(ArrowError(DivideByZero))))\n",
                "DivideByZero",
            ),
            (
                "DataFusionError(Execution(\"disk full (98 %)\"))",
                "disk full (98 %)",
            ),
            (
                "DataFusionError(ArrowError(CastError(\"no number\"), None))",
                "no number",
            ),
            ("all executors were lost", "all executors were lost"),
        ] {
            assert_eq!(clean_engine_message(message), expected, "{message}");
        }
    }
}
