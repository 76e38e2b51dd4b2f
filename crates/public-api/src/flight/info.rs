//! Flight infos and the streams their tickets stand for.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::ProstMessageExt;
use arrow_flight::{
    FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use super::status::unanswerable;

/// What a DoGet answers with.
pub(super) type FlightStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// A flight of one endpoint: this server, with a ticket that says all there is to say. No
/// location means "where you asked", so clients never learn of other nodes.
pub(super) fn info(
    schema: &SchemaRef,
    ticket: &impl ProstMessageExt,
    descriptor: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    let info = FlightInfo::new()
        .try_with_schema(&sent(schema))
        .map_err(unanswerable)?
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_descriptor(descriptor);
    Ok(Response::new(info))
}

/// A schema in the encapsulated form that messages carry as bytes.
pub(super) fn encapsulated(schema: &SchemaRef) -> Result<Bytes, Status> {
    let IpcMessage(bytes) = SchemaAsIpc::new(&sent(schema), &IpcWriteOptions::default())
        .try_into()
        .map_err(unanswerable)?;
    Ok(bytes)
}

/// Rows on their way. `cut` ends them early, with an error, so that no client takes the part it
/// has for the whole.
pub(super) fn rows<S>(schema: SchemaRef, rows: S, cut: CancellationToken) -> FlightStream
where
    S: Stream<Item = Result<RecordBatch, Status>> + Send + 'static,
{
    let ended = cut.clone();
    let last_word = stream::once(std::future::ready(())).filter_map(move |()| {
        let word = ended.is_cancelled().then(|| {
            Err(Status::unavailable(
                "the node is shutting down; run the query again",
            ))
        });
        std::future::ready(word)
    });
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .build(rows.map_err(FlightError::from))
        .map_err(Status::from)
        .take_until(cut.cancelled_owned())
        .chain(last_word)
        .boxed()
}

/// A stream of one batch that is there already.
pub(super) fn one(batch: RecordBatch) -> Response<FlightStream> {
    let schema = batch.schema();
    let rows = stream::once(std::future::ready(Ok(batch)));
    let stream = self::rows(schema, rows, CancellationToken::new());
    Response::new(stream)
}

/// The schema as the encoder will send it: dictionaries come out as their values.
fn sent(schema: &SchemaRef) -> Schema {
    let encoder = FlightDataEncoderBuilder::new()
        .with_schema(schema.clone())
        .build(stream::empty());
    let sent = encoder.known_schema().unwrap_or_else(|| schema.clone());
    sent.as_ref().clone()
}
