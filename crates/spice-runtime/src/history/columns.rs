//! Records as the columns of a table.

use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;

use super::record::TaskRecord;

/// The columns of `runtime.task_history`, in the order in which other implementations have those
/// that they have.
pub(super) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// The columns of `runtime.task_history_gaps`.
pub(super) fn gaps_schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let fields = vec![
        text("node_id"),
        text("node_role"),
        text("reason"),
        Field::new("noticed_at", timestamp(), false),
    ];
    Arc::new(Schema::new(fields))
}

/// Records under [`schema`].
pub(super) fn batch(records: &[Arc<TaskRecord>]) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&TaskRecord) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            records.iter().map(|record| of(record)),
        ))
    };
    let optional = |of: fn(&TaskRecord) -> Option<&str>| -> ArrayRef {
        Arc::new(
            records
                .iter()
                .map(|record| of(record))
                .collect::<StringArray>(),
        )
    };
    let labels = records.iter().map(|record| record.labels_json());
    let durations = records
        .iter()
        .map(|record| record.duration.as_secs_f64() * 1e3);
    RecordBatch::try_new(
        schema(),
        vec![
            text(|record| &record.span.trace_id),
            text(|record| &record.span.span_id),
            optional(|record| record.parent_span_id.as_deref()),
            text(|record| record.task),
            text(|record| &record.input),
            new_null_array(&DataType::Utf8, records.len()),
            times(records.iter().map(|record| record.start_time)),
            times(records.iter().map(|record| record.end_time())),
            Arc::new(Float64Array::from_iter_values(durations)),
            optional(|record| record.error_message.as_deref()),
            Arc::new(StringArray::from_iter_values(labels)),
            text(|record| &record.node_id),
            text(|record| record.node_role),
        ],
    )
}

/// What the gaps among `records` say, under [`gaps_schema`].
pub(super) fn gaps_batch(records: &[Arc<TaskRecord>]) -> Result<RecordBatch, ArrowError> {
    let text = |of: fn(&TaskRecord) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            records.iter().map(|record| of(record)),
        ))
    };
    RecordBatch::try_new(
        gaps_schema(),
        vec![
            text(|record| &record.node_id),
            text(|record| record.node_role),
            text(|record| record.error_message.as_deref().unwrap_or_default()),
            times(records.iter().map(|record| record.start_time)),
        ],
    )
}

fn times(times: impl Iterator<Item = SystemTime>) -> ArrayRef {
    let array = TimestampNanosecondArray::from_iter_values(times.map(unix_nanoseconds));
    Arc::new(array.with_timezone(UTC))
}

fn unix_nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()))
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let optional = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("trace_id"),
        text("span_id"),
        optional("parent_span_id"),
        text("task"),
        text("input"),
        optional("captured_output"),
        Field::new("start_time", timestamp(), false),
        Field::new("end_time", timestamp(), false),
        Field::new("execution_duration_ms", DataType::Float64, false),
        optional("error_message"),
        text("labels"),
        text("node_id"),
        text("node_role"),
    ]))
});

/// As an offset, which every client understands; a name would need a time zone database.
const UTC: &str = "+00:00";
