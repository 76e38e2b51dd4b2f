//! A connection for one transaction that only reads.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, NoTls, Socket};
use tokio_util::task::AbortOnDropHandle;

use super::error::PostgresError;
use super::server::Server;

/// An open transaction. Dropped, it is gone, and the server stops whatever it does for it.
pub(super) struct Connection {
    pub(super) client: Client,
    /// Moves what is sent and received.
    _traffic: AbortOnDropHandle<()>,
}

impl Connection {
    /// Connects and begins to read.
    ///
    /// # Errors
    ///
    /// [`PostgresError::Connecting`] with what is in the way.
    pub(super) async fn open(server: &Server) -> Result<Self, PostgresError> {
        let opened = Self::begin(server).await;
        opened.map_err(|source| PostgresError::Connecting {
            server: server.shown.clone(),
            source: Box::new(source),
        })
    }

    async fn begin(server: &Server) -> Result<Self, PostgresError> {
        let opened = timeout(OPEN_LIMIT, async {
            let connection = match &server.tls {
                Some(tls) => Self::dial(server, tls.clone()).await?,
                None => Self::dial(server, NoTls).await?,
            };
            let begun = connection.client.batch_execute(&BEGIN.join("; ")).await;
            begun.map_err(PostgresError::of_connecting)?;
            Ok(connection)
        });
        opened.await.unwrap_or(Err(PostgresError::Silent {
            seconds: OPEN_LIMIT.as_secs(),
        }))
    }

    async fn dial<T>(server: &Server, tls: T) -> Result<Self, PostgresError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
        T::TlsConnect: TlsConnect<Socket>,
    {
        let connected = server.config.connect(tls).await;
        let (client, traffic) = connected.map_err(PostgresError::of_connecting)?;
        let traffic = tokio::spawn(async move {
            // What ends it is told to whoever waits for an answer.
            if let Err(error) = traffic.await {
                tracing::debug!(
                    error = PostgresError::of_connecting(error).told(),
                    "database connection ended"
                );
            }
        });
        Ok(Self {
            client,
            _traffic: AbortOnDropHandle::new(traffic),
        })
    }
}

/// A name lookup, a handshake and a password exchange.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The transaction, and what the server itself ends: a statement that runs for an hour, and since
/// version 14 one whose client has gone without a word. Times are given in milliseconds.
const BEGIN: [&str; 3] = [
    "BEGIN TRANSACTION READ ONLY",
    "SET LOCAL statement_timeout = 3600000",
    "SELECT set_config('client_connection_check_interval', '10000', true) \
     WHERE current_setting('client_connection_check_interval', true) IS NOT NULL",
];
