//! Where a query has to run, read off its plan.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, TableScan};

use crate::history::HistoryTable;
use crate::postgres::PostgresTable;

/// What a plan reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// No dataset: literals, the information schema, this node's own tables, or the plan of a query
    /// rather than its rows. This node has all it needs.
    Here,
    /// The datasets at these locations, at least one: whoever holds the data.
    WithTheData(BTreeSet<String>),
    /// Tables that only this node has, and the datasets at these locations, which it reads itself.
    HereWithData(BTreeSet<String>),
}

impl Placement {
    /// The datasets that are read.
    pub(crate) fn locations(&self) -> Option<&BTreeSet<String>> {
        match self {
            Placement::Here => None,
            Placement::WithTheData(locations) | Placement::HereWithData(locations) => {
                Some(locations)
            }
        }
    }
}

/// Decide for `plan`, subqueries included. Views are no obstacle: planning replaced them by
/// what they stand for.
pub(crate) fn placement(plan: &LogicalPlan) -> Result<Placement> {
    if describes(plan) {
        return Ok(Placement::Here);
    }
    let mut locations = BTreeSet::new();
    let mut reads_own_tables = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            locations.extend(dataset_locations(scan)?);
            reads_own_tables |= is_own_table(scan)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(match (locations.is_empty(), reads_own_tables) {
        (true, _) => Placement::Here,
        (false, true) => Placement::HereWithData(locations),
        (false, false) => Placement::WithTheData(locations),
    })
}

/// EXPLAIN and DESCRIBE tell about this node's planner.
fn describes(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    )
}

fn is_own_table(scan: &TableScan) -> Result<bool> {
    let provider = source_as_provider(&scan.source)?;
    Ok(provider.downcast_ref::<HistoryTable>().is_some())
}

fn dataset_locations(scan: &TableScan) -> Result<Vec<String>> {
    let provider = source_as_provider(&scan.source)?;
    if let Some(table) = provider.downcast_ref::<PostgresTable>() {
        return Ok(vec![table.location()]);
    }
    let table = provider.downcast_ref::<ListingTable>();
    let paths = table.map_or(&[][..], |table| table.table_paths().as_slice());
    Ok(paths.iter().map(|path| path.as_str().to_owned()).collect())
}
