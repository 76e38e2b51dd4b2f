//! Looking whether the data of all tables is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use futures::{StreamExt as _, stream};
use tokio::sync::Semaphore;

use crate::contents::UnavailableTable;
use crate::opened::OpenDataset;
use crate::query_error::QueryError;
use crate::runtime::TableEntry;

/// A table, and whether its data was there a moment ago.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableState {
    /// The table.
    pub table: TableEntry,
    /// What is wrong with its data, or with that of a dataset that it reads; `None` where a
    /// query would find all of it.
    pub fault: Option<String>,
}

impl TableState {
    /// Of a table that could not be opened: its columns are not known.
    pub(crate) fn unavailable(missing: &UnavailableTable) -> Self {
        let table = TableEntry {
            name: missing.name.clone(),
            kind: missing.kind,
            schema: Arc::new(Schema::empty()),
            source: missing.source.clone(),
            locations: BTreeSet::new(),
        };
        Self {
            table,
            fault: Some(missing.reason.clone()),
        }
    }
}

/// Keeps the number of looks within a bound: one at a file system that does not answer occupies
/// a thread for as long as that lasts, whether somebody still waits for it or not.
#[derive(Debug)]
pub(crate) struct Survey {
    looks: Arc<Semaphore>,
}

impl Default for Survey {
    fn default() -> Self {
        Survey {
            looks: Arc::new(Semaphore::new(CONCURRENT_LOOKS)),
        }
    }
}

impl Survey {
    pub(crate) async fn of(
        &self,
        datasets: &[OpenDataset],
        tables: &[TableEntry],
    ) -> Result<Vec<TableState>, QueryError> {
        let interrupted = |_| QueryError::Failed("the look at the data was interrupted".to_owned());
        let permit = Arc::clone(&self.looks).acquire_owned().await;
        let permit = permit.map_err(|error| QueryError::Failed(error.to_string()))?;
        let datasets = datasets.to_vec();
        // A task of its own, so that the look counts until it ends.
        let looking = tokio::spawn(async move {
            let faults = faults(datasets).await;
            drop(permit);
            faults
        });
        let faults = looking.await.map_err(interrupted)?;
        Ok(tables.iter().map(|table| state(table, &faults)).collect())
    }
}

/// What is wrong, by the places that it is wrong with.
async fn faults(datasets: Vec<OpenDataset>) -> BTreeMap<String, String> {
    let looks = stream::iter(datasets).map(|dataset| async move {
        let told = dataset.check().await.err().map(|fault| fault.shown());
        let places = told.map(|told| {
            dataset
                .locations()
                .into_iter()
                .map(move |it| (it, told.clone()))
        });
        places.into_iter().flatten().collect::<Vec<_>>()
    });
    looks
        .buffered(DATASETS_AT_ONCE)
        .map(stream::iter)
        .flatten()
        .collect()
        .await
}

fn state(table: &TableEntry, faults: &BTreeMap<String, String>) -> TableState {
    let fault = table.locations.iter().find_map(|place| faults.get(place));
    TableState {
        table: table.clone(),
        fault: fault.cloned(),
    }
}

/// Two, so that one that hangs does not end them all.
const CONCURRENT_LOOKS: usize = 2;

/// Those that are elsewhere keep a look waiting for an answer, not a thread.
const DATASETS_AT_ONCE: usize = 8;
