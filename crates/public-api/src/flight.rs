//! Flight SQL: what ADBC and JDBC drivers speak.

use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use spice_runtime::{ClientProtocol, SqlEngine};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use self::service::FlightSql;
use crate::connections::SHUTDOWN_GRACE;
use crate::error::ServeError;

mod incoming;
mod info;
mod metadata;
mod service;
mod status;

/// Serve Flight SQL until `shutdown`; streams that are under way then have [`SHUTDOWN_GRACE`].
///
/// # Errors
///
/// [`ServeError::Flight`] where the server breaks.
pub async fn serve_flight(
    listener: TcpListener,
    sql: SqlEngine,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let cut = CancellationToken::new();
    let sql = sql.over(ClientProtocol::Flight);
    let service = FlightServiceServer::new(FlightSql::new(sql, cut.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .add_service(service)
        .serve_with_incoming_shutdown(
            incoming::incoming(listener),
            shutdown.clone().cancelled_owned(),
        );
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => Some(served),
        () = grace_over(&shutdown) => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            // Cut streams end with an error at their next row; then the server ends, unless a
            // client has stopped reading altogether.
            tracing::warn!("flight streams cut after the grace period");
            cut.cancel();
            tokio::time::timeout(SHUTDOWN_GRACE, serving)
                .await
                .unwrap_or(Ok(()))
        }
    };
    served.map_err(|source| ServeError::Flight { source })
}

async fn grace_over(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(SHUTDOWN_GRACE).await;
}

/// Requests carry statements, which are smaller still; rows flow the other way.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A peer that is gone without a word is noticed within two of these.
const KEEPALIVE: Duration = Duration::from_secs(20);

const MAX_STREAMS_PER_CONNECTION: u32 = 128;
