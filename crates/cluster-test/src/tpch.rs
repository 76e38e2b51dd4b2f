//! TPC-H: the eight tables as Parquet files, the 22 queries, and the spicepod that names them.

mod data;
mod manifest;
mod query;
mod scale;
mod table;

pub use data::{Progress, generate};
pub use manifest::write_manifest;
pub use query::{Query, queries, query};
pub use scale::ScaleFactor;
pub use table::Table;
