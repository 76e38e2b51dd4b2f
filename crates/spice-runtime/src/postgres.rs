//! A table of a PostgreSQL database as a table of the engine.
//!
//! A query reads it in one read-only transaction per scan, row by row: the rows are never all in
//! memory. A plan carries the dataset's name and what to read of it; whoever runs it knows the
//! database, the user and the password from its own copy of the application.

mod column;
mod connection;
mod error;
mod filter;
mod request;
mod rows;
mod scan;
mod server;
mod sql;
mod table;
mod tls;

pub(crate) use request::ScanRequest;
pub(crate) use scan::PostgresScan;
pub(crate) use table::PostgresTable;

pub use error::PostgresError;
