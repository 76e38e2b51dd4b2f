//! What a client may ask about the server and its tables.

use arrow::array::RecordBatch;
use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables, SqlInfo,
    SqlSupportedTransaction,
};
use spice_runtime::{CATALOG, Runtime, TableKind};

pub(super) fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(CATALOG);
    builder.build()
}

pub(super) fn schemas(command: CommandGetDbSchemas, runtime: &Runtime) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    for schema in runtime.schemas() {
        builder.append(CATALOG, schema);
    }
    builder.build()
}

pub(super) fn tables(command: CommandGetTables, runtime: &Runtime) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    for table in runtime.tables() {
        builder.append(
            CATALOG,
            table.name.schema(),
            table.name.table(),
            table_type(table.kind),
            &table.schema,
        )?;
    }
    for table in runtime.own_tables() {
        let kind = table_type(TableKind::Dataset);
        builder.append(
            CATALOG,
            table.schema_name,
            table.table_name,
            kind,
            &table.schema,
        )?;
    }
    builder.build()
}

pub(super) fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    for kind in [TableKind::Dataset, TableKind::View] {
        builder.append(table_type(kind));
    }
    builder.build()
}

/// Only what is true and what drivers ask for: they take the rest as "no".
pub(super) fn sql_info() -> Result<SqlInfoData> {
    let mut builder = SqlInfoDataBuilder::new();
    builder.append(SqlInfo::FlightSqlServerName, "spice");
    builder.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    builder.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_FORMAT_VERSION);
    builder.append(SqlInfo::FlightSqlServerReadOnly, true);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(
        SqlInfo::FlightSqlServerTransaction,
        SqlSupportedTransaction::None as i32,
    );
    builder.append(SqlInfo::FlightSqlServerCancel, false);
    builder.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    builder.build()
}

/// The words that `information_schema.tables` uses for the same things.
fn table_type(kind: TableKind) -> &'static str {
    match kind {
        TableKind::View => "VIEW",
        TableKind::Dataset => "BASE TABLE",
    }
}

/// The version of the columnar format (not of a library) whose types this server sends.
const ARROW_FORMAT_VERSION: &str = "1.4";
