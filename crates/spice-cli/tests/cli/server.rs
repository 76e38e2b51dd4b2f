//! A Flight SQL server that knows a few statements.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, SqlInfo, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Two rows, of which one has a null.
pub(crate) const ROWS: &str = "SELECT rows";
/// No rows.
pub(crate) const NOTHING: &str = "SELECT nothing";
/// The two rows in each of two parts.
pub(crate) const PARTS: &str = "SELECT parts";
/// The two rows, then an error.
pub(crate) const BROKEN: &str = "SELECT broken";

/// Ends with the value.
pub(crate) struct FakeNode {
    address: SocketAddr,
    _runtime: Runtime,
}

impl FakeNode {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(
            Server::builder()
                .add_service(FlightServiceServer::new(Statements))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self {
            address,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

struct Statements;

#[tonic::async_trait]
impl FlightSqlService for Statements {
    type FlightService = Self;

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let parts = match query.query.as_str() {
            ROWS | NOTHING | BROKEN => 1,
            PARTS => 2,
            other => return Err(Status::invalid_argument(format!("no such thing: {other}"))),
        };
        let handle = TicketStatementQuery {
            statement_handle: query.query.into(),
        };
        let ticket = Ticket::new(handle.as_any().encode_to_vec());
        let mut info = FlightInfo::new().try_with_schema(&rows().schema()).unwrap();
        for _ in 0..parts {
            info = info.with_endpoint(FlightEndpoint::new().with_ticket(ticket.clone()));
        }
        Ok(Response::new(info))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let broken = || FlightError::from(Status::internal("a disk is gone"));
        let items = match &ticket.statement_handle[..] {
            text if text == NOTHING.as_bytes() => vec![],
            text if text == BROKEN.as_bytes() => vec![Ok(rows()), Err(broken())],
            _ => vec![Ok(rows())],
        };
        let encoded = FlightDataEncoderBuilder::new()
            .with_schema(rows().schema())
            .build(stream::iter(items))
            .map_err(Status::from);
        Ok(Response::new(encoded.boxed()))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}

fn rows() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a,b"), None]));
    RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap()
}
