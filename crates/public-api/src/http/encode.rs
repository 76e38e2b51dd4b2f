//! Rows as bytes, one batch at a time.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::util::pretty::pretty_format_batches;
use arrow::{csv, json};
use bytes::Bytes;

use super::accept::RowFormat;

/// How many rows a text table may have. Column widths depend on every row, so a table cannot
/// be streamed; beyond what a person reads, JSON and CSV can.
pub(super) const MAX_TABLE_ROWS: usize = 10_000;

/// Writes batches in one format. Every format has a beginning and an end of its own, even where
/// there are no rows.
pub(super) enum Encoder {
    Json(json::Writer<Vec<u8>, json::writer::JsonArray>),
    Csv,
    ArrowStream(Box<StreamWriter<Vec<u8>>>),
    Table(Table),
}

/// The rows of a text table so far.
pub(super) struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Encoder {
    /// Start an answer with the columns of `schema`.
    pub(super) fn new(format: RowFormat, schema: &SchemaRef) -> Result<Encoder, ArrowError> {
        Ok(match format {
            RowFormat::Json => Encoder::Json(
                json::WriterBuilder::new()
                    // A missing key would make rows of one query differ in shape.
                    .with_explicit_nulls(true)
                    .build(Vec::new()),
            ),
            RowFormat::Csv => Encoder::Csv,
            RowFormat::ArrowStream => {
                Encoder::ArrowStream(Box::new(StreamWriter::try_new(Vec::new(), schema)?))
            }
            RowFormat::Table => Encoder::Table(Table {
                schema: schema.clone(),
                batches: Vec::new(),
                rows: 0,
            }),
        })
    }

    /// The bytes before the first row. Columns that the format cannot hold are refused here,
    /// while the request can still be answered with an error.
    pub(super) fn head(&mut self, schema: &SchemaRef) -> Result<Bytes, ArrowError> {
        match self {
            Encoder::Csv => csv_text(&RecordBatch::new_empty(schema.clone()), CsvHeader::Written),
            _ => Ok(self.written()),
        }
    }

    /// The bytes that this batch adds, which may be none.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        match self {
            Encoder::Json(writer) => writer.write(batch)?,
            Encoder::Csv => return csv_text(batch, CsvHeader::LeftOut),
            Encoder::ArrowStream(writer) => writer.write(batch)?,
            Encoder::Table(table) => table.push(batch)?,
        }
        Ok(self.written())
    }

    /// The bytes behind the last row.
    pub(super) fn finish(&mut self) -> Result<Bytes, ArrowError> {
        match self {
            Encoder::Json(writer) => writer.finish()?,
            Encoder::Csv => {}
            Encoder::ArrowStream(writer) => writer.finish()?,
            Encoder::Table(table) => return table.text(),
        }
        Ok(self.written())
    }

    fn written(&mut self) -> Bytes {
        let buffer = match self {
            Encoder::Json(writer) => writer.get_mut(),
            Encoder::ArrowStream(writer) => writer.get_mut(),
            Encoder::Csv | Encoder::Table(_) => return Bytes::new(),
        };
        Bytes::from(std::mem::take(buffer))
    }
}

impl Table {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows();
        if self.rows > MAX_TABLE_ROWS {
            return Err(ArrowError::InvalidArgumentError(format!(
                "a text table holds at most {MAX_TABLE_ROWS} rows; ask for application/json or \
                 text/csv, or add a LIMIT"
            )));
        }
        self.batches.push(batch.clone());
        Ok(())
    }

    fn text(&mut self) -> Result<Bytes, ArrowError> {
        if self.batches.is_empty() {
            self.batches
                .push(RecordBatch::new_empty(self.schema.clone()));
        }
        let mut text = pretty_format_batches(&self.batches)?.to_string();
        text.push('\n');
        Ok(Bytes::from(text))
    }
}

#[derive(Clone, Copy)]
enum CsvHeader {
    Written,
    LeftOut,
}

fn csv_text(batch: &RecordBatch, header: CsvHeader) -> Result<Bytes, ArrowError> {
    let mut text = Vec::new();
    csv::WriterBuilder::new()
        .with_header(matches!(header, CsvHeader::Written))
        .build(&mut text)
        .write(batch)?;
    Ok(Bytes::from(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn batch(ids: &[i64], names: &[Option<&str>]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let names: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("name", names, true)])
            .unwrap()
    }

    fn written(format: RowFormat, batches: &[RecordBatch]) -> String {
        let schema = batch(&[], &[]).schema();
        let mut encoder = Encoder::new(format, &schema).unwrap();
        let mut bytes = encoder.head(&schema).unwrap().to_vec();
        for batch in batches {
            bytes.extend(encoder.batch(batch).unwrap());
        }
        bytes.extend(encoder.finish().unwrap());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn writes_rows_of_several_batches_as_one_answer() {
        let batches = [
            batch(&[1, 2], &[Some("a,b"), None]),
            batch(&[3], &[Some("c")]),
        ];
        assert_eq!(
            written(RowFormat::Json, &batches),
            r#"[{"id":1,"name":"a,b"},{"id":2,"name":null},{"id":3,"name":"c"}]"#
        );
        assert_eq!(
            written(RowFormat::Csv, &batches),
            "id,name\n1,\"a,b\"\n2,\n3,c\n"
        );
        assert!(written(RowFormat::Table, &batches).contains("| 3  | c    |"));
    }

    #[test]
    fn writes_a_whole_answer_without_rows() {
        assert_eq!(written(RowFormat::Json, &[]), "[]");
        assert_eq!(written(RowFormat::Csv, &[]), "id,name\n");
        assert!(written(RowFormat::Table, &[]).contains("| id | name |"));
    }

    #[test]
    fn refuses_a_table_beyond_its_bound_and_takes_one_at_it() {
        let schema = batch(&[], &[]).schema();
        let mut encoder = Encoder::new(RowFormat::Table, &schema).unwrap();
        let full = batch(&vec![1; MAX_TABLE_ROWS], &vec![None; MAX_TABLE_ROWS]);
        assert!(encoder.batch(&full).is_ok());
        assert!(encoder.batch(&batch(&[1], &[None])).is_err());
    }
}
