//! What of an application is open, and what is not.

use spicepod::{Source, TableName};

use crate::opened::OpenDataset;
use crate::runtime::{TableEntry, TableKind};

/// The tables of an application at one moment. Those that are open stay so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// In the order of the manifest, datasets first.
    pub(crate) tables: Vec<TableEntry>,
    /// What the tables read.
    pub(crate) datasets: Vec<OpenDataset>,
    /// In the same order.
    pub(crate) unavailable: Vec<UnavailableTable>,
}

/// A dataset whose data could not be reached when it was to be opened, or a view over one. Its
/// columns are not known, and queries that name it fail with its reason until it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnavailableTable {
    /// Its name within the catalog [`CATALOG`](crate::CATALOG).
    pub name: TableName,
    /// What stands behind it.
    pub kind: TableKind,
    /// Where its data is; `None` for a view.
    pub source: Option<Source>,
    /// Why it could not be opened last, which names the dataset. Whoever asks may read it.
    pub reason: String,
    /// The same for the log, with what went wrong in a store of secrets.
    pub(crate) told: String,
}
