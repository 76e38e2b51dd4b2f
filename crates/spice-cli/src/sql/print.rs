//! Rows as a table, as JSON, as CSV.

use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use arrow::util::pretty::pretty_format_batches_with_schema;

use crate::args::RowFormat;
use crate::failure::Failure;
use crate::sql::client::Rows;

/// Prints rows and returns their number.
pub(crate) async fn print(
    rows: Rows,
    format: RowFormat,
    out: impl Write,
) -> Result<usize, Failure> {
    let out = BufWriter::new(out);
    match format {
        RowFormat::Table => print_table(rows, out).await,
        RowFormat::Json => print_json(rows, out).await,
        RowFormat::Csv => print_csv(rows, out).await,
    }
}

/// The width of a column is known when its last row is, so a table waits for all of them.
async fn print_table(mut rows: Rows, mut out: impl Write) -> Result<usize, Failure> {
    let mut batches = Vec::new();
    while let Some(batch) = rows.next().await? {
        batches.push(batch);
    }
    if let Some(schema) = rows.schema() {
        let table = pretty_format_batches_with_schema(schema, &batches).map_err(explain)?;
        writeln!(out, "{table}")?;
        out.flush()?;
    }
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

async fn print_json(mut rows: Rows, out: impl Write) -> Result<usize, Failure> {
    // With nulls written, every object has every key.
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, JsonArray>(out);
    let mut count = 0;
    while let Some(batch) = rows.next().await? {
        writer.write(&batch).map_err(explain)?;
        count += batch.num_rows();
    }
    writer.finish().map_err(explain)?;
    let mut out = writer.into_inner();
    writeln!(out)?;
    out.flush()?;
    Ok(count)
}

async fn print_csv(mut rows: Rows, mut out: impl Write) -> Result<usize, Failure> {
    let mut count = 0;
    let mut writer = csv::WriterBuilder::new().build(&mut out);
    let mut header_written = false;
    while let Some(batch) = rows.next().await? {
        writer.write(&batch).map_err(explain)?;
        header_written = true;
        count += batch.num_rows();
    }
    if let (false, Some(schema)) = (header_written, rows.schema()) {
        // No rows are a header all the same.
        let empty = RecordBatch::new_empty(schema);
        writer.write(&empty).map_err(explain)?;
    }
    drop(writer);
    out.flush()?;
    Ok(count)
}

/// Writers wrap what the output answered; a closed pipe must be seen as one.
fn explain(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, source) => Failure::from(source),
        other => Failure::new(format!("cannot print the rows: {other}")),
    }
}
