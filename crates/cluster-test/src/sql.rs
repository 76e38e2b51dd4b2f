//! SQL over Flight SQL, as any client sends it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Error, Result};
use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

/// A connection to the Flight SQL listener of a node.
#[derive(Clone, Debug)]
pub struct SqlClient {
    client: FlightSqlServiceClient<Channel>,
}

impl SqlClient {
    /// Connects without TLS, as public listeners are by default.
    ///
    /// # Errors
    ///
    /// When nobody answers within ten seconds.
    pub async fn connect(server: SocketAddr) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{server}"))?
            .connect_timeout(CONNECT_PATIENCE)
            .connect()
            .await
            .with_context(|| format!("cannot connect to {server}"))?;
        let flight = FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES);
        Ok(Self {
            client: FlightSqlServiceClient::new_from_inner(flight),
        })
    }

    /// Runs a query and gives all its rows.
    ///
    /// # Errors
    ///
    /// The server's `tonic::Status` where it refuses; or that the answer takes longer than five minutes.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<RecordBatch>> {
        timeout(QUERY_PATIENCE, self.all_rows(sql))
            .await
            .with_context(|| format!("no answer within {} s", QUERY_PATIENCE.as_secs()))?
    }

    /// As [`query`](Self::query), and asks the server to give up after `limit`, as clients with a
    /// timeout do.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub async fn query_within(&mut self, sql: &str, limit: Duration) -> Result<Vec<RecordBatch>> {
        let milliseconds = format!("{}m", limit.as_millis());
        self.client.set_header("grpc-timeout", milliseconds);
        self.query(sql).await
    }

    async fn all_rows(&mut self, sql: &str) -> Result<Vec<RecordBatch>> {
        let info = self.client.execute(sql.to_owned(), None).await;
        let mut batches = Vec::new();
        for endpoint in info.map_err(refusal)?.endpoint {
            let ticket = endpoint.ticket.context("an endpoint without a ticket")?;
            let stream = self.client.do_get(ticket).await.map_err(refusal)?;
            batches.extend(stream.try_collect::<Vec<_>>().await.map_err(refusal)?);
        }
        Ok(batches)
    }
}

/// The status itself where the server gave one, so that a test can ask for its code by
/// `downcast_ref`; the wrapper would say everything twice.
fn refusal(error: FlightError) -> Error {
    match error {
        FlightError::Tonic(status) => Error::new(*status),
        other => Error::new(other),
    }
}

/// Far more than a connection on one machine takes, even a busy one.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The slowest TPC-H query in an unoptimized build on a busy machine takes a tenth of it.
const QUERY_PATIENCE: Duration = Duration::from_secs(300);

/// Servers send batches far smaller; the default of 4 MiB is too close to them.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
