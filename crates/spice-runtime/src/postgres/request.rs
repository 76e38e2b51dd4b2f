//! What to read of a dataset, as it travels from the node that plans to the one that reads.

use serde::{Deserialize, Serialize};

use super::filter::Filter;

/// A part of a table. It names the dataset and no database, user or password: whoever reads it
/// finds those under the dataset's name, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScanRequest {
    /// The dataset's name.
    pub(super) dataset: String,
    /// The columns to read, in this order, with their types.
    pub(super) columns: Vec<(String, String)>,
    /// What every row meets.
    pub(super) filters: Vec<Filter>,
    /// How many rows are enough.
    pub(super) limit: Option<u64>,
}

impl ScanRequest {
    /// The dataset's name.
    pub(crate) fn dataset(&self) -> &str {
        &self.dataset
    }
}
