//! Where a query has to run, read off its plan.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, TableScan};

/// What a plan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// No dataset: literals, the information schema, or the plan of a query rather than its
    /// rows. This node has all it needs.
    Here,
    /// At least one dataset: whoever holds the data.
    WithTheData,
}

/// Decide for `plan`, subqueries included. Views are no obstacle: planning replaced them by
/// what they stand for.
pub(crate) fn placement(plan: &LogicalPlan) -> Result<Placement> {
    if describes(plan) {
        return Ok(Placement::Here);
    }
    let mut placement = Placement::Here;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && reads_dataset(scan)?
        {
            placement = Placement::WithTheData;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(placement)
}

/// EXPLAIN and DESCRIBE tell about this node's planner.
fn describes(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    )
}

fn reads_dataset(scan: &TableScan) -> Result<bool> {
    let provider = source_as_provider(&scan.source)?;
    Ok(provider.downcast_ref::<ListingTable>().is_some())
}
