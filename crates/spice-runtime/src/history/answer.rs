//! Another scheduler's query over this node's history.
//!
//! It runs in a session of its own, which holds this one table and nothing else: no dataset, no
//! file, no table function, no disk to spill to.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{Array as _, RecordBatch};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::table::{HistoryTable, View};
use super::{OWN_SCHEMA, TaskHistory, shape};
use crate::complexity;
use crate::engine::read_only_plan;
use crate::query_error::QueryError;
use crate::session::CATALOG;

impl TaskHistory {
    /// Runs `sql` over what this node keeps, and gives its rows as an Arrow IPC stream.
    ///
    /// Both `runtime.task_history` and `runtime.local_task_history` mean the records of this node
    /// here. One flat `SELECT` is taken; rows, bytes, memory and time are bounded.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] and [`QueryError::Unsupported`] for what is not taken,
    /// [`QueryError::Exhausted`] where the answer is too large, [`QueryError::Unavailable`] where it
    /// is not there in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the query.
    pub async fn answer(&self, sql: &str) -> Result<Vec<u8>, QueryError> {
        let answered = timeout(ANSWER_TIMEOUT, self.run(sql)).await;
        answered.unwrap_or_else(|_| {
            let seconds = ANSWER_TIMEOUT.as_secs();
            let message = format!("the task history gave no answer within {seconds} s");
            Err(QueryError::Unavailable(message))
        })
    }

    async fn run(&self, sql: &str) -> Result<Vec<u8>, QueryError> {
        let place = self.0.answers.acquire().await;
        let _place = place.map_err(|error| QueryError::Unavailable(error.to_string()))?;
        let session = self.session()?;
        let state = session.state();
        let dialect = state.config_options().sql_parser.dialect;
        // What is too deep must not even become a tree.
        complexity::admit(sql)?;
        shape::admit_statement(&state.sql_to_statement(sql, &dialect)?)?;
        let plan = read_only_plan(&state, sql).await?;
        shape::admit_plan(&plan)?;
        let frame = Box::pin(session.execute_logical_plan(plan)).await?;
        encoded(Box::pin(frame.execute_stream()).await?).await
    }

    fn session(&self) -> Result<SessionContext> {
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(MEMORY_LIMIT_BYTES)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build_arc()?;
        let config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, OWN_SCHEMA)
            .with_create_default_catalog_and_schema(true)
            .with_target_partitions(1)
            .with_batch_size(BATCH_ROWS);
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(environment)
            .with_default_features()
            .with_table_function_list(vec![])
            .build();
        let session = SessionContext::new_with_state(state);
        for view in [View::Cluster, View::Local] {
            let table = HistoryTable::new(self.clone(), View::Local);
            session.register_table(view.table_name(), Arc::new(table))?;
        }
        Ok(session)
    }
}

async fn encoded(mut rows: SendableRecordBatchStream) -> Result<Vec<u8>, QueryError> {
    let unwritable = |error: ArrowError| QueryError::Failed(error.to_string());
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).map_err(unwritable)?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows();
        // Looked at before it is written: columns may share what they hold until then.
        let bytes = writer.get_ref().len() + row_bytes(&batch).map_err(unwritable)?;
        if count > LIMIT_ROWS || bytes > LIMIT_BYTES {
            return Err(QueryError::Exhausted(format!(
                "the answer has more than {LIMIT_ROWS} rows or {LIMIT_BYTES} bytes; ask for fewer \
                 columns or a shorter time"
            )));
        }
        writer.write(&batch).map_err(unwritable)?;
    }
    writer.into_inner().map_err(unwritable)
}

fn row_bytes(batch: &RecordBatch) -> Result<usize, ArrowError> {
    let columns = batch.columns().iter();
    let sizes = columns.map(|column| column.to_data().get_slice_memory_size());
    sizes.sum()
}

/// More rows than a history holds, since each takes a hundred bytes.
pub(super) const LIMIT_ROWS: usize = 150_000;

/// What fits into a message of 16 MiB beside its frame.
pub(super) const LIMIT_BYTES: usize = 15 * 1024 * 1024;

/// Few, so that the largest batch, of the most columns of the longest texts, is some tens of
/// megabytes.
const BATCH_ROWS: usize = 128;

/// For sorting and grouping; several times what a history holds.
const MEMORY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::record::{SpanContext, TaskRecord, sample};
    use super::super::ring::RING_LIMIT_BYTES;
    use super::*;

    fn filled() -> TaskHistory {
        let history = TaskHistory::new("scheduler1:50052", "scheduler");
        for input in ["SELECT 1", "SELECT 2"] {
            history.record(now(input));
        }
        history
    }

    fn now(input: &str) -> TaskRecord {
        TaskRecord {
            start_time: SystemTime::now(),
            ..sample(input)
        }
    }

    #[tokio::test]
    async fn flat_queries_over_the_history_are_answered() {
        let history = filled();
        for sql in [
            "SELECT * FROM task_history",
            "SELECT task, count(*) FROM runtime.task_history GROUP BY task HAVING count(*) > 1",
            "SELECT input FROM spice.runtime.local_task_history WHERE start_time > now() - \
             INTERVAL '1 hour' AND input LIKE 'SELECT%' ORDER BY end_time DESC LIMIT 1",
            "SELECT DISTINCT node_id AS n FROM task_history t WHERE t.task IN ('sql_query', 'x')",
            "SELECT date_trunc('hour', start_time), max(execution_duration_ms) FROM task_history \
             GROUP BY 1",
            "SELECT 1 FROM task_history WHERE start_time >= TIMESTAMP '2020-01-01T00:00:00Z'",
        ] {
            let answer = history.answer(sql).await;
            assert!(
                answer.as_ref().is_ok_and(|it| !it.is_empty()),
                "{sql}: {answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn whatever_is_not_flat_or_reads_something_else_is_refused() {
        let history = filled();
        let bomb =
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r";
        for sql in [
            "SELECT 1",
            "SELECT * FROM numbers",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM generate_series(1, 1000000000)",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM task_history a, task_history b",
            "SELECT * FROM task_history a JOIN task_history b ON true",
            "SELECT * FROM (SELECT * FROM task_history)",
            "SELECT * FROM task_history WHERE EXISTS (SELECT 1 FROM task_history)",
            "SELECT * FROM task_history WHERE task IN (SELECT task FROM task_history)",
            "SELECT task FROM task_history UNION ALL SELECT task FROM task_history",
            "SELECT task FROM task_history GROUP BY CUBE (task, input)",
            "SELECT input || input FROM task_history",
            "SELECT repeat(input, 1000000) FROM task_history",
            "SELECT string_agg(input, '') FROM task_history",
            "SELECT row_number() OVER () FROM task_history",
            "SELECT unnest([1, 2]) FROM task_history",
            "SELECT * INTO t FROM task_history",
            "VALUES (1)",
            "EXPLAIN SELECT * FROM task_history",
            "SHOW TABLES",
            "DESCRIBE task_history",
            "INSERT INTO task_history SELECT * FROM task_history",
            "DELETE FROM task_history",
            "DROP TABLE task_history",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "COPY task_history TO '/tmp/history.csv'",
            "SET datafusion.execution.batch_size = 1",
            bomb,
            "SELECT",
            "",
            "SELECT 1 FROM task_history; SELECT 2 FROM task_history",
        ] {
            let answer = history.answer(sql).await;
            let refused = matches!(
                answer,
                Err(QueryError::Invalid(_) | QueryError::Unsupported(_))
            );
            assert!(refused, "{sql}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn many_columns_and_long_constants_are_refused() {
        let history = filled();
        let columns: Vec<String> = (0..33)
            .map(|number| format!("input AS i{number}"))
            .collect();
        let long = "x".repeat(10_000);
        for sql in [
            format!("SELECT {} FROM task_history", columns.join(", ")),
            format!("SELECT '{long}' FROM task_history"),
        ] {
            let answer = history.answer(&sql).await;
            assert!(
                matches!(answer, Err(QueryError::Unsupported(_))),
                "{answer:?}"
            );
        }
        let fewer = format!("SELECT {} FROM task_history", columns[1..].join(", "));
        assert!(history.answer(&fewer).await.is_ok());
    }

    #[tokio::test]
    async fn a_statement_too_deep_for_the_stack_is_refused_before_it_is_parsed() {
        let history = filled();
        let chained = |links: usize| format!("SELECT 1{} FROM task_history", "+1".repeat(links));
        let refused = history.answer(&chained(200_000)).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("chains 200000 operators"), "{told}");
        assert!(history.answer(&chained(10)).await.is_ok());
    }

    /// What makes cutting an answer unnecessary.
    #[tokio::test]
    async fn a_full_history_fits_into_one_answer_and_thrice_that_does_not() {
        let history = TaskHistory::new("scheduler1:50052", "scheduler");
        let long = "x".repeat(8 * 1024);
        for number in 0..2 * RING_LIMIT_BYTES / long.len() {
            history.record(now(&long));
            // Of the smallest tasks, which have the most rows.
            for _ in 0..if number < 1500 { 45 } else { 0 } {
                history.record(TaskRecord {
                    span: SpanContext::none(),
                    parent_span_id: Some(String::new()),
                    ..now("")
                });
            }
        }
        let answer = history.answer("SELECT * FROM task_history").await.unwrap();
        assert!(answer.len() > 11 * 1024 * 1024, "{}", answer.len());
        let thrice = "SELECT input AS a, input AS b, input AS c FROM task_history";
        let answer = history.answer(thrice).await;
        assert!(matches!(answer, Err(QueryError::Exhausted(_))));
    }
}
