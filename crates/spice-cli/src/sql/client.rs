//! A Flight SQL connection: statements in, rows out.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightInfo, Ticket};
use futures::TryStreamExt;
use tonic::Code;
use tonic::transport::Channel;

use crate::endpoint::PublicEndpoint;
use crate::failure::{Failure, FailureKind};

pub(crate) struct Client {
    flight: FlightSqlServiceClient<Channel>,
}

impl Client {
    pub(crate) async fn connect(endpoint: &PublicEndpoint) -> Result<Self, Failure> {
        let channel = endpoint
            .to_channel()
            .map_err(|error| Failure::from_error(&error))?
            .connect_timeout(CONNECT_TIMEOUT)
            // A statement may run for hours, so it has no deadline; a server that is gone has.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .connect()
            .await
            .map_err(|error| unreachable_endpoint(endpoint, &error))?;
        let inner = FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        Ok(Self {
            flight: FlightSqlServiceClient::new_from_inner(inner),
        })
    }

    /// Plans a statement on the server; rows flow when they are asked for.
    pub(crate) async fn query(&mut self, statement: &str) -> Result<Rows, Failure> {
        let info = self
            .flight
            .execute(statement.to_owned(), None)
            .await
            .map_err(explain)?;
        Ok(Rows::new(self.flight.clone(), info))
    }
}

/// The rows of one statement.
///
/// Every part is fetched over the same connection, wherever the server says it could be had
/// too: this is the one address that its user chose to trust.
pub(crate) struct Rows {
    flight: FlightSqlServiceClient<Channel>,
    tickets: VecDeque<Ticket>,
    current: Option<FlightRecordBatchStream>,
    schema: Option<SchemaRef>,
}

impl Rows {
    fn new(flight: FlightSqlServiceClient<Channel>, info: FlightInfo) -> Self {
        let endpoints = info.endpoint.iter();
        Self {
            flight,
            tickets: endpoints.filter_map(|part| part.ticket.clone()).collect(),
            current: None,
            schema: info.try_decode_schema().ok().map(Schema::into),
        }
    }

    /// The columns, known at the latest when the rows have ended.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.schema.clone()
    }

    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            if let Some(batch) = self.next_of_current().await? {
                return Ok(Some(batch));
            }
            let Some(ticket) = self.tickets.pop_front() else {
                return Ok(None);
            };
            self.current = Some(self.flight.do_get(ticket).await.map_err(explain)?);
        }
    }

    async fn next_of_current(&mut self) -> Result<Option<RecordBatch>, Failure> {
        let Some(stream) = &mut self.current else {
            return Ok(None);
        };
        let batch = stream.try_next().await.map_err(explain)?;
        if let Some(schema) = stream.schema() {
            self.schema = Some(schema.clone());
        }
        if batch.is_none() {
            self.current = None;
        }
        Ok(batch)
    }
}

/// A server's error is its message: the status code and the layers around it say nothing to the
/// one who typed the statement.
fn explain(error: FlightError) -> Failure {
    match error {
        FlightError::Tonic(status) => {
            let message = match status.message() {
                "" => status.code().description(),
                message => message,
            };
            Failure::new(message).of_kind(kind(status.code()))
        }
        other => Failure::new(other.to_string()),
    }
}

/// Whether the same statement would be answered the same way again.
fn kind(code: Code) -> FailureKind {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => FailureKind::Refused,
        Code::Unavailable => FailureKind::Io,
        _ => FailureKind::Failed,
    }
}

fn unreachable_endpoint(endpoint: &PublicEndpoint, error: &tonic::transport::Error) -> Failure {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Failure::new(format!("cannot connect to {endpoint}: {cause}"))
        .of_kind(FailureKind::Io)
        .with_next(
            "start a node with `spiced`, or name a running one with \
             --flight-endpoint http://HOST:PORT",
        )
}

/// Longer than any network takes that one would run SQL over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the server is asked whether it is there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The same limit as the servers', raised from gRPC's 4 MiB: one wide row must fit.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
