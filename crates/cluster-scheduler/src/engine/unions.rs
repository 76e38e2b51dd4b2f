//! Tasks over a part of a union, without the parts that belong to other tasks.
//!
//! Upstream cuts a stage's plan to the partitions of one task by cutting the leaves. That leaves
//! an input of a union whole which this task should not read at all, where that input gathers
//! its rows into one partition by itself (an aggregate, a sort, a limit, a constant row): it
//! still has its one partition after the cut. The union then counts one partition more than the
//! task was given, and rows come twice or not at all.
//!
//! So before upstream cuts, every input that the task reads nothing of is replaced by empty
//! partitions in memory, as many as it had. Those can be cut down to none.

use std::sync::Arc;

use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::physical_expr::Distribution;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, replace_children_if_necessary,
};

/// The plan of a stage for the task that runs its `partitions`: as it was, but for inputs of
/// unions that the task reads nothing of.
pub(super) fn without_foreign_inputs(
    plan: Arc<dyn ExecutionPlan>,
    partitions: &[usize],
) -> Result<Arc<dyn ExecutionPlan>> {
    let children = plan.children().into_iter().cloned().collect();
    let children = if plan.is::<UnionExec>() {
        union_inputs(children, partitions)?
    } else {
        aligned_inputs(&plan, children, partitions)?
    };
    replace_children_if_necessary(plan, children)
}

type Inputs = Vec<Arc<dyn ExecutionPlan>>;

/// The partitions of a union are those of its inputs, one input after the other.
fn union_inputs(inputs: Inputs, partitions: &[usize]) -> Result<Inputs> {
    let mut first = 0;
    let mut kept = vec![];
    for input in inputs {
        let count = input.output_partitioning().partition_count();
        let own: Vec<usize> = partitions
            .iter()
            .filter(|partition| (first..first + count).contains(*partition))
            .map(|partition| partition - first)
            .collect();
        kept.push(match own.as_slice() {
            [] => empty(&input, count)?,
            own => without_foreign_inputs(input, own)?,
        });
        first += count;
    }
    Ok(kept)
}

/// Inputs whose partitions are those of the operator. One that is gathered whole is read by
/// every task to its end, and so is everything below it.
fn aligned_inputs(
    plan: &Arc<dyn ExecutionPlan>,
    inputs: Inputs,
    partitions: &[usize],
) -> Result<Inputs> {
    if plan.is::<CoalescePartitionsExec>() || plan.is::<SortPreservingMergeExec>() {
        return Ok(inputs);
    }
    let required = plan.input_distribution_requirements();
    let mut required = required.per_child_distributions();
    let mut cut = |input| match required.next() {
        Some(Distribution::SinglePartition) => Ok(input),
        _ => without_foreign_inputs(input, partitions),
    };
    inputs.into_iter().map(&mut cut).collect()
}

fn empty(input: &Arc<dyn ExecutionPlan>, partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let partitions = vec![vec![]; partitions];
    Ok(MemorySourceConfig::try_new_exec(
        &partitions,
        input.schema(),
        None,
    )?)
}

#[cfg(test)]
mod tests {
    use ballista_scheduler::state::task_builder::restrict_plan_to_partitions;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// Three partitions of rows, then one that an aggregate makes of all of them, then a
    /// constant row.
    const SQL: &str = "SELECT a FROM t UNION ALL SELECT max(a) FROM t UNION ALL SELECT 7";

    async fn union() -> Arc<dyn ExecutionPlan> {
        let config = SessionConfig::new().with_target_partitions(3);
        let context = SessionContext::new_with_config(config);
        let values = context.sql("SELECT 1 AS a").await.unwrap();
        let batch = values.collect().await.unwrap().remove(0);
        let parts = vec![vec![batch.clone()], vec![batch.clone()], vec![batch]];
        let table = datafusion::datasource::MemTable::try_new(parts[0][0].schema(), parts);
        context
            .register_table("t", Arc::new(table.unwrap()))
            .unwrap();
        let frame = context.sql(SQL).await.unwrap();
        frame.create_physical_plan().await.unwrap()
    }

    fn partitions(plan: &Arc<dyn ExecutionPlan>) -> usize {
        plan.output_partitioning().partition_count()
    }

    #[tokio::test]
    async fn a_task_has_as_many_partitions_as_it_was_given() {
        let plan = union().await;
        let count = partitions(&plan);
        assert!(count >= 3, "{count}");
        for one in 0..count {
            for given in [vec![one], (one..count).collect()] {
                let own = without_foreign_inputs(plan.clone(), &given).unwrap();
                assert_eq!(partitions(&own), count, "numbers stay what they were");
                let task = restrict_plan_to_partitions(own, &given).unwrap();
                assert_eq!(partitions(&task), given.len(), "{given:?}");
            }
        }
    }

    /// Once this fails, upstream needs no help any more.
    #[tokio::test]
    async fn upstream_alone_leaves_inputs_of_other_tasks_in() {
        let plan = union().await;
        let last = partitions(&plan) - 1;
        let task = restrict_plan_to_partitions(plan, &[last]).unwrap();
        assert!(partitions(&task) > 1);
    }
}
