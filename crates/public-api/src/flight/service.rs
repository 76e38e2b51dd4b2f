//! The Flight SQL service. It keeps nothing between calls: a ticket or a prepared handle *is*
//! the statement, so any node answers it, and there is nothing to expire or to steal.

use std::pin::Pin;

use arrow_flight::sql::metadata::SqlInfoData;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionBeginTransactionResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, CommandGetCatalogs, CommandGetDbSchemas,
    CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandPreparedStatementQuery,
    CommandStatementIngest, CommandStatementQuery, CommandStatementSubstraitPlan,
    CommandStatementUpdate, DoPutPreparedStatementResult, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use spice_runtime::{PlannedQuery, QueryError, SqlEngine};
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::info::{FlightStream, encapsulated, info, one, rows};
use super::metadata;
use super::status::{status, unanswerable, unprepared, unsupported};
use crate::MAX_SQL_BYTES;

/// Answers Flight SQL from an engine.
#[derive(Clone)]
pub(super) struct FlightSql {
    sql: SqlEngine,
    /// Ends every stream when the grace period of a shutdown is over.
    cut: CancellationToken,
}

impl FlightSql {
    pub(super) fn new(sql: SqlEngine, cut: CancellationToken) -> FlightSql {
        FlightSql { sql, cut }
    }

    async fn plan(&self, sql: &str) -> Result<PlannedQuery, Status> {
        if sql.len() > MAX_SQL_BYTES {
            let message = format!("the statement is longer than {MAX_SQL_BYTES} bytes");
            return Err(Status::invalid_argument(message));
        }
        self.sql.plan(sql).await.map_err(|error| status(&error))
    }

    async fn describe(
        &self,
        sql: &str,
        descriptor: FlightDescriptor,
    ) -> Result<Response<FlightInfo>, Status> {
        let query = self.plan(sql).await?;
        let statement_handle = Bytes::copy_from_slice(sql.as_bytes());
        let ticket = TicketStatementQuery { statement_handle };
        info(&query.schema(), &ticket, descriptor)
    }

    async fn run(&self, sql: &str) -> Result<Response<FlightStream>, Status> {
        let query = self.plan(sql).await?;
        let batches = Box::pin(self.sql.execute(query))
            .await
            .map_err(|error| status(&error))?;
        let schema = batches.schema();
        let batches = batches.map(|batch| batch.map_err(|error| status(&QueryError::from(error))));
        Ok(Response::new(rows(schema, batches, self.cut.clone())))
    }
}

#[async_trait]
impl FlightSqlService for FlightSql {
    type FlightService = FlightSql;

    /// Anonymous, like every other call of this version: whatever is offered is accepted and
    /// nothing is granted for it. Drivers that were given a password insist on a token in
    /// return, so they get one that stands for nobody.
    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<HandshakeStream>, Status> {
        let answers = stream::iter([Ok(HandshakeResponse::default())]);
        let mut response: Response<HandshakeStream> = Response::new(answers.boxed());
        let token = MetadataValue::from_static("Bearer anonymous");
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.describe(&query.query, request.into_inner()).await
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        self.run(statement(&ticket.statement_handle)?).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let planned = self.plan(&query.query).await.map_err(unprepared)?;
        let schema = planned.schema();
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: Bytes::from(query.query),
            dataset_schema: encapsulated(&schema)?,
            parameter_schema: Bytes::new(),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        _query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let sql = statement(&query.prepared_statement_handle)?;
        self.describe(sql, request.into_inner()).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        self.run(statement(&query.prepared_statement_handle)?).await
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = query.into_builder().schema();
        info(&schema, &query, request.into_inner())
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        metadata::catalogs(query).map(one).map_err(unanswerable)
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = query.clone().into_builder().schema();
        info(&schema, &query, request.into_inner())
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let schemas = metadata::schemas(query, &self.sql.runtime());
        schemas.map(one).map_err(unanswerable)
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = query.clone().into_builder().schema();
        info(&schema, &query, request.into_inner())
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let tables = metadata::tables(query, &self.sql.runtime());
        tables.map(one).map_err(unanswerable)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let schema = query.into_builder().schema();
        info(&schema, &query, request.into_inner())
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        metadata::table_types(query).map(one).map_err(unanswerable)
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let facts = metadata::sql_info().map_err(unanswerable)?;
        info(&facts.schema(), &query, request.into_inner())
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<FlightStream>, Status> {
        let facts: SqlInfoData = metadata::sql_info().map_err(unanswerable)?;
        let asked = facts.record_batch(query.info).map_err(unanswerable)?;
        Ok(one(asked))
    }

    // What follows is refused in words; the defaults of the trait speak to programmers.

    async fn do_put_prepared_statement_query(
        &self,
        _query: CommandPreparedStatementQuery,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        Err(unsupported("binding parameters to a prepared statement"))
    }

    async fn do_put_statement_update(
        &self,
        _query: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(unsupported("changing data (SQL is read-only here)"))
    }

    async fn do_put_statement_ingest(
        &self,
        _command: CommandStatementIngest,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(unsupported("ingesting data"))
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(unsupported("a Substrait plan"))
    }

    async fn do_action_begin_transaction(
        &self,
        _query: ActionBeginTransactionRequest,
        _request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        Err(unsupported("a transaction (SQL is read-only here)"))
    }

    /// Part of the trait for servers whose facts change; these are constant.
    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}

type HandshakeStream = Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>;

/// The statement that a handle is.
fn statement(handle: &[u8]) -> Result<&str, Status> {
    std::str::from_utf8(handle)
        .map_err(|_| Status::invalid_argument("the handle is none of this server's"))
}
