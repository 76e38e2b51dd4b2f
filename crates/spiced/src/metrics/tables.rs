//! How many tables are not open, counted when somebody looks: they open by themselves.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use spice_runtime::CurrentRuntime;

/// Counts the tables of this node. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableMetrics {
    tables: Arc<OnceLock<CurrentRuntime>>,
}

impl TableMetrics {
    /// From now on these are the tables.
    pub(crate) fn watch(&self, tables: CurrentRuntime) {
        // Once: a node has one set of tables, which changes within.
        let _ = self.tables.set(tables);
    }
}

impl Collector for TableMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(tables) = self.tables.get() else {
            return Ok(());
        };
        let unavailable = tables.now().unavailable().len();
        let gauge = ConstGauge::new(i64::try_from(unavailable).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(
            "spiced_tables_unavailable",
            "Datasets and views that are not open because their data is out of reach",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}
