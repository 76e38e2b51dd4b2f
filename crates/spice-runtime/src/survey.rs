//! Looking whether the data of all tables is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use spicepod::{Dataset, Source};
use tokio::sync::Semaphore;

use crate::open_error::with_causes;
use crate::probe::probe;
use crate::query_error::QueryError;
use crate::runtime::TableEntry;
use crate::table;

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
        datasets: &[Dataset],
        tables: &[TableEntry],
    ) -> Result<Vec<TableState>, QueryError> {
        let interrupted = |_| QueryError::Failed("the look at the data was interrupted".to_owned());
        let permit = Arc::clone(&self.looks).acquire_owned().await;
        let permit = permit.map_err(|error| QueryError::Failed(error.to_string()))?;
        let datasets = datasets.to_vec();
        let looking = tokio::task::spawn_blocking(move || {
            let faults = faults(&datasets);
            drop(permit);
            faults
        });
        let faults = looking.await.map_err(interrupted)?;
        Ok(tables.iter().map(|table| state(table, &faults)).collect())
    }
}

/// What is wrong, by the places that it is wrong with. Reads the file system.
fn faults(datasets: &[Dataset]) -> BTreeMap<String, String> {
    let mut faults = BTreeMap::new();
    for dataset in datasets {
        let Source::File(file) = dataset.source() else {
            continue;
        };
        if let Err(fault) = probe(dataset, file) {
            let told = with_causes(&fault);
            faults.extend(table::locations(dataset).map(|place| (place, told.clone())));
        }
    }
    faults
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
